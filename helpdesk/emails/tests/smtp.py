"""An SMTP server in the test process that accepts, refuses, hangs or hangs up, as a test configures it."""

import asyncio
import email.policy
import socket
import threading
import time
from contextlib import contextmanager, suppress
from email import message_from_bytes

from aiosmtpd.controller import Controller

from compose.embedded.ports import free_port


class MailServer:
    """Stores accepted messages in `accepted`, and all that were sent to it in `received`."""

    def __init__(self):
        self.controller = Controller(self, hostname="127.0.0.1", port=free_port())
        self.received = []
        self.accepted = []
        self.refusals = {}
        self.data_reply = "250 Accepted"
        self.is_hanging = False
        self.hangs_up_after_data = False
        self.connections = 0
        self.messages_per_connection = None
        self.ends_connections_with_421 = False
        self.arrival = threading.Condition()

    @property
    def port(self):
        return self.controller.port

    async def handle_EHLO(self, server, session, envelope, hostname, responses):  # noqa: N802 -- a name that aiosmtpd calls
        self.connections += 1
        session.host_name, session.messages = hostname, 0
        return responses

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802 -- likewise
        if session.messages == self.messages_per_connection:
            if self.ends_connections_with_421:
                return "421 4.7.0 Too many messages"
            server.transport.abort()
        session.messages += 1
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 -- likewise
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 -- likewise
        message = message_from_bytes(envelope.content, policy=email.policy.default)
        with self.arrival:
            self.received.append(message)
            self.arrival.notify_all()
        if self.is_hanging:
            await asyncio.sleep(60)
        if self.hangs_up_after_data:
            server.transport.abort()
        if not self.data_reply.startswith("250"):
            return self.data_reply
        with self.arrival:
            self.accepted.append(message)
            self.arrival.notify_all()
        return self.data_reply

    def wait_for(self, *, received=0, accepted=0):
        """Return whether so many messages were received and accepted within 60 seconds."""
        with self.arrival:
            return self.arrival.wait_for(
                lambda: len(self.received) >= received and len(self.accepted) >= accepted,
                timeout=60,
            )


@contextmanager
def endless_greeting():
    """Run a server that sends a byte now and then and never finishes its greeting; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet():
            with suppress(OSError), server.accept()[0] as client:
                while True:
                    client.sendall(b"220-Welcome\r\n")
                    time.sleep(0.02)

        threading.Thread(target=greet, daemon=True).start()
        yield server.getsockname()[1]
