"""Tells where everything is, once it really answers."""

import http.client
import ssl
import time
from collections.abc import Callable, Mapping

from compose.embedded.demo import DEMO_PASSWORD
from compose.embedded.options import Options
from compose.embedded.ports import LOOPBACK

PATIENCE_SECONDS = 60
POLL_SECONDS = 0.2


def announce_when_ready(text: str, pages: Mapping[str, Callable[[], bool]]) -> None:
    """Wait until all pages answer and print the text, or say which one does not come."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while pages := {name: answers for name, answers in pages.items() if not answers()}:
        if time.monotonic() > deadline:
            print(f"Still no answer after {PATIENCE_SECONDS} s from: {', '.join(pages)}.", flush=True)
            return
        time.sleep(POLL_SECONDS)
    print(text, flush=True)


def announcement(site: str, options: Options) -> str:
    return f"""
The helpdesk is running; Ctrl-C stops all of it.

  Home        {site}/
  API         {site}/api/
  Swagger     {site}/api/docs/
  Admin       {site}/admin/
  E-mails     http://localhost:{options.mail_port}/
  Flower      http://localhost:{options.flower_port}/
  Websocket   ws{site.removeprefix("http")}/ws/notifications/?token=<access>

  Logins      agent_1, customer_1, and admin (superuser); the password of each is {DEMO_PASSWORD}
"""


def page_answers(port: int, path: str = "/", *, tls: ssl.SSLContext | None = None) -> bool:
    """Tell whether there is any answer, which with TLS has to come from localhost."""
    connection = (
        http.client.HTTPConnection(LOOPBACK, port, timeout=5)
        if tls is None
        else http.client.HTTPSConnection("localhost", port, timeout=5, context=tls)
    )
    try:
        connection.request("GET", path)
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    else:
        return True
    finally:
        connection.close()
