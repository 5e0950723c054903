"""What the README promises is tried, as a reader would: its commands against a live server, its links, its tables."""

import json
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from django.core.cache import cache
from django.core.management import call_command, load_command_class

from compose.embedded.demo import DEMO_PASSWORD
from compose.embedded.options import ROOT, read_options, read_production_options

SITE = "http://localhost:8000"
READMES = [ROOT / "README.md", ROOT / "README.es.md"]
SECURITY = ROOT / "SECURITY.md"
DOCUMENTS = [*READMES, ROOT / "CHANGELOG.md", SECURITY, *sorted((ROOT / "docs").glob("*.md"))]

# What differs from run to run: numbers of rows, times and the names of requests.
ROW_NUMBERS = {"id", "ticket", "comment"}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
NUMBER = re.compile(r"\b\d+\b")
TITLE = re.compile(r"^#+ (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)]+)\)")

STATUSES_OF_THE_TOUR = [
    "200 /api/auth/token/",
    "201 /api/tickets/",
    "200 /api/tickets/?search=teap+coff",
    "200 /api/tickets/?search=teapot",
    "201 /api/comments/",
    "201 /api/comments/",
    "200 /api/auth/token/",
    "200 /api/users/me/",
    "200 /api/tickets/1/",
    "200 /api/tickets/1/events/",
    "403 /api/tickets/1/",
]
# What every command of Django's has.
GENERAL_OPTIONS = {
    "help",
    "version",
    "verbosity",
    "settings",
    "pythonpath",
    "traceback",
    "no_color",
    "force_color",
    "skip_checks",
}
SHOWN_DEFAULTS = {None: "random", False: ""}
NEXT_BLOCK = "--- next block ---"
# Before the reader's commands: curl also tells on stderr what it was answered.
SHOW_STATUSES = r"""
set -euo pipefail
curl() { command curl --write-out '%{stderr}%{http_code} %{url_effective}\n' "$@"; }
"""


class Block(NamedTuple):
    language: str
    text: str


def blocks(document: Path) -> list[Block]:
    found = re.findall(r"^```(\w+)\n(.*?)^```$", document.read_text(), re.DOTALL | re.MULTILINE)
    return [Block(*block) for block in found]


def tour(document: Path) -> tuple[list[str], list[Block]]:
    """Return the commands that ask the server, and what the document shows as their answers."""
    found = blocks(document)
    asking = [number for number, block in enumerate(found) if block.language == "bash" and "curl" in block.text]
    return [found[number].text for number in asking], [found[number + 1] for number in asking]


