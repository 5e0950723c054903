"""The clients of docs/websocket.md, as they stand there, apply each event once while the server is killed."""

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
from helpdesk.notifications.live.protocol import SOCKETS_PER_USER, CloseCode
from helpdesk.testing import wait_until
from helpdesk.tickets import actions
from helpdesk.tickets.actions import Origin
from helpdesk.tickets.models import EventSource, TicketEvent
from helpdesk.users.actions import issue_tokens

from .conftest import running_server

DOCUMENT = ROOT / "docs" / "websocket.md"
# A browser has WebSocket; Node shows it by itself from version 22 on.
NODE_OPTIONS = ["--experimental-websocket", "--no-warnings"]
RUNNERS = {
    "javascript": """
        const [url, token] = process.argv.slice(2);
        const say = (line) => console.log(JSON.stringify(line));
        const onEvent = (event) => say(event.seq);
        listen(url, () => token, { onEvent, onResync: () => say("resync"), retrySeconds: 0.2, pauseSeconds: 0.1 });
    """,
    "python": """
import sys
url, token = sys.argv[1:]
def say(line):
    print(json.dumps(line), flush=True)
asyncio.run(listen(url, lambda: token, lambda event: say(event["seq"]), lambda: say("resync"), retry_seconds=0.2, pause_seconds=0.1))
    """,
}
SUFFIXES = {"javascript": "mjs", "python": "py"}


def node():
    found = find_node() or shutil.which("node")
    check = [str(found), *NODE_OPTIONS, "-e", "new WebSocket('ws://127.0.0.1:1').onerror = () => {}"]
    if found is None or subprocess.run(check, capture_output=True, check=False).returncode:
        pytest.skip("There is no Node with WebSocket: it needs version 20.10 or newer")
    return [str(found), *NODE_OPTIONS]


def command_of(language):
    return node() if language == "javascript" else [sys.executable]


@contextmanager
def running_client(language, folder, url, token):
    """Run a client of the document; yield a function that returns what it has written so far."""
    (code,) = re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    program, output = folder / f"client.{SUFFIXES[language]}", folder / f"{language}.output"
    program.write_text(code + RUNNERS[language])
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    with output.open("wb") as file:
        client = subprocess.Popen([*command_of(language), program, url, token], stdout=file, env=environment)
    try:
        yield lambda: [json.loads(line) for line in output.read_text().splitlines()]
    finally:
        client.kill()
        client.wait()


@pytest.mark.parametrize("language", ["javascript", "python"])
def test_a_client_that_is_one_too_many_comes_back(
    tmp_path, server, listening, announcing, customer, agent, ticket, language
):
    command_of(language)
    token = issue_tokens(customer)["access"]

    def tell():
        actions.add_comment(Origin(agent, EventSource.API), ticket.pk, content="Hello")
        wait_until(lambda: not TicketEvent.objects.unannounced().exists())

    with running_client(language, tmp_path, f"ws://{server}/ws/notifications/", token) as applied:
        wait_until(lambda: applied() or tell())
        so_far = len(applied())
        others = [listening(customer) for _ in range(SOCKETS_PER_USER)]
        tell()
        wait_until(lambda: len(applied()) > so_far)
        told = applied()

    assert told == list(range(told[0], told[0] + len(told)))
    assert others.pop(0).closing()[1] == CloseCode.TOO_MANY_SOCKETS


@pytest.mark.parametrize("language", ["javascript", "python"])
def test_a_client_applies_each_event_once_across_a_killed_server(
    tmp_path, announcing, customer, agent, ticket, language
):
    command_of(language)
    port, token = free_port(), issue_tokens(customer)["access"]

    def tell():
        actions.add_comment(Origin(agent, EventSource.API), ticket.pk, content="Hello")
        wait_until(lambda: not TicketEvent.objects.unannounced().exists())

    with running_server(tmp_path / "first", port=port) as (server, host):
        url = f"ws://{host}/ws/notifications/"
        with running_client(language, tmp_path, url, token) as applied:
            wait_until(lambda: applied() or tell())
            so_far = len(applied())
            server.kill()
            tell()
            tell()
            with running_server(tmp_path / "second", port=port):
                wait_until(lambda: len(applied()) >= so_far + 2)
                tell()
                wait_until(lambda: len(applied()) >= so_far + 3)
                told = applied()

    assert told == list(range(told[0], told[0] + len(told)))
