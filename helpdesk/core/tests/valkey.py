"""A Valkey of a test's own, which it may kill, hang and start again on the same port."""

import signal
import subprocess
import time

import redis

from compose.embedded.ports import LOOPBACK, free_port
from compose.embedded.valkey import NO_RETRY, program

START_SECONDS = 10


class Valkey:
    def __init__(self, folder, *options):
        self.port = free_port()
        self.url = f"redis://{LOOPBACK}:{self.port}/0"
        self.command = [program(), "--port", str(self.port), "--bind", LOOPBACK, "--dir", folder, *options]
        self.client = redis.Redis.from_url(self.url, retry=NO_RETRY)

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert time.monotonic() < deadline, "Valkey does not start"

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
