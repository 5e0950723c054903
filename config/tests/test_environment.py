"""A variable that is missing stops the start with one line; what is read is documented, and what is offered is read."""

import ast
import os
import re
import subprocess
import sys

import pytest

from compose.embedded.options import ROOT, read_options, read_production_options

PRODUCTION = {"DJANGO_SETTINGS_MODULE": "config.settings.production"}
COMPLETE = {
    "DJANGO_SETTINGS_MODULE": "config.settings.local",
    "DJANGO_SECRET_KEY": "0123456789-abcdefghijklmnopqrstuvwxyz-0123456789-abc",
    "DATABASE_URL": "postgres://helpdesk:secret@postgres.invalid:5432/helpdesk",
    "REDIS_URL": "redis://redis.invalid:6379/0",
    "DJANGO_ALLOWED_HOSTS": "helpdesk.example.com",
    "SITE_URL": "https://helpdesk.example.com",
    "EMAIL_HOST": "smtp.example.com",
}
MEANINGS = {
    "DJANGO_SECRET_KEY": "it is Django's secret key",
    "DATABASE_URL": "it is the address of PostgreSQL",
    "REDIS_URL": "it is the address of Redis",
    "DJANGO_ALLOWED_HOSTS": "it lists the host names",
    "EMAIL_HOST": "it is the SMTP server",
}

SETTINGS = [ROOT / "config" / "settings" / f"{name}.py" for name in ("base", "local", "production")]
README_ROW = re.compile(r"^\| `([A-Z_]+)` \| (.*?) \| .* \|$", re.MULTILINE)
ENV_FILES = sorted((ROOT / ".envs").glob(".*/.*"))
TEMPLATES = [path for path in ENV_FILES if path.parent.name == ".production"]
# What the image of PostgreSQL and the start of Flower read, and what Django itself does.
READ_BY_CONTAINERS = {
    "POSTGRES_DB",
    "POSTGRES_USER",
    "POSTGRES_PASSWORD",
    "CELERY_FLOWER_USER",
    "CELERY_FLOWER_PASSWORD",
}
READ_BY_OTHERS = READ_BY_CONTAINERS | {"DJANGO_SETTINGS_MODULE"}


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


def lines_of(path):
    """Return the variables of a file for containers."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def defaults_read(path):
    """Return the variables that a module of settings reads, each with the default's source."""
    read = {}
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(
                func=ast.Name("required") | ast.Attribute(ast.Name("env")),
                args=[ast.Constant(str(name)), *_],
                keywords=keywords,
            ):
                defaults = [ast.unparse(keyword.value) for keyword in keywords if keyword.arg == "default"]
                read.setdefault(name, *defaults or [None])
    return read


def in_words(default):
    """Return a setting's default as somebody would write it into the environment."""
    match ast.literal_eval(default):
        case bool(value):
            return str(value).lower()
        case list(values):
            return ",".join(values)
        case value:
            return str(value)


def read_by_settings():
    return {name for path in SETTINGS for name in defaults_read(path)}


def read_by_make_up():
    text = (ROOT / "compose" / "embedded" / "options.py").read_text()
    return set(re.findall(r'"([A-Z_]+)"', text))


@pytest.mark.parametrize("missing", ["DJANGO_SECRET_KEY", "DATABASE_URL", "REDIS_URL"])
@pytest.mark.parametrize("how", ["unset", "empty"])
def test_a_missing_variable_stops_the_start_with_one_line_that_names_it(missing, how):
    variables = COMPLETE | {missing: ""}
    if how == "unset":
        del variables[missing]

    ended = check(variables)

    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"helpdesk cannot start: {missing} is not set: {MEANINGS[missing]}")


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
def test_a_senseless_value_stops_the_start_with_one_line_that_names_it(name, value):
    ended = check(COMPLETE | {name: value})

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"helpdesk cannot start: {name} has a value that cannot be read")