def run(commands, *, site):
    """Run the commands in one shell; return what each wrote to stdout, and the answers' statuses with their paths."""
    script = SHOW_STATUSES + f"echo '{NEXT_BLOCK}'\n".join(commands).replace(SITE, site)
    ended = subprocess.run(["bash"], input=script, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout.split(f"{NEXT_BLOCK}\n"), ended.stderr.replace(site, "").splitlines()


def lasting(block, text):
    """Return an output without what differs from run to run."""
    if block.language == "json":
        return without_the_passing(json.loads(text))
    return NUMBER.sub("0", text)


def without_the_passing(value, name=""):
    match value:
        case dict():
            return {key: without_the_passing(inner, key) for key, inner in value.items()}
        case list():
            return [without_the_passing(inner) for inner in value]
        case int() if name in ROW_NUMBERS:
            return 0
        case str() if MOMENT.fullmatch(value):
            return "a moment"
        case str() if name == "request_id":
            return "a request"
        case _:
            return value


@pytest.fixture
def demo(transactional_db):
    cache.clear()
    call_command("generate_fake_data", tickets=20, seed=1, verbosity=0)
    call_command("create_demo_admin", verbosity=0)


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_its_commands_work_as_they_stand_and_answer_what_it_shows(readme, demo, live_server):
    commands, shown = tour(readme)

    outputs, statuses = run(commands, site=live_server.url)

    assert [re.sub(r"tickets/\d+", "tickets/1", status) for status in statuses] == STATUSES_OF_THE_TOUR
    answers = [lasting(block, output) for block, output in zip(shown, outputs, strict=True)]
    assert answers == [lasting(block, block.text) for block in shown]


def test_its_pages_answer(demo, live_server):
    pages = {
        url for url in re.findall(r"http://localhost:\d+/[^\s|`]*", READMES[0].read_text()) if url.startswith(SITE)
    }

    statuses = {url: httpx.get(url.replace(SITE, live_server.url), follow_redirects=True).status_code for url in pages}

    assert len(statuses) >= 5
    assert set(statuses.values()) == {200}, statuses


@pytest.mark.parametrize("username", ["customer_1", "customer_50", "agent_1", "agent_10", "admin"])
def test_its_logins_work(username, demo, live_server):
    credentials = {"username": username, "password": "testpass123"}

    response = httpx.post(f"{live_server.url}/api/auth/token/", json=credentials)

    assert response.status_code == 200


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_it_names_the_ports_and_the_password_that_make_up_uses(readme):
    options = read_options({})
    text = readme.read_text()

    ports = set(map(int, re.findall(r"localhost:(\d+)", text)))

    assert ports == {options.port, options.mail_port, options.flower_port, read_production_options({}).port}
    assert SITE.endswith(f":{options.port}")
    assert f"`{DEMO_PASSWORD}`" in text


def test_both_languages_have_the_same_commands_and_outputs():
    english, spanish = map(blocks, READMES)

    assert english == spanish


def test_both_languages_have_the_same_sections_tables_and_variables():
    english, spanish = (
        {
            "sections": len(TITLE.findall(text)),
            "rows": [len(row.split("|")) for row in text.splitlines() if row.startswith("|")],
            "first cells that are code": re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE),
            "links": sorted(set(LINK.findall(text)) - {readme.name for readme in READMES}),
        }
        for text in (readme.read_text() for readme in READMES)
    )

    assert english == spanish


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_its_make_targets_are_those_of_the_makefile(readme):
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))

    named = set(re.findall(r"(?:^|`)make ([a-z]+)", readme.read_text(), re.MULTILINE))

    assert named == targets - {"help"}


def test_its_options_of_the_demo_command_are_all_of_them_with_their_defaults():
    parser = load_command_class("helpdesk.tickets", "generate_fake_data").create_parser(
        "manage.py", "generate_fake_data"
    )
    own = {action.dest: action.default for action in parser._actions if action.dest not in GENERAL_OPTIONS}
    table = re.findall(r"^\| (`--.*?) \|(.*?)\|", READMES[0].read_text(), re.MULTILINE)

    documented = {
        name.replace("-", "_"): default
        for names, defaults in table
        for name, default in zip(re.findall(r"--([a-z-]+)", names), defaults.strip().split(", "), strict=True)
    }

    assert documented.keys() == own.keys()
    assert documented == {name: SHOWN_DEFAULTS.get(default, str(default)) for name, default in own.items()}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_and_sections_that_exist(document):
    links = [link for link in LINK.findall(document.read_text()) if "://" not in link]

    broken = [link for link in links if not leads_somewhere(document, link)]

    assert broken == []


def leads_somewhere(document, link):
    path, _, section = link.partition("#")
    target = document.parent / path if path else document
    if not target.exists():
        return False
    return not section or section in {title.lower().replace(" ", "-") for title in TITLE.findall(target.read_text())}


def test_paths_that_the_documents_name_exist():
    for document in DOCUMENTS:
        named = re.findall(r"`((?:config|helpdesk|compose|docs)/[\w./]+)`", document.read_text())

        assert [path for path in named if not (ROOT / path).exists()] == [], document.name


def test_a_decision_takes_ten_lines():
    _, *records = re.split(r"^## ", (ROOT / "docs" / "decisions.md").read_text(), flags=re.MULTILINE)

    for record in records:
        lines = [line for line in record.splitlines() if line]
        assert len(lines) <= 10, lines[0]
        assert re.findall(r"^- \*\*(\w+)\.\*\*", record, re.MULTILINE) == [
            "Context",
            "Decision",
            "Why",
            "Consequence",
        ], lines[0]


def test_the_license_is_mit():
    text = (ROOT / "LICENSE").read_text()

    assert text.startswith("MIT License\n\nCopyright (c) 2026 The Helpdesk authors\n")
