"""A user whose access ends receives nothing more, at once; earlier events are withdrawn."""

import time

import pytest

from helpdesk.tickets import actions
from helpdesk.tickets.tests.factories import by
from helpdesk.users.actions import change_password, issue_tokens, revoke_refresh_token, update_user
from helpdesk.users.models import Role, User

from .conftest import add_comment, wait_until_announced


def create_ticket(customer, title="Secret"):
    actions.create_ticket(by(customer), title=title, description="D")
    wait_until_announced()


@pytest.fixture
def tokens(agent):
    return issue_tokens(agent)


@pytest.fixture
def end_access(agent, superuser, tokens):
    return {
        "deactivate": lambda: update_user(agent.pk, changes={"is_active": False}, by=superuser),
        "change password": lambda: change_password(agent, new_password="another horse battery"),
        "log out": lambda: revoke_refresh_token(tokens["refresh"]),
    }


@pytest.mark.parametrize(("how", "code"), [("deactivate", 4403), ("change password", 4401), ("log out", 4401)])
@pytest.mark.parametrize("v2", [True, False])
def test_a_connection_is_closed_within_a_second(subscribe, announcer, customer, tokens, end_access, how, code, v2):
    client = subscribe(None, token=tokens["access"], v2=v2)
    create_ticket(customer)
    client.receive_until("ticket_created")

    end_access[how]()
    began = time.monotonic()
    create_ticket(customer, "Not for you")

    assert client.receive_close() == ([], code)
    assert time.monotonic() - began < 1


def test_a_logout_closes_no_other_session(subscribe, announcer, customer, agent, tokens, end_access):
    here, elsewhere = subscribe(None, token=tokens["access"]), subscribe(agent)

    end_access["log out"]()

    assert here.receive_close() == ([], 4401)
    create_ticket(customer)
    assert elsewhere.receive()["type"] == "ticket_created"


def test_a_former_agent_receives_events_of_own_tickets_only(subscribe, announcer, customer, agent, superuser):
    client = subscribe(agent)

    update_user(agent.pk, changes={"role": Role.CUSTOMER}, by=superuser)
    create_ticket(customer)
    own = actions.create_ticket(by(agent), title="Mine", description="D")
    add_comment(own, superuser, "Yours")

    assert client.receive()["ticket"]["id"] == own.pk


def test_a_heartbeat_finds_what_was_not_published(connect_client, server_with_short_times, customer):
    client = connect_client(customer, host=server_with_short_times)
    client.round_trip()

    User.objects.update(is_active=False)

    assert client.receive_close() == ([], 4403)