@pytest.mark.parametrize("name", ["DJANGO_ALLOWED_HOSTS", "EMAIL_HOST"])
def test_in_production_hosts_and_the_smtp_server_are_required(name):
    ended = check(COMPLETE | PRODUCTION | {name: ""})

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"helpdesk cannot start: {name} is not set: {MEANINGS[name]}")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (
            "DJANGO_SECRET_KEY",
            lines_of(ROOT / ".envs" / ".local" / ".django")["DJANGO_SECRET_KEY"],
            "is known to everybody",
        ),
        ("DJANGO_SECRET_KEY", f"django-insecure-{COMPLETE['DJANGO_SECRET_KEY']}", "is known to everybody"),
        ("DJANGO_SECRET_KEY", COMPLETE["DJANGO_SECRET_KEY"][:49], "can be guessed"),
        ("DJANGO_SECRET_KEY", "changeme" * 8, "can be guessed"),
        ("DJANGO_SECRET_KEY_FALLBACKS", f"{COMPLETE['DJANGO_SECRET_KEY']},short", "can be guessed"),
        ("DJANGO_DEBUG", "true", "is true"),
        ("DJANGO_ALLOWED_HOSTS", "helpdesk.example.com,*", "is *"),
    ],
)
def test_production_does_not_start_with_what_is_for_a_developers_machine(name, value, reason):
    ended = check(COMPLETE | PRODUCTION | {name: value})

    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"helpdesk cannot start: {name} {reason}: ")


@pytest.mark.parametrize("variables", [COMPLETE, COMPLETE | PRODUCTION], ids=["local", "production"])
def test_the_required_variables_are_enough(variables):
    ended = check(variables)

    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(("redirects", "code"), [("true", 0), ("false", 1)])
def test_django_finds_nothing_insecure_in_the_settings_of_production(redirects, code):
    variables = COMPLETE | PRODUCTION | {"DJANGO_SECURE_SSL_REDIRECT": redirects}

    assert check(variables, "--deploy", "--fail-level", "WARNING").returncode == code


def test_the_local_files_are_enough_for_the_local_settings():
    variables = {name: value for path in ENV_FILES if path not in TEMPLATES for name, value in lines_of(path).items()}

    ended = check(variables)

    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_production_template_starts_only_when_every_empty_value_is_filled_in():
    variables = {name: value for path in TEMPLATES for name, value in lines_of(path).items()}
    refused = []

    while (ended := check(variables)).returncode:
        (line,) = ended.stderr.splitlines()
        name = line.removeprefix("helpdesk cannot start: ").partition(" ")[0]
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


@pytest.mark.parametrize("path", ENV_FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_variable_that_is_offered_is_read(path):
    unread = lines_of(path).keys() - read_by_settings() - READ_BY_OTHERS

    assert unread == set()


@pytest.mark.parametrize("readme", ["README.md", "README.es.md"])
def test_every_variable_that_is_read_is_documented_and_no_other(readme):
    documented = [name for name, _default in README_ROW.findall((ROOT / readme).read_text())]

    assert sorted(documented) == sorted(read_by_settings() | read_by_make_up() | {"DJANGO_SETTINGS_MODULE"})


@pytest.mark.parametrize("readme", ["README.md", "README.es.md"])
def test_the_documented_defaults_are_those_of_the_code(readme):
    cells = dict(README_ROW.findall((ROOT / readme).read_text()))
    documented = {name: cell.split("`")[1] for name, cell in cells.items() if cell.startswith("`")}
    options, production = read_options({}), read_production_options({})

    defaults = {
        name: in_words(default)
        for path in reversed(SETTINGS)
        for name, default in defaults_read(path).items()
        if default not in {None, "REDIS_URL", "[]", "''"}
    }

    assert documented == defaults | {
        "PORT": str(options.port),
        "MAIL_PORT": str(options.mail_port),
        "FLOWER_PORT": str(options.flower_port),
        "DATA_DIR": str(options.data_dir.relative_to(ROOT)),
        "DEMO_TICKETS": str(options.demo_tickets),
        "PRODUCTION_PORT": str(production.port),
        "PRODUCTION_DATA_DIR": str(production.data_dir.relative_to(ROOT)),
        "DJANGO_SETTINGS_MODULE": "config.settings.local",
    }
