"""The Dockerfiles name what exists, and what they make of it is enough to run."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from compose.embedded.compose_files import COMPOSE_FILES, read_compose_file
from compose.embedded.dockerfile import is_sent, read_stages
from compose.embedded.image import BIN
from compose.embedded.options import ROOT

DOCKERFILES = sorted((ROOT / "compose").glob("*/*/Dockerfile"))
PINNED = re.compile(r"docker\.io/[\w/]+:v?\d+\.\d+[\w.-]*")
PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "config.settings.production",
    "DJANGO_SECRET_KEY": "0123456789-abcdefghijklmnopqrstuvwxyz-0123456789-abc",
    "DJANGO_ALLOWED_HOSTS": "helpdesk.example.com",
    "SITE_URL": "https://helpdesk.example.com",
    "DATABASE_URL": "postgres://helpdesk:secret@postgres.invalid:5432/helpdesk",
    "REDIS_URL": "redis://redis.invalid:6379/0",
    "EMAIL_HOST": "smtp.invalid",
}

each_dockerfile = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.relative_to(ROOT).parent))


def bases(path):
    """Return the images that a Dockerfile starts from, without its own stages."""
    stages = read_stages(path)
    return {stage.base for stage in stages.values() if stage.base not in stages}


def test_there_is_a_dockerfile_for_each_image_that_is_built():
    built = {
        ROOT / service["build"]["dockerfile"]
        for path in COMPOSE_FILES
        for service in read_compose_file(path)["services"].values()
        if "build" in service
    }

    assert built == set(DOCKERFILES)


@each_dockerfile
def test_images_start_from_pinned_ones(path):
    assert bases(path)
    assert [base for base in bases(path) if not PINNED.fullmatch(base)] == []


def test_services_without_a_dockerfile_run_pinned_images_the_same_everywhere():
    images = defaultdict(set)
    for path in COMPOSE_FILES:
        for name, service in read_compose_file(path)["services"].items():
            if "build" not in service and "pull_policy" not in service:
                images[name].add(service["image"])

    assert all(len(names) == 1 for names in images.values()), images
    assert [name for names in images.values() for name in names if not PINNED.fullmatch(name)] == []


def test_both_stacks_have_the_python_that_the_lock_files_are_made_for():
    pythons = {base for path in DOCKERFILES for base in bases(path) if "/python:" in base}
    requires = re.search(r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text())

    assert len(pythons) == 1
    assert requires
    assert pythons.pop().startswith(f"docker.io/python:{requires[1]}.")


def test_the_proxy_that_is_tested_is_the_one_in_the_image():
    # Older ones let X_Forwarded_For pass, which servers take for X-Forwarded-For.
    tested = re.search(r"^caddyserver==(\S+)", (ROOT / "requirements" / "containers.txt").read_text(), re.MULTILINE)
    stages = read_stages(ROOT / "compose" / "production" / "django" / "Dockerfile")

    assert tested
    assert stages["proxy"].base == f"docker.io/caddy:{tested[1]}-alpine"


@each_dockerfile
def test_what_is_copied_exists_and_is_sent_to_the_builder(path):
    stages = read_stages(path)
    copies = [copy for stage in stages.values() for copy in stage.copies]

    ours = [source for origin, sources, _ in copies if not origin for source in sources]

    assert ours
    assert [source for source in ours if not (ROOT / source).exists() or not is_sent(source)] == []
    assert {origin for origin, _, _ in copies if origin} <= stages.keys()


@each_dockerfile
def test_scripts_that_become_commands_can_be_run(path):
    scripts = [
        ROOT / source
        for stage in read_stages(path).values()
        for origin, sources, target in stage.copies
        if not origin and re.fullmatch(r"/[\w-]+", target)
        for source in sources
    ]

    assert [script for script in scripts if not os.access(script, os.X_OK)] == []


@each_dockerfile
def test_nothing_runs_as_root(path):
    stages = read_stages(path)
    targets = {
        service["build"].get("target", "")
        for compose_file in COMPOSE_FILES
        for service in read_compose_file(compose_file)["services"].values()
        if "build" in service and ROOT / service["build"]["dockerfile"] == path
    }

    users = [stages[target].all("USER")[-1] for target in targets]

    assert users
    assert all(re.fullmatch(r"[1-9]\d*:[1-9]\d*", user) for user in users), users


@pytest.mark.parametrize(
    "path", [".envs/.production/.django", ".git/config", "helpdesk/demo/tests/generate.py", "docs/architecture.md"]
)
def test_neither_secrets_nor_tests_are_sent_to_the_builder(path):
    assert not is_sent(path)


def test_the_production_image_has_hashed_static_files_translations_and_no_tests(production_image):
    app = production_image / "app"
    manifest = json.loads((app / "staticfiles" / "staticfiles.json").read_text())["paths"]

    assert re.fullmatch(r"admin/css/base\.[0-9a-f]{12}\.css", manifest["admin/css/base.css"])
    assert (app / "staticfiles" / f"{manifest['admin/css/base.css']}.gz").exists()
    assert (app / "helpdesk" / "locale" / "es" / "LC_MESSAGES" / "django.mo").exists()
    assert list(app.rglob("tests")) == []


def test_the_production_image_passes_djangos_checks_for_deployment(production_image):
    ended = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=production_image / "app",
        env={"PATH": os.environ["PATH"]} | PRODUCTION,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr


def test_the_servers_that_the_production_image_starts_are_among_its_packages():
    scripts = "\n".join(path.read_text() for path in Path(ROOT / "compose/production/django").rglob("start"))
    packages = re.findall(r"^([\w-]+)==", (ROOT / "requirements" / "production.txt").read_text(), re.MULTILINE)

    modules = set(re.findall(r"python -m ([\w.]+)", scripts)) | set(re.findall(r"--quiet (flower)", scripts))

    assert modules == {"config.web_server", "daphne", "celery", "flower"}
    assert modules - {"config.web_server"} | {"granian"} <= set(packages)


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
