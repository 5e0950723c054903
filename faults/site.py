"""A helpdesk as its clients reach it over HTTP, with the records of its database and its SMTP server."""

import ssl
from contextlib import suppress
from typing import Any

import httpx

from helpdesk.demo import PASSWORD

REQUEST_TIMEOUT_SECONDS = 20
OUTSTANDING = """
    SELECT (SELECT count(*) FROM tickets_ticketevent WHERE announced_at IS NULL),
        (SELECT count(*) FROM emails_email WHERE state = 'pending')
"""


class Site:
    """What workloads and checks need of a stack, whether it runs as local processes or in containers."""

    url: str
    """Scheme, host and port, as clients use them."""
    tls: ssl.SSLContext | None = None
    socket_tls: ssl.SSLContext | None = None

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}

    def sql(self, query: str, *parameters: Any, rows: bool = True) -> Any:
        """Return the rows of a query, or their number."""
        raise NotImplementedError

    def mails(self, kind: str) -> list[dict[str, Any]]:
        """Return the messages that the SMTP server has `received` or `accepted`, the oldest first: id, to."""
        raise NotImplementedError

    @property
    def verify(self) -> ssl.SSLContext | bool:
        return self.tls or True

    def web_answers(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/livez", verify=self.verify).is_success
        return False

    def is_idle(self) -> bool:
        """Return whether every event is announced and no e-mail is pending."""
        return not any(self.outstanding())

    def outstanding(self) -> tuple[int, int]:
        """Return the number of events to announce and of e-mails to send."""
        ((events, mails),) = self.sql(OUTSTANDING)
        return events, mails

    def token(self, username: str) -> str:
        """Return an access token of a user; they log in once for the whole suite."""
        if username not in self.tokens:
            self.tokens[username] = self.login(username)["access"]
        return self.tokens[username]

    def login(self, username: str) -> dict[str, str]:
        body = {"username": username, "password": PASSWORD}
        response = httpx.post(f"{self.url}/api/auth/token/", json=body, verify=self.verify)
        pair: dict[str, str] = response.raise_for_status().json()
        return pair

    def client(self, username: str) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.url}/api",
            headers={"Authorization": f"Bearer {self.token(username)}"},
            verify=self.verify,
            timeout=REQUEST_TIMEOUT_SECONDS,
        )

    def user_id(self, username: str) -> int:
        ((number,),) = self.sql("SELECT id FROM users_user WHERE username = %s", username)
        return int(number)
