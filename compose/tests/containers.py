"""The stacks of the compose files in real containers, each under a project name and ports of its own."""

import json
import os
import re
import secrets
import shutil
import ssl
import subprocess
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import httpx
from psycopg import sql

from compose.embedded.options import ROOT
from compose.embedded.ports import LOOPBACK, free_port
from compose.tests.compose_files import compose_tool
from compose.tests.production_stack import FOR_A_LOAD, socket_tls
from faults.site import Site
from faults.stack import USER_OPTIONS, USERNAMES
from helpdesk.testing import wait_until

PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"
START_SECONDS = 180
MAIL_PAGE = 200
AUTHORITY = "/data/caddy/pki/authorities/local/root.crt"
EMPTY = re.compile(r"^(\w+)=$", re.MULTILINE)
DATABASE, ACCOUNT, PASSWORD = "helpdesk", "helpdesk", secrets.token_hex(16)
VALUES = {
    "SITE_URL": "https://localhost",
    "DJANGO_ALLOWED_HOSTS": "localhost",
    "DJANGO_SECRET_KEY": secrets.token_urlsafe(50),
    "REDIS_URL": "redis://redis:6379/0",
    "EMAIL_HOST": "mailpit",
    "CELERY_FLOWER_USER": "flower",
    "CELERY_FLOWER_PASSWORD": secrets.token_hex(16),
    "POSTGRES_DB": DATABASE,
    "POSTGRES_USER": ACCOUNT,
    "POSTGRES_PASSWORD": PASSWORD,
    "DATABASE_URL": f"postgres://{ACCOUNT}:{PASSWORD}@postgres:5432/{DATABASE}",
}
"""What an operator fills into the templates in .envs/.production."""


class ComposeStack(Site):
    """One compose file, run from a copy of the tracked files, as an operator runs it from a clone."""

    def __init__(self, folder, *, files, variables):
        super().__init__()
        self.folder = folder
        self.mail_port = free_port()
        self.project = f"helpdesk-test-{secrets.token_hex(4)}"
        self.tool = compose_tool()
        self.environment = {
            **os.environ,
            "DOCKER_BUILDKIT": "1",
            "COMPOSE_DOCKER_CLI_BUILD": "1",
            "COMPOSE_FILE": ":".join(files),
            "COMPOSE_PROJECT_NAME": self.project,
            "MAIL_PORT": str(self.mail_port),
            **variables,
        }
        self.labelled = ["--filter", f"label={PROJECT}={self.project}"]
        copy_tracked_files(folder)

    def compose(self, *arguments, content=None, seconds=900):
        """Run a command of Docker Compose; return what it printed, AssertionError with the end of it if it failed."""
        return self.run(*self.tool, *arguments, content=content, seconds=seconds)

    def run(self, *command, content=None, seconds=900):
        """Run a command in the copy, as an operator does."""
        ended = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            input=content,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert ended.returncode == 0, f"{command}: {ended.stdout[-4000:]}\n{ended.stderr[-4000:]}"
        return ended.stdout

    def execute(self, service, *command, content=None):
        return self.compose("exec", "-T", service, *command, content=content)

    def manage(self, service, *arguments):
        return self.compose("run", "--rm", "-T", service, "python", "manage.py", *arguments)

    def containers(self, service):
        return docker("ps", "--all", "--quiet", *self.labelled, "--filter", f"label={SERVICE}={service}").split()

    def state(self, service):
        """Return what the engine says of each container of a service."""
        return [inspected(container) for container in self.containers(service)]

    def is_healthy(self, service):
        states = [container["State"] for container in self.state(service)]
        return bool(states) and all(
            state["Running"] and state.get("Health", {}).get("Status", "healthy") == "healthy" for state in states
        )

    def wait_until_healthy(self, *services):
        for service in services:
            wait_until(partial(self.is_healthy, service), seconds=START_SECONDS, what=f"{service} is healthy")

    def down(self):
        self.compose("down", "--volumes", "--remove-orphans", "--timeout=10")

    def left_over(self):
        """Return the ids of all containers, networks and volumes that the engine still has of this stack."""
        lists = (["ps", "--all"], ["network", "ls"], ["volume", "ls"])
        return [name for kind in lists for name in docker(*kind, "--quiet", *self.labelled).split()]

    def sql(self, query, *parameters, rows=True):
        text = "".join(
            part.replace("%%", "%") + literal
            for part, literal in zip(query.split("%s"), [*map(literal_of, parameters), ""], strict=True)
        )
        as_json = f"SELECT coalesce(json_agg(row_to_json(found)), '[]') FROM ({text}) AS found"
        options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--username", ACCOUNT, DATABASE]
        output = self.execute("postgres", "psql", *options, content=as_json)
        found = [tuple(plain(value) for _, value in row) for row in json.loads(output, object_pairs_hook=Pairs)]
        return found if rows else len(found)

    def mails(self, kind):
        url, found, total = f"http://{LOOPBACK}:{self.mail_port}/api/v1/messages", [], 1
        while len(found) < total:
            page = httpx.get(url, params={"start": len(found), "limit": MAIL_PAGE}).raise_for_status().json()
            found += page["messages"]
            total = page["total"] if page["messages"] else 0
        return [{"id": message["MessageID"], "to": message["To"][0]["Address"]} for message in reversed(found)]

    def make_users(self, service):
        self.manage(service, "generate_fake_data", *USER_OPTIONS)
        for username in USERNAMES:
            self.token(username)

    def wait_until_idle(self):
        self.wait_until_healthy(*self.services)
        wait_until(self.web_answers, what="the site answers")
        wait_until(self.is_idle, what="nothing is outstanding")


