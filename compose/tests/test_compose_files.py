"""The compose files and the Dockerfiles: what they expose, bound, pin and agree on."""

import os
import re
import shlex
import shutil
import subprocess
from ipaddress import ip_network

import pytest
from django.urls import resolve
from flower.urls import handlers as flower_handlers

from compose.embedded.options import ROOT
from compose.embedded.product import BIN
from compose.tests import compose_files
from compose.tests.compose_files import read_compose_file, scripts_of
from config.tests.variables import READ_BY_OTHERS, lines_of, read_by_settings

COMPOSE_FILES = [compose_files.LOCAL, compose_files.PRODUCTION]
LOCAL, PRODUCTION = map(read_compose_file, COMPOSE_FILES)
STACKS = {"local": LOCAL, "production": PRODUCTION}
SERVICES = [
    pytest.param(name, service, id=f"{stack}-{name}")
    for stack, content in STACKS.items()
    for name, service in content["services"].items()
]
each_service = pytest.mark.parametrize("name, service", SERVICES)
each_stack = pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS.keys())

SCALABLE = ["web", "websocket", "celeryworker"]
READ_BY_IMAGES = {"mailpit": {"MP_MAX_MESSAGES"}, "postgres": {"POSTGRES_INITDB_ARGS"}, "proxy": {"GOMEMLIMIT"}}
# How those are asked that are not asked over HTTP.
CHECKS = {
    "celeryworker": "celery --app config inspect ping",
    "postgres": "pg_isready",
    "redis": "redis-cli ping",
    "mailpit": "/mailpit readyz",
}
HTTP_CHECK = re.compile(r"(?:(?:localhost|127\.0\.0\.1):|/healthcheck )(\d+)\s?(/\w*)")
FLOWER_PATHS = [handler[0] for handler in flower_handlers if isinstance(handler, tuple)]
PRODUCTION_STARTS = ROOT / "compose" / "production" / "django"


def builds_of(stack, image):
    """Return the build sections for an image, by the name of their service."""
    return {
        name: service["build"]
        for name, service in stack["services"].items()
        if service["image"] == image and "build" in service
    }


def waited_for_by(stack, name):
    """Return the services that are started before one, the indirect ones too."""
    direct = stack["services"][name].get("depends_on", {})
    return direct.keys() | {other for dependency in direct for other in waited_for_by(stack, dependency)}


def start_of(name, service):
    """Return the text that says how a service starts and on which ports it listens."""
    if name == "proxy":
        return (ROOT / "compose" / "production" / "proxy" / "Caddyfile").read_text()
    build = next(build for stack in STACKS.values() for build in builds_of(stack, service["image"]).values())
    return scripts_of(ROOT / build["dockerfile"])[re.search(r"/start[\w-]*", str(service["command"]))[0]].read_text()


def variables_of(service):
    from_files = [name for path in service.get("env_file", []) for name in lines_of(ROOT / path)]
    return {*from_files, *service.get("environment", {})}


@each_service
def test_its_variables_are_read(name, service):
    assert variables_of(service) - read_by_settings() - READ_BY_OTHERS == READ_BY_IMAGES.get(name, set())


@each_service
def test_it_listens_on_the_ports_that_are_published(name, service):
    published = {int(port.rpartition(":")[2]) for port in service.get("ports", [])}
    if not published:
        return

    start = "8025" if name == "mailpit" else start_of(name, service)

    assert [port for port in published if not re.search(rf"\b{port}\b", start)] == []


@each_service
def test_its_health_check_asks_for_something_that_exists(name, service):
    check = " ".join(service.get("healthcheck", {}).get("test", []))
    match = HTTP_CHECK.search(check)

    if match is None:
        assert not check or CHECKS[name] in check
        return
    port, path = match.groups()
    assert re.search(rf"\b{port}\b", start_of(name, service))
    assert path in FLOWER_PATHS if name == "flower" else path == "/" if name == "proxy" else resolve(path)


def test_what_holds_a_service_up_is_checked():
    checked = {name for name, service in PRODUCTION["services"].items() if "healthcheck" in service}

    assert checked == {"proxy", "web", "websocket", "celeryworker", "flower", "postgres", "redis"}


def test_local_pages_are_where_make_up_has_them_and_on_this_machine_alone():
    ports = {name: service["ports"] for name, service in LOCAL["services"].items() if "ports" in service}

    assert ports == {
        "django": ["127.0.0.1:8000:8000"],
        "flower": ["127.0.0.1:5555:5555"],
        "mailpit": ["127.0.0.1:8025:8025"],
    }


def test_in_production_only_the_proxy_is_reached_from_outside():
    ports = {name: service["ports"] for name, service in PRODUCTION["services"].items() if "ports" in service}

    assert ports == {"proxy": ["80:8080", "443:8443"], "flower": ["127.0.0.1:5555:5555"]}
    assert PRODUCTION["networks"]["data"] == {"internal": True}
    assert {
        name for name in ("postgres", "redis", "backups") if PRODUCTION["services"][name]["networks"] != ["data"]
    } == set()


def test_ipv6_clients_reach_the_proxy_with_their_own_address():
    network = PRODUCTION["networks"]["default"]
    (pool,) = network["ipam"]["config"]
    subnet = ip_network(pool["subnet"])

    assert network["enable_ipv6"] is True
    assert "default" in PRODUCTION["services"]["proxy"].get("networks", ["default"])
    assert (subnet.version, subnet.prefixlen, subnet.is_private) == (6, 64, True)


