"""The OpenAPI schema is complete, and its pages need nothing from anywhere else."""

import re
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from helpdesk.core.errors import PROBLEM_JSON
from helpdesk.tickets.tests.factories import TicketFactory

OPERATION_IDS = [
    "auth_email_verify",
    "auth_logout",
    "auth_password_reset",
    "auth_password_reset_confirm",
    "auth_register",
    "auth_token_create",
    "auth_token_refresh",
    "comments_create",
    "comments_list",
    "comments_retrieve",
    "health_retrieve",
    "notifications_list",
    "notifications_read",
    "notifications_read_up_to",
    "notifications_unread_retrieve",
    "preferences_retrieve",
    "preferences_update",
    "tickets_create",
    "tickets_destroy",
    "tickets_events_list",
    "tickets_list",
    "tickets_partial_update",
    "tickets_retrieve",
    "tickets_update",
    "users_list",
    "users_me_password",
    "users_me_retrieve",
    "users_me_update",
    "users_retrieve",
]
ENUMS = {
    "HealthStatus",
    "Language",
    "NotificationType",
    "TicketEventKind",
    "TicketEventSource",
    "TicketPriority",
    "TicketStatus",
    "UserRole",
}
EVERY_OPERATION_REFUSES = {"406", "429", "503"}
# Refusals that may also be no problem, but what was asked for.
OTHER_DOCUMENTS = {"health_retrieve": {"503"}}
OUR_ASSETS = re.compile(r"""(?:src|href)="([^"]+)\"""")


@pytest.fixture(scope="module")
def schema():
    return SchemaGenerator().get_schema(public=True)


@pytest.fixture(scope="module")
def operations(schema):
    """Return the operations by their ids."""
    return {
        operation["operationId"]: operation for methods in schema["paths"].values() for operation in methods.values()
    }


def test_it_is_made_without_a_warning(tmp_path):
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yml"))


def test_it_is_served_to_everyone(client):
    response = client.get("/api/schema/")

    assert response.status_code == 200
    assert yaml.safe_load(response.content)["info"]["title"] == "Helpdesk API"


def test_operations_keep_the_ids_that_clients_are_generated_from(operations):
    assert sorted(operations) == OPERATION_IDS


def test_enums_have_names_of_their_own(schema):
    assert {name for name, component in schema["components"]["schemas"].items() if "enum" in component} == ENUMS


def test_every_operation_says_what_it_does(operations):
    assert not [name for name, operation in operations.items() if not re.search(r"[.?]$", operation["description"])]


def test_every_operation_documents_its_refusals_as_problems(operations):
    for name, operation in operations.items():
        refusals = {status: body for status, body in operation["responses"].items() if int(status) >= 400}

        assert refusals.keys() >= EVERY_OPERATION_REFUSES, name
        others = {status: {*body["content"]} - {PROBLEM_JSON} for status, body in refusals.items()}
        assert {status for status, kinds in others.items() if kinds} == OTHER_DOCUMENTS.get(name, set()), name
        assert all(PROBLEM_JSON in body["content"] for body in refusals.values()), name
        assert ("401" in refusals) == (operation["security"] != [{}] or name.startswith("auth_")), name
        assert ({"400", "413", "415"} <= refusals.keys()) == ("requestBody" in operation), name


def test_refusals_document_the_headers_that_tell_what_to_do(operations):
    for operation in operations.values():
        responses = operation["responses"]

        assert {*responses["429"]["headers"]} == {"Retry-After", "RateLimit", "RateLimit-Policy"}
        assert {*responses["503"]["headers"]} == {"Retry-After"}
        assert {*responses.get("401", {}).get("headers", {})} <= {"WWW-Authenticate"}


def test_what_creates_something_for_its_user_takes_an_idempotency_key(operations):
    taking = {
        name: operation
        for name, operation in operations.items()
        if "Idempotency-Key" in {parameter["name"] for parameter in operation.get("parameters", ())}
    }

    assert {*taking} == {"tickets_create", "comments_create"}
    for operation in taking.values():
        assert {"400", "409", "422"} <= operation["responses"].keys()
        assert {*operation["responses"]["201"]["headers"]} == {"Idempotency-Replayed"}


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("auth_token_create", {"request", "200"}),
        ("auth_token_refresh", {"request", "200"}),
        ("tickets_list", {"200"}),
        ("tickets_create", {"request", "201", "400"}),
        ("tickets_retrieve", {"200"}),
        ("tickets_partial_update", {"request", "200", "400"}),
        ("tickets_update", {"request", "200"}),
        ("tickets_events_list", {"200"}),
        ("comments_list", {"200"}),
        ("comments_create", {"request", "201", "400"}),
        ("preferences_retrieve", {"200"}),
        ("preferences_update", {"request", "200"}),
        ("users_me_retrieve", {"200"}),
        ("users_me_update", {"request", "200"}),
        ("users_list", {"200"}),
        ("health_retrieve", {"200"}),
    ],
)
def test_the_main_operations_show_examples(operations, name, kinds):
    assert {kind for kind, _schema, _value in examples_of(operations[name])} >= kinds