class ProductionContainers(ComposeStack):
    """docker-compose.production.yml with two web and two websocket, and an SMTP server beside it."""

    services = ("proxy", "web", "websocket", "celeryworker", "celerybeat", "announcer", "flower", "postgres", "redis")
    scale = ("--scale", "web=2", "--scale", "websocket=2")

    def __init__(self, folder):
        self.port, plain_port = free_port(), free_port()
        self.url, self.plain_site = f"https://localhost:{self.port}", f"http://localhost:{plain_port}"
        self.site_url = VALUES["SITE_URL"]
        ports = {"HTTP_PORT": plain_port, "HTTPS_PORT": self.port}
        super().__init__(
            folder,
            files=["docker-compose.production.yml", "compose/tests/mail.yml"],
            variables={
                **{name: f"{LOOPBACK}:{port}" for name, port in ports.items()},
                "FLOWER_PORT": str(free_port()),
                "IPV6_SUBNET": f"fd00:{secrets.token_hex(2)}:{secrets.token_hex(2)}::/64",
            },
        )
        fill_in(folder / ".envs" / ".production")
        self.authority = folder / "authority.crt"

    def up(self):
        self.compose("up", "--detach", "--build", *self.scale, seconds=1800)
        self.wait_until_healthy("proxy")
        wait_until(self.has_certificate, what="the proxy has a certificate")
        wait_until(self.web_answers, what="the site answers")
        self.make_users("web")

    def has_certificate(self):
        with suppress(AssertionError):
            self.authority.write_text(self.execute("proxy", "cat", AUTHORITY))
            return True
        return False

    @property
    def tls(self):
        return ssl.create_default_context(cafile=self.authority)

    @property
    def socket_tls(self):
        return socket_tls(self)


class LocalContainers(ComposeStack):
    """docker-compose.local.yml, whose source is the copy."""

    services = ("django", "celeryworker", "celerybeat", "announcer", "flower", "postgres", "redis", "mailpit")

    def __init__(self, folder):
        port, self.flower_port = free_port(), free_port()
        self.url = self.plain_site = f"http://localhost:{port}"
        variables = {"PORT": port, "FLOWER_PORT": self.flower_port}
        variables |= {"HELPDESK_UID": os.getuid(), "HELPDESK_GID": os.getgid()} | FOR_A_LOAD
        files = ["docker-compose.local.yml"]
        super().__init__(folder, files=files, variables={name: str(value) for name, value in variables.items()})

    def up(self):
        self.compose("up", "--detach", "--build", seconds=1800)
        self.wait_until_healthy(*self.services)
        self.make_users("django")


class Pairs(list[tuple[str, Any]]):
    """The members of a JSON object in their order, of which several may have one name."""


def plain(value):
    return {name: plain(inner) for name, inner in value} if isinstance(value, Pairs) else value


def literal_of(parameter):
    return sql.Literal(parameter).as_string(None)


def docker(*arguments):
    """Return what a command of the engine printed, its log of a container's errors included."""
    command = ["docker", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True).stdout


def inspected(container):
    (found,) = json.loads(docker("inspect", container))
    return found


def copy_tracked_files(folder):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (source := ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)


def fill_in(folder):
    """Give a value to every empty variable of the templates, and no limits to a load."""
    for path in map(folder.joinpath, (".site", ".django", ".postgres")):
        path.write_text(EMPTY.sub(lambda match: f"{match[1]}={VALUES[match[1]]}", path.read_text()))
    limits = FOR_A_LOAD | {"EMAIL_PORT": "1025"}
    with (folder / ".django").open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in limits.items())


@contextmanager
def running(stack):
    """Build and run a stack; take all of it down in the end."""
    try:
        stack.up()
        yield stack
    finally:
        stack.down()
