"""A variable that is missing or wrong stops the start with one line that names it."""

import os
import subprocess
import sys
from importlib import import_module
from unittest.mock import patch

import pytest

from config.environment import Environment
from config.tests.variables import COMPLETE, PRODUCTION, READ_BY_CONTAINERS, ROOT, lines_of

MEANINGS = {
    "DJANGO_SECRET_KEY": "it is Django's secret key",
    "DATABASE_URL": "it is the address of PostgreSQL",
    "REDIS_URL": "it is the address of Redis",
    "DJANGO_ALLOWED_HOSTS": "it lists the host names",
    "EMAIL_HOST": "it is the SMTP server",
}

ENV_FILES = sorted((ROOT / ".envs").glob(".*/.*"))
TEMPLATES = [path for path in ENV_FILES if path.parent.name == ".production"]


def check(variables, *options):
    """Run `manage.py check` in an environment of these variables alone."""
    return subprocess.run(
        [sys.executable, "manage.py", "check", *options],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def refusal(variables):
    """Import the settings with these variables alone; return the message that ends the start, None if there is none."""
    with patch.dict(sys.modules), patch.object(Environment, "ENVIRON", variables):
        for name in ("base", "local", "production"):
            sys.modules.pop(f"config.settings.{name}", None)
        try:
            import_module(variables["DJANGO_SETTINGS_MODULE"])
        except SystemExit as exit_:
            return exit_.code.removeprefix("helpdesk cannot start: ")
    return None


@pytest.mark.parametrize("missing", ["DJANGO_SECRET_KEY", "DATABASE_URL", "REDIS_URL"])
@pytest.mark.parametrize("how", ["unset", "empty"])
def test_a_missing_variable_is_named(missing, how):
    variables = COMPLETE | {missing: ""}
    if how == "unset":
        del variables[missing]

    assert refusal(variables).startswith(f"{missing} is not set: {MEANINGS[missing]}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EMAIL_PORT", "abc"),
        ("TRUSTED_PROXIES", "one"),
        ("DATABASE_URL", "garbage"),
        ("DATABASE_URL", "mysql://x/y"),
        *[
            ("CORS_ALLOWED_ORIGINS", origin)
            for origin in ("*", "null", "app.example.com", "https://app.example.com/", "https://*.com")
        ],
    ],
)
def test_a_variable_with_an_invalid_value_is_named(name, value):
    assert refusal(COMPLETE | {name: value}).startswith(f"{name} is invalid: ")


@pytest.mark.parametrize("name", ["DJANGO_ALLOWED_HOSTS", "EMAIL_HOST"])
def test_in_production_hosts_and_the_smtp_server_are_required(name):
    assert refusal(COMPLETE | PRODUCTION | {name: ""}).startswith(f"{name} is not set: {MEANINGS[name]}")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (
            "DJANGO_SECRET_KEY",
            lines_of(ROOT / ".envs" / ".local" / ".django")["DJANGO_SECRET_KEY"],
            "is public",
        ),
        ("DJANGO_SECRET_KEY", f"django-insecure-{COMPLETE['DJANGO_SECRET_KEY']}", "is public"),
        ("DJANGO_SECRET_KEY", COMPLETE["DJANGO_SECRET_KEY"][:49], "is weak"),
        ("DJANGO_SECRET_KEY", "changeme" * 8, "is weak"),
        ("DJANGO_SECRET_KEY_FALLBACKS", f"{COMPLETE['DJANGO_SECRET_KEY']},short", "is weak"),
        ("DJANGO_DEBUG", "true", "is true"),
        ("DJANGO_ALLOWED_HOSTS", "helpdesk.example.com,*", "is *"),
    ],
)
def test_production_refuses_values_for_development(name, value, reason):
    assert refusal(COMPLETE | PRODUCTION | {name: value}).startswith(f"{name} {reason}: ")


def test_a_refusal_is_one_line_on_stderr():
    ended = check(COMPLETE | {"REDIS_URL": ""})

    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("helpdesk cannot start: REDIS_URL is not set: ")


def test_the_required_variables_are_enough():
    ended = check(COMPLETE)

    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(("redirects", "code"), [("true", 0), ("false", 1)])
def test_django_finds_nothing_insecure_in_the_settings_of_production(redirects, code):
    variables = COMPLETE | PRODUCTION | {"DJANGO_SECURE_SSL_REDIRECT": redirects}

    assert check(variables, "--deploy", "--fail-level", "WARNING").returncode == code


def test_the_local_files_are_enough_for_the_local_settings():
    variables = {name: value for path in ENV_FILES if path not in TEMPLATES for name, value in lines_of(path).items()}

    assert refusal(variables) is None


def test_a_production_template_starts_only_when_every_empty_value_is_filled_in():
    variables = {name: value for path in TEMPLATES for name, value in lines_of(path).items()}
    refused = []

    while line := refusal(variables):
        name = line.partition(" ")[0]
        assert variables[name] == "", line
        refused.append(name)
        variables[name] = COMPLETE[name]

    assert set(refused) == COMPLETE.keys() - {"DJANGO_SETTINGS_MODULE"}
    # PostgreSQL's image and Flower refuse to start without a password.
    assert {name for name, value in variables.items() if not value} == READ_BY_CONTAINERS


def test_production_templates_hold_no_values_but_the_settings_module():
    values = {name: value for path in TEMPLATES for name, value in lines_of(path).items() if value}

    assert values == PRODUCTION


def test_production_has_the_files_of_the_local_stack_and_one_without_secrets_for_the_proxy():
    names = {
        folder: [path.name for path in ENV_FILES if path.parent.name == folder] for folder in (".local", ".production")
    }

    assert names == {".local": [".django", ".postgres"], ".production": [".django", ".postgres", ".site"]}
    assert lines_of(ROOT / ".envs" / ".production" / ".site").keys() == {"SITE_URL", "DJANGO_ALLOWED_HOSTS"}
