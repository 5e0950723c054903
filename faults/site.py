"""A helpdesk that is reached over HTTP, with what its database and its SMTP server have on record."""

import ssl
from contextlib import suppress
from typing import Any

import httpx

PASSWORD = "testpass123"
CLIENT_SECONDS = 20
OUTSTANDING = """
    SELECT (SELECT count(*) FROM tickets_ticketevent WHERE announced_at IS NULL),
        (SELECT count(*) FROM emails_email WHERE state = 'pending')
"""


class Site:
    """What workloads and checks need of a stack, whether its processes run here or in containers."""

    site: str
    """Scheme, host and port, as a client gives them."""
    tls: ssl.SSLContext | None = None
    socket_tls: ssl.SSLContext | None = None

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}

    def sql(self, query: str, *parameters: Any, rows: bool = True) -> Any:
        """Return the rows of a query, or how many there are."""
        raise NotImplementedError

    def mails(self, kind: str) -> list[dict[str, Any]]:
        """Return the messages that the SMTP server has `received` or `accepted`, the oldest first: id, to."""
        raise NotImplementedError

    @property
    def verify(self) -> ssl.SSLContext | bool:
        return self.tls or True

    def web_answers(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.site}/livez", verify=self.verify).is_success
        return False

    def is_settled(self) -> bool:
        """Tell whether every event is announced and no e-mail is pending."""
        return not any(self.owed())

    def owed(self) -> tuple[int, int]:
        """Return how many events are to be announced, and e-mails to be sent."""
        ((events, mails),) = self.sql(OUTSTANDING)
        return events, mails

    def token(self, username: str) -> str:
        """Return an access token of a user's, of one login for the whole suite."""
        if username not in self.tokens:
            self.tokens[username] = self.login(username)["access"]
        return self.tokens[username]

    def login(self, username: str) -> dict[str, str]:
        body = {"username": username, "password": PASSWORD}
        answer = httpx.post(f"{self.site}/api/auth/token/", json=body, verify=self.verify)
        pair: dict[str, str] = answer.raise_for_status().json()
        return pair

    def client(self, username: str) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.site}/api",
            headers={"Authorization": f"Bearer {self.token(username)}"},
            verify=self.verify,
            timeout=CLIENT_SECONDS,
        )

    def user_id(self, username: str) -> int:
        ((number,),) = self.sql("SELECT id FROM users_user WHERE username = %s", username)
        return int(number)
