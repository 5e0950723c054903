"""Asks for many sockets at once which of them have to look for themselves, as their heartbeat makes them."""

from collections.abc import Sequence
from typing import NamedTuple

from django.db import connection

# What is not as it was, by simplejwt's own reckoning of passwords; the order of ~>=~ is that of its index of jti.
RESTLESS = """
    SELECT place - 1
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::bigint[])
        WITH ORDINALITY AS standing (user_id, password_mark, session, last, place)
    LEFT JOIN users_user AS owner ON owner.id = standing.user_id
    LEFT JOIN notifications_stream AS stream ON stream.user_id = standing.user_id
    WHERE owner.is_active IS NOT TRUE
        OR upper(md5(owner.password)) IS DISTINCT FROM password_mark
        OR coalesce(stream.last_seq, 0) <> last
        OR session IS NOT NULL AND NOT EXISTS (
            SELECT FROM token_blacklist_outstandingtoken AS token
            LEFT JOIN token_blacklist_blacklistedtoken AS spent ON spent.token_id = token.id
            WHERE token.jti ~>=~ (session || '.') AND token.jti ~<~ (session || '/') AND spent.id IS NULL
        )
    ORDER BY place
"""


class Standing(NamedTuple):
    """Whose a socket is, what its token says of password and session, and up to which number it was told."""

    user_id: int
    password_mark: str | None
    session: str | None
    last: int


def restless(standings: Sequence[Standing]) -> list[int]:
    """Return the places in the sequence, in order, of those whose user, session or stream is not as it was; one statement."""
    with connection.cursor() as cursor:
        cursor.execute(RESTLESS, [list(column) for column in zip(*standings, strict=True)])
        return [place for (place,) in cursor.fetchall()]
