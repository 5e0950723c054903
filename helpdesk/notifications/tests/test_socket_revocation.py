"""Whoever may no longer hear is told nothing more, at once; what was announced before is withdrawn."""

import time

import pytest

from helpdesk.testing import wait_until
from helpdesk.tickets import actions
from helpdesk.tickets.actions import Origin
from helpdesk.tickets.models import EventSource, TicketEvent
from helpdesk.users.actions import change_password, issue_tokens, revoke_refresh_token, update_user
from helpdesk.users.models import Role, User

SECOND = 1.0


def open_ticket(customer, title="Secret"):
    actions.create_ticket(Origin(customer, EventSource.API), title=title, description="D")
    wait_until(lambda: not TicketEvent.objects.unannounced().exists())


@pytest.fixture
def tokens(agent):
    return issue_tokens(agent)


@pytest.fixture
def deactivate(agent, superuser):
    return lambda: update_user(agent.pk, changes={"is_active": False}, by=superuser)


@pytest.fixture
def change_the_password(agent):
    return lambda: change_password(agent, new_password="another horse battery")


@pytest.fixture
def log_out(tokens):
    return lambda: revoke_refresh_token(tokens["refresh"])


@pytest.mark.parametrize(("act", "code"), [("deactivate", 4403), ("change_the_password", 4401), ("log_out", 4401)])
@pytest.mark.parametrize("v2", [True, False])
def test_a_socket_is_closed_within_a_second(request, listening, announcing, customer, tokens, act, code, v2):
    client = listening(None, token=tokens["access"], v2=v2)
    open_ticket(customer)
    act = request.getfixturevalue(act)
    client.hear_until("ticket_created")

    act()
    began = time.monotonic()
    open_ticket(customer, "Not for you")

    assert client.closing() == ([], code)
    assert time.monotonic() - began < SECOND


def test_other_sessions_go_on_after_a_logout(listening, announcing, customer, agent, tokens, log_out):
    here, elsewhere = listening(None, token=tokens["access"]), listening(agent)

    log_out()

    assert here.closing() == ([], 4401)
    open_ticket(customer)
    assert elsewhere.hear()["type"] == "ticket_created"


def test_who_is_no_agent_any_more_hears_of_own_tickets_only(listening, announcing, customer, agent, superuser):
    client = listening(agent)

    update_user(agent.pk, changes={"role": Role.CUSTOMER}, by=superuser)
    open_ticket(customer)
    own = actions.create_ticket(Origin(agent, EventSource.API), title="Mine", description="D")
    actions.add_comment(Origin(superuser, EventSource.API), own.pk, content="Yours")

    assert client.hear()["ticket"]["id"] == own.pk


def test_without_a_bell_the_heartbeat_finds_out(client_of, impatient_server, customer):
    client = client_of(customer, host=impatient_server)
    client.round_trip()

    User.objects.update(is_active=False)

    assert client.closing() == ([], 4403)
