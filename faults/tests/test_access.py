"""F20: a user who loses access gets nothing more, even with open sockets and warm caches."""

import itertools

import httpx
import pytest

from faults.live_clients import LiveClient
from faults.settings import WEBSOCKET_HEARTBEAT
from helpdesk.demo import PASSWORD
from helpdesk.testing import wait_until

from .conftest import SEED

REACTION_SECONDS = 1
CREATE = f"""
from helpdesk.users.models import User
User.objects.create_user("%s", "%s@example.com", "{PASSWORD}", role="agent")
"""
CHANGE = """
from helpdesk.core.after_commit import flush_all
from helpdesk.users import actions
from helpdesk.users.models import User
user, admin = User.objects.get(username="%s"), User.objects.get(username="agent_1")
%s
flush_all()
"""
CHANGES = {
    "demote": 'actions.update_user(user.pk, changes={"role": "customer"}, by=admin)',
    "deactivate": 'actions.update_user(user.pk, changes={"is_active": False}, by=admin)',
    "change password": 'actions.change_password(user, new_password="another horse")',
    "log out": 'actions.revoke_refresh_token("%(refresh)s")',
}
CLOSE_CODES = {"demote": None, "deactivate": 4403, "change password": 4401, "log out": 4401}
REST = {"demote": (200, 0), "deactivate": (401, None), "change password": (401, None), "log out": (401, None)}

numbers = itertools.count(1)


@pytest.fixture
def username(stack):
    """Return an agent of this test's own, who is deactivated afterwards."""
    name = f"person_{next(numbers)}"
    stack.run_in_shell(CREATE % (name, name))
    yield name
    stack.run_in_shell(CHANGE % (name, CHANGES["deactivate"]))


def open_ticket(stack, title):
    with stack.client("customer_4") as customer:
        return customer.post("/tickets/", json={"title": title, "description": "D"}).raise_for_status().json()["id"]


def search(stack, access, text):
    response = httpx.get(
        f"{stack.url}/api/tickets/", params={"search": text}, headers={"Authorization": f"Bearer {access}"}
    )
    return response.status_code, response.json().get("count")


@pytest.mark.parametrize("has_redis", [True, False], ids=["with Redis", "without Redis"])
@pytest.mark.parametrize("change", CHANGES)
def test_f20_a_user_without_access_is_sent_and_shown_nothing_more(stack, username, change, has_redis):
    tokens = stack.login(username)
    client = LiveClient(stack, username, seed=SEED, token=tokens["access"])
    client.start()
    wait_until(lambda: client.first, what="the agent is connected")
    visible = open_ticket(stack, "Visible")
    wait_until(lambda: visible in [event.ticket_id for event in client.applied], what="the agent is notified")
    assert search(stack, tokens["access"], f"#{visible}") == (200, 1)

    if not has_redis:
        stack.valkey.kill()
    stack.run_in_shell(CHANGE % (username, CHANGES[change] % tokens))
    seconds = REACTION_SECONDS if has_redis else WEBSOCKET_HEARTBEAT.total_seconds() + REACTION_SECONDS
    if CLOSE_CODES[change]:
        wait_until(lambda: CLOSE_CODES[change] in client.close_codes, seconds=seconds, what="the socket is closed")
    secret = open_ticket(stack, "Secret")
    assert search(stack, tokens["access"], f"#{visible}") == REST[change]
    if not has_redis:
        stack.valkey.start()
    wait_until(stack.is_idle)

    client.stop()
    assert secret not in [event.ticket_id for event in client.applied]
