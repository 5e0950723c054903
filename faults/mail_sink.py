"""An SMTP server whose behaviour is set by a file: python -m faults.mail_sink PORT FOLDER.

`script.json` in the folder is read for every command. `received.jsonl` gets a line for each message when it has arrived,
`accepted.jsonl` when the reply is 250, before the client can read it.
"""

import asyncio
import email.policy
import json
import sys
import time
from email import message_from_bytes
from pathlib import Path
from typing import Any, TypedDict

from aiosmtpd.smtp import SMTP, Envelope, Session

from compose.embedded.ports import LOOPBACK

POLL_SECONDS = 0.02


class Script(TypedDict, total=False):
    """The behaviour of the server; an empty one accepts everything."""

    refused: dict[str, str]
    """Replies to RCPT, by address: `550 Unknown`."""
    data_reply: str
    """The reply to every message."""
    holds: bool
    """Whether replies to messages wait until this is false."""
    hangs_up: bool
    """Whether the connection is aborted instead of a reply to a message."""


class Handler:
    """The hooks that aiosmtpd calls by their names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def script(self) -> Script:
        try:
            script: Script = json.loads((self.folder / "script.json").read_text())
        except FileNotFoundError:
            return {}
        return script

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if refusal := self.script().get("refused", {}).get(address):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content or b""
        message = message_from_bytes(
            content if isinstance(content, bytes) else content.encode(), policy=email.policy.default
        )
        line = {"id": message["Message-ID"], "to": envelope.rcpt_tos[0], "at": time.time()}
        self.log("received", line)
        while self.script().get("holds"):  # noqa: ASYNC110 -- another process ends it
            await asyncio.sleep(POLL_SECONDS)
        script = self.script()
        if script.get("hangs_up") and isinstance(server.transport, asyncio.WriteTransport):
            server.transport.abort()
            return "421 Hung up"
        reply = script.get("data_reply", "250 Accepted")
        if reply.startswith("250"):
            self.log("accepted", line)
        return reply

    def log(self, name: str, line: dict[str, Any]) -> None:
        with (self.folder / f"{name}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


async def serve(port: int, folder: Path) -> None:
    handler = Handler(folder)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(handler, enable_SMTPUTF8=True), LOOPBACK, port
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
