"""Generated requests to every operation of the OpenAPI schema: good ones are answered as documented, bad ones refused."""

import os

import hypothesis
import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from config.wsgi import application
from helpdesk.tickets import actions
from helpdesk.tickets.actions import Origin
from helpdesk.tickets.models import EventSource, Priority, Status
from helpdesk.users.actions import issue_tokens
from helpdesk.users.tests.factories import PASSWORD

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "6"))
IS_LONG = "FUZZ_EXAMPLES" in os.environ

# Codes of 400 for requests that only the rows in the database make wrong: no schema can tell.
UNFORESEEABLE = {
    "does_not_exist",
    "not_an_agent",
    "unique",
    "weak_password",
    "wrong_password",
    "bad_token",
}

AUTH_PATHS = "^/api/auth/"
# Answers of one request must not flow into the next: the order of tests would decide what is sent.
ALONE = {"extra-data-sources": {"responses": False}}
settings = hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])


def load_schema():
    """Load the schema from the application; a long run generates other examples each time."""
    generation = {
        "deterministic": not IS_LONG,
        "database": "none",
        "max-examples": EXAMPLES,
        # It would count a left-out token as bad input, where the test puts one in.
        "with-security-parameters": False,
    }
    phases = {
        "examples": ALONE,
        "coverage": ALONE | {"enabled": not IS_LONG},
        "fuzzing": ALONE | {"error-feedback": {"enabled": False}},
    }
    config = schemathesis.Config.from_dict({"generation": generation, "phases": phases})
    return schemathesis.openapi.from_wsgi("/api/schema/", application, config=config)


schema = load_schema()


@pytest.fixture
def known(kept_connection, customer, agent):
    """Return the values that lead to rows: ids by resource, ids and credentials by the name of their field."""
    by_customer, by_agent = Origin(customer, EventSource.API), Origin(agent, EventSource.API)
    ticket = actions.create_ticket(by_customer, title="No sound", description="Since today.")
    comment = actions.add_comment(by_agent, ticket.pk, content="Have you turned it on?")
    changes = {"status": Status.RESOLVED, "priority": Priority.LOW, "assigned_to": agent, "title": "No picture"}
    actions.update_ticket(by_agent, ticket.pk, changes=changes)
    return {
        "tickets": ticket.pk,
        "comments": comment.pk,
        "users": customer.pk,
        "ticket": ticket.pk,
        "assigned_to": agent.pk,
        "username": customer.username,
        "password": PASSWORD,
        "current_password": PASSWORD,
        "refresh": issue_tokens(customer)["refresh"],
    }


@pytest.fixture
def kept_connection(db):
    """Keep Django from closing, between requests, the connection whose transaction is the test's."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@schema.include(path_regex=AUTH_PATHS).parametrize()
@settings
def test_the_doors_for_strangers_keep_to_their_schema(case, known):
    keeps_to_the_schema(case, known, headers={})


@schema.exclude(path_regex=AUTH_PATHS).parametrize()
@settings
def test_every_operation_keeps_to_its_schema(case, known, customer, agent):
    for caller in (customer, agent):
        keeps_to_the_schema(case, known, headers=authorization(caller))


def authorization(user):
    return {"Authorization": f"Bearer {issue_tokens(user)['access']}"}


def keeps_to_the_schema(case, known, *, headers):
    case = aimed_at_rows(case, known)

    with transaction.atomic():
        response = case.call(headers=headers)
        # The tests of permissions and of limits send no token and a bad one to every operation.
        excluded = [ignored_auth, *([positive_data_acceptance] if is_unforeseeable(response) else [])]
        case.validate_response(response, headers=headers, excluded_checks=excluded)
        transaction.set_rollback(True)


def aimed_at_rows(case, known):
    """Return a case with known ids and credentials for small ones that are valid; the invalid stay as they are."""
    aimed = case.derive()  # The tests of one operation share their cases.
    resource = case.path.split("/")[2]
    if "id" in case.path_parameters and not case.meta.is_negative_at(ParameterLocation.PATH):
        aimed.path_parameters["id"] = known_or(known, resource, case.path_parameters["id"])
    if not case.meta.is_negative_at(ParameterLocation.QUERY):
        aimed.query = {name: known_or(known, name, value) for name, value in case.query.items()}
    if isinstance(case.body, dict) and not case.meta.is_negative_at(ParameterLocation.BODY):
        aimed.body = {name: known_or(known, name, value) for name, value in case.body.items()}
    return aimed


def known_or(known, name, value):
    is_small = value is not None and len(str(value)) < 10
    return known.get(name, value) if is_small else value


def is_unforeseeable(response):
    return response.status_code == 400 and all(map(is_error_unforeseeable, response.json()["errors"]))


def is_error_unforeseeable(error):
    # OpenAPI 3.0 cannot say that another e-mail address requires the present password.
    return error["code"] in UNFORESEEABLE or (error["pointer"], error["code"]) == ("#/current_password", "required")
