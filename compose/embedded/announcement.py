"""Tells where everything is, once it really answers."""

import http.client
import time

from compose.embedded.demo import DEMO_PASSWORD
from compose.embedded.options import Options
from compose.embedded.ports import LOOPBACK

PATIENCE_SECONDS = 60
POLL_SECONDS = 0.2


def announce_when_ready(options: Options) -> None:
    """Wait for the pages and print their addresses, or say which one does not come."""
    pages = {"web": (options.port, "/livez"), "mail": (options.mail_port, "/"), "flower": (options.flower_port, "/")}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while pages := {name: page for name, page in pages.items() if not _answers(*page)}:
        if time.monotonic() > deadline:
            print(f"Still no answer after {PATIENCE_SECONDS} s from: {', '.join(pages)}.", flush=True)
            return
        time.sleep(POLL_SECONDS)
    print(announcement(options), flush=True)


def announcement(options: Options) -> str:
    site = f"http://localhost:{options.port}"
    return f"""
The helpdesk is running; Ctrl-C stops all of it.

  Home        {site}/
  API         {site}/api/
  Swagger     {site}/api/docs/
  Admin       {site}/admin/
  E-mails     http://localhost:{options.mail_port}/
  Flower      http://localhost:{options.flower_port}/
  Websocket   ws://localhost:{options.port}/ws/notifications/?token=<access>

  Logins      agent_1, customer_1, and admin (superuser); the password of each is {DEMO_PASSWORD}
"""


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", path)
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    else:
        return True
    finally:
        connection.close()
