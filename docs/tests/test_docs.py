"""What the documents name exists, and the commands of the README work as they stand."""

import json
import re
import subprocess

import httpx
import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.management import call_command, get_commands

from helpdesk.monitoring.health import run_checks

ROOT = settings.BASE_DIR
SITE = "http://localhost:8000"
READMES = [ROOT / "README.md", ROOT / "README.es.md"]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
CODE = [
    path
    for folder in ("config", "helpdesk", "compose", "faults", "benchmarks")
    for path in (ROOT / folder).rglob("*")
    if path.is_file() and "node_modules" not in path.parts and path.suffix not in {".pyc", ".mo", ".png"}
]

# What differs from run to run: numbers of rows, times and the names of requests.
ROW_NUMBERS = {"id", "ticket", "comment"}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
TITLE = re.compile(r"^#+ (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)]+)\)")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NEXT_BLOCK = "--- next block ---"


def tour(readme):
    """Return the commands that ask the server, and the (language, text) of what the document shows as their answers."""
    blocks = BLOCK.findall(readme.read_text())
    asking = [place for place, (language, text) in enumerate(blocks) if language == "bash" and "curl" in text]
    return [blocks[place][1] for place in asking], [blocks[place + 1] for place in asking]


def run(commands, *, site):
    """Run the commands in one shell; return what each wrote to stdout."""
    script = "set -euo pipefail\n" + f"echo '{NEXT_BLOCK}'\n".join(commands).replace(SITE, site)
    ended = subprocess.run(["bash"], input=script, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout.split(f"{NEXT_BLOCK}\n")


def lasting(value, name=""):
    """Return an answer without what differs from run to run."""
    if isinstance(value, dict):
        return {key: lasting(inner, key) for key, inner in value.items()}
    if name in ROW_NUMBERS:
        return 0
    return "a moment" if isinstance(value, str) and MOMENT.fullmatch(value) else value


@pytest.fixture
def demo(transactional_db):
    cache.clear()
    call_command("generate_fake_data", tickets=20, seed=1, verbosity=0)
    call_command("create_demo_admin", verbosity=0)


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_commands_work_as_they_stand_and_answer_what_is_shown(readme, demo, live_server):
    commands, shown = tour(readme)

    outputs = run(commands, site=live_server.url)

    assert commands
    for (language, text), output in zip(shown, outputs, strict=True):
        if language == "json":
            assert lasting(json.loads(output)) == lasting(json.loads(text))
        else:
            assert output == text


def test_pages_of_the_readme_answer(demo, live_server):
    pages = {url for url in re.findall(r"http://[^\s|`]*/", READMES[0].read_text()) if url.startswith(SITE)}

    statuses = {url: httpx.get(url.replace(SITE, live_server.url), follow_redirects=True).status_code for url in pages}

    assert len(statuses) >= 5
    assert set(statuses.values()) == {200}, statuses


@pytest.mark.parametrize("username", ["customer_1", "agent_1", "admin"])
def test_logins_of_the_readme_work(username, demo, live_server):
    credentials = {"username": username, "password": "testpass123"}

    response = httpx.post(f"{live_server.url}/api/auth/token/", json=credentials)

    assert response.status_code == 200


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_names_exists(document):
    text = document.read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    broken = [link for link in LINK.findall(text) if "://" not in link and not leads_somewhere(document, link)]
    paths = re.findall(r"`((?:config|helpdesk|compose|docs|faults|benchmarks|requirements)/[\w./]+)`", text)
    commands = re.findall(r"(?:manage\.py|make manage ARGS=\"?) ?([a-z][a-z_]+)", text)

    assert broken == []
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)) <= targets
    assert set(commands) <= get_commands().keys() | {"pytest"}


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md", "SECURITY.md"])
def test_identifiers_that_a_document_names_are_in_the_code(name):
    named = set(re.findall(r"`([A-Za-z]+_\w+)(?:\(\))?`", (ROOT / name).read_text())) - {"post_save"}
    code = "\n".join(path.read_text() for path in CODE)

    assert sorted(identifier for identifier in named if identifier not in code) == []


def test_operations_says_what_to_do_about_each_health_check(db):
    documented = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)

    assert run_checks()["checks"].keys() <= set(documented)


def leads_somewhere(document, link):
    path, _, section = link.partition("#")
    target = document.parent / path if path else document
    if not (target.exists() and section):
        return target.exists()
    titles = TITLE.findall(target.read_text())
    return section in {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}
