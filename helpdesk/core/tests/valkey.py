"""A Valkey of a test's own, which it may kill, hang and start again on the same port."""

import signal
import subprocess

import redis

from compose.embedded.ports import LOOPBACK, free_port
from compose.embedded.valkey import NO_RETRY, program
from helpdesk.testing import wait_until


class Valkey:
    def __init__(self, folder, *options):
        self.port = free_port()
        self.url = f"redis://{LOOPBACK}:{self.port}/0"
        self.command = [program(), "--port", str(self.port), "--bind", LOOPBACK, "--dir", folder, *options]
        self.client = redis.Redis.from_url(self.url, retry=NO_RETRY)

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        wait_until(self.answers, what="Valkey answers")

    def answers(self):
        try:
            return self.client.ping()
        except redis.ConnectionError:
            return False

    def kill(self):
        self.process.kill()
        self.process.wait()

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)