def test_examples_are_what_the_schema_says(schema, operations):
    components = {"components": with_types_that_may_be_null(schema["components"])}

    for name, operation in operations.items():
        for kind, shape, value in examples_of(operation):
            validator = Draft202012Validator(components | with_types_that_may_be_null(shape))
            assert not [error.message for error in validator.iter_errors(value)], (name, kind)


def examples_of(operation):
    """Yield "request" or a status, the schema of its body, and an example of it."""
    bodies = {"request": operation.get("requestBody", {})} | operation["responses"]
    for kind, body in bodies.items():
        for media in body.get("content", {}).values():
            for example in media.get("examples", {}).values():
                yield kind, media["schema"], example["value"]


def with_types_that_may_be_null(shape):
    """Return a schema of OpenAPI 3.0 as one of JSON Schema, which has no `nullable`."""
    if isinstance(shape, list):
        return [with_types_that_may_be_null(item) for item in shape]
    if not isinstance(shape, dict):
        return shape
    plain = {key: with_types_that_may_be_null(value) for key, value in shape.items() if key != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if shape.get("nullable") is True else plain


def test_what_is_refused_when_it_is_unknown_is_not_in_the_schema(schema):
    components = schema["components"]["schemas"]

    exact = {name for name, component in components.items() if component.get("additionalProperties") is False}

    assert exact == {"ChannelChangesRequest", "PatchedPreferenceChangesRequest"}


@pytest.mark.django_db
def test_examples_have_the_keys_of_real_answers(api, customer, agent, operations):
    client = api(customer)
    ticket = TicketFactory(created_by=customer, assigned_to=agent)
    client.post("/api/comments/", {"ticket": ticket.pk, "content": "Hello"})
    answers = {
        "tickets_list": client.get("/api/tickets/"),
        "tickets_retrieve": client.get(f"/api/tickets/{ticket.pk}/"),
        "tickets_events_list": client.get(f"/api/tickets/{ticket.pk}/events/"),
        "comments_list": client.get("/api/comments/"),
        "preferences_retrieve": client.get("/api/preferences/"),
        "users_me_retrieve": client.get("/api/users/me/"),
        "health_retrieve": api(agent).get("/api/health/"),
    }

    for name, answer in answers.items():
        example = next(value for kind, _schema, value in examples_of(operations[name]) if kind == "200")
        assert keys_of(answer.json()) == keys_of(example), name


def keys_of(value):
    """Return the keys of objects within objects and of the first of a list."""
    if isinstance(value, list):
        return keys_of(value[0])
    return {key: keys_of(inner) for key, inner in value.items()} if isinstance(value, dict) else None


def assets_of(client, page):
    """Return the addresses of everything that the page loads, with the answers."""
    addresses = [urljoin(page, address) for address in OUR_ASSETS.findall(client.get(page).text)]
    assert not [address for address in addresses if urlsplit(address).netloc]
    return {address: client.get(address) for address in addresses}


def test_the_documentation_needs_no_other_host(client):
    page = client.get("/api/docs/")

    assets = assets_of(client, "/api/docs/")

    assert page.status_code == 200
    *files, script = assets
    assert [address.rpartition(".")[2] for address in files] == ["png", "css", "css", "js", "js"]
    assert {asset.status_code for asset in assets.values()} == {HTTPStatus.OK}
    assert '"validatorUrl": null' in assets[script].text
    assert not re.findall(r"https?://", page.text + assets[script].text)


def test_the_documentation_is_whole_in_production_too(settings, tmp_path):
    storages = {"staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}}
    settings.STORAGES = settings.STORAGES | storages
    settings.STATIC_ROOT = tmp_path
    settings.WHITENOISE_USE_FINDERS = False
    call_command("collectstatic", interactive=False, verbosity=0, ignore_patterns=["admin", "redoc", "rest_framework"])

    assets = assets_of(Client(), "/api/docs/")

    assert {asset.status_code for asset in assets.values()} == {HTTPStatus.OK}
    assets.pop("/api/docs/?script=")
    assert all(re.search(r"\.[0-9a-f]{12}\.", address) for address in assets)
    assert {asset.headers["Cache-Control"] for asset in assets.values()} == {"max-age=315360000, public, immutable"}
