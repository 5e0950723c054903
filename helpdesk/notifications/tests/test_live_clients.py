"""The clients of docs/websocket.md, as printed there, apply each event once while the server is killed."""

import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest

from compose.embedded.node import find_node
from compose.embedded.options import ROOT
from compose.embedded.ports import free_port
from helpdesk.notifications.live.protocol import MAX_CONNECTIONS_PER_USER, CloseCode
from helpdesk.testing import wait_until

from .conftest import access_token, running_server

DOCUMENT = ROOT / "docs" / "websocket.md"
# A browser has WebSocket; Node has it without an option from version 22 on.
NODE_OPTIONS = ["--experimental-websocket", "--no-warnings"]
RUNNERS = {
    "javascript": """
        const [url, token] = process.argv.slice(2);
        const print = (line) => console.log(JSON.stringify(line));
        const onEvent = (event) => print(event.seq);
        listen(url, () => token, { onEvent, onResync: () => print("resync"), retrySeconds: 0.2, pauseSeconds: 0.1 });
    """,
    "python": """
import sys
url, token = sys.argv[1:]
def write(line):
    print(json.dumps(line), flush=True)
asyncio.run(listen(url, lambda: token, lambda event: write(event["seq"]), lambda: write("resync"), retry_seconds=0.2, pause_seconds=0.1))
    """,
}
SUFFIXES = {"javascript": "mjs", "python": "py"}


@pytest.fixture(params=["javascript", "python"])
def language(request):
    return request.param


@pytest.fixture
def interpreter(language):
    if language == "python":
        return [sys.executable]
    node = find_node() or shutil.which("node")
    check = [str(node), *NODE_OPTIONS, "-e", "new WebSocket('ws://127.0.0.1:1').onerror = () => {}"]
    if node is None or subprocess.run(check, capture_output=True, check=False).returncode:
        pytest.skip("There is no Node with WebSocket: it needs version 20.10 or newer")
    return [str(node), *NODE_OPTIONS]


@pytest.fixture
def run_client(language, interpreter, tmp_path, customer):
    """Return a context manager that runs the document's client; it yields a function that returns what it applied."""

    @contextmanager
    def run(host):
        (code,) = re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
        program, output = tmp_path / f"client.{SUFFIXES[language]}", tmp_path / "output"
        program.write_text(code + RUNNERS[language])
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        command = [*interpreter, program, f"ws://{host}/ws/notifications/", access_token(customer)]
        with output.open("wb") as file:
            client = subprocess.Popen(command, stdout=file, env=environment)
        try:
            yield lambda: [json.loads(line) for line in output.read_text().splitlines()]
        finally:
            client.kill()
            client.wait()

    return run


def test_a_client_that_is_one_too_many_reconnects(run_client, server, subscribe, add_comments, customer):
    with run_client(server) as applied:
        wait_until(lambda: applied() or add_comments())
        count = len(applied())
        others = [subscribe(customer) for _ in range(MAX_CONNECTIONS_PER_USER)]
        add_comments()
        wait_until(lambda: len(applied()) > count)
        result = applied()

    assert result == list(range(result[0], result[0] + len(result)))
    assert others.pop(0).receive_close()[1] == CloseCode.TOO_MANY_CONNECTIONS


def test_a_client_applies_each_event_once_across_a_killed_server(run_client, tmp_path, add_comments):
    port = free_port()

    with running_server(tmp_path / "first", port=port) as (server, host), run_client(host) as applied:
        wait_until(lambda: applied() or add_comments())
        count = len(applied())
        server.kill()
        add_comments(2)
        with running_server(tmp_path / "second", port=port):
            wait_until(lambda: len(applied()) >= count + 2)
            add_comments()
            wait_until(lambda: len(applied()) >= count + 3)
            result = applied()

    assert result == list(range(result[0], result[0] + len(result)))