def test_the_proxy_knows_no_secrets():
    assert variables_of(PRODUCTION["services"]["proxy"]) == {"SITE_URL", "DJANGO_ALLOWED_HOSTS", "GOMEMLIMIT"}


@pytest.mark.parametrize("name", SCALABLE)
def test_a_service_that_is_scaled_has_neither_a_name_nor_a_port_of_its_own(name):
    assert PRODUCTION["services"][name].keys() & {"container_name", "ports", "hostname"} == set()


@pytest.mark.parametrize("name", PRODUCTION["services"])
def test_in_production_a_service_is_bounded_and_may_do_little(name):
    service = PRODUCTION["services"][name]

    assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert {"cpus", "mem_limit", "pids_limit"} <= service.keys()
    assert "stop_grace_period" in service or name == "migrate"


@each_service
def test_its_limits_are_in_one_place(name, service):
    # Compose 2 refuses a service whose `pids_limit` differs from the `pids` of its `deploy.resources.limits`,
    # and docker-compose 1.29 does not have the latter.
    assert "deploy" not in service


@each_stack
def test_an_image_is_built_by_one_service_that_starts_before_the_others_that_run_it(stack):
    images = {service["image"] for service in stack["services"].values()}
    builders = {image: list(builds_of(stack, image)) for image in images}
    built = {image: names for image, names in builders.items() if names}

    users = {
        name: service
        for name, service in stack["services"].items()
        if service["image"] in built and "build" not in service
    }

    assert [names for names in built.values() if len(names) != 1] == []
    assert [name for name, service in users.items() if service["pull_policy"] != "never"] == []
    assert [
        name for name, service in users.items() if not set(built[service["image"]]) <= waited_for_by(stack, name)
    ] == []


@each_stack
def test_a_service_that_builds_its_image_is_not_kept_from_it(stack):
    assert [
        name for name, service in stack["services"].items() if "build" in service and "pull_policy" in service
    ] == []


def test_redis_evicts_what_is_not_in_use_and_keeps_nothing_on_disk_in_both_stacks():
    commands = {stack["services"]["redis"]["command"] for stack in STACKS.values()}

    assert len(commands) == 1
    options = shlex.split(commands.pop())[1:]
    assert dict(zip(options[::2], options[1::2], strict=True)) == {
        "--maxmemory": "256mb",
        "--maxmemory-policy": "volatile-lru",
        "--maxmemory-samples": "10",
        "--save": "",
    }
    assert not any("volumes" in stack["services"]["redis"] for stack in STACKS.values())


def test_the_proxy_looks_for_the_addresses_on_which_the_servers_listen():
    scripts = [PRODUCTION_STARTS / "start", PRODUCTION_STARTS / "websocket" / "start"]

    assert all("0.0.0.0" in script.read_text() for script in scripts)
    assert "versions ipv4\n" in (ROOT / "compose" / "production" / "proxy" / "Caddyfile").read_text()


DOCKERFILES = sorted((ROOT / "compose").glob("*/*/Dockerfile"))
FROM = re.compile(r"^FROM (docker\.io/\S+)", re.MULTILINE)
PINNED = re.compile(r"docker\.io/[\w/]+:v?\d+\.\d+[\w.-]*")


def test_all_images_are_pinned_and_services_of_both_stacks_have_the_same():
    images = {
        (name, service["image"])
        for stack in STACKS.values()
        for name, service in stack["services"].items()
        if "build" not in service and "pull_policy" not in service
    }
    bases = [base for path in DOCKERFILES for base in FROM.findall(path.read_text())]

    assert len(bases) >= len(DOCKERFILES) > 0
    assert [image for image in (*bases, *(image for _, image in images)) if not PINNED.fullmatch(image)] == []
    assert len({name for name, _ in images}) == len(images)


def test_both_stacks_have_the_python_that_the_lock_files_are_made_for():
    pythons = {base for path in DOCKERFILES for base in FROM.findall(path.read_text()) if "/python:" in base}
    requires = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())

    assert len(pythons) == 1
    assert requires
    assert pythons.pop().startswith(f"docker.io/python:{requires[1]}.")


def test_the_proxy_that_is_tested_is_the_one_in_the_image():
    # Older ones let X_Forwarded_For pass, which servers take for X-Forwarded-For.
    tested = re.search(r"^caddyserver==(\S+)", (ROOT / "requirements" / "containers.txt").read_text(), re.MULTILINE)
    dockerfile = (PRODUCTION_STARTS / "Dockerfile").read_text()

    assert tested
    assert f"docker.io/caddy:{tested[1]}-alpine" in dockerfile


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.relative_to(ROOT).parent))
def test_scripts_that_become_commands_can_be_run(path):
    scripts = [script for script in scripts_of(path).values() if script.is_file()]

    assert [script for script in scripts if not os.access(script, os.X_OK)] == []
    assert all(script.exists() for script in scripts_of(path).values())


def test_the_local_entrypoint_compiles_the_translations_and_runs_the_command(tmp_path):
    folder = tmp_path / "helpdesk" / "locale" / "es" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / folder.relative_to(tmp_path) / "django.po", folder)
    entrypoint = ROOT / "compose" / "local" / "django" / "entrypoint"
    environment = {"PATH": f"{BIN}:{os.defpath}", "HOSTNAME": "django"}

    ended = subprocess.run(
        [str(entrypoint), "ls", str(folder)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stdout.split()) == (0, ["django.mo", "django.po"]), ended.stderr
