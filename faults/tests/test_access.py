"""F20: whoever may no longer see a thing is told nothing more of it, with open sockets and warm caches."""

import itertools

import httpx
import pytest

from faults.listeners import Listener
from faults.program import until
from faults.settings import WEBSOCKET_HEARTBEAT
from faults.site import PASSWORD

from .conftest import SEED

AT_ONCE_SECONDS = 1
MAKE = f"""
from helpdesk.users.models import User
User.objects.create_user("%s", "%s@example.com", "{PASSWORD}", role="agent")
"""
ACT = """
from helpdesk.core import background
from helpdesk.users import actions
from helpdesk.users.models import User
user, admin = User.objects.get(username="%s"), User.objects.get(username="agent_1")
%s
background.finish()
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
def person(world):
    """An agent of this test's own, who is deactivated afterwards."""
    name = f"person_{next(numbers)}"
    world.django(MAKE % (name, name))
    yield name
    world.django(ACT % (name, CHANGES["deactivate"]))


def ticket_of_another(world, title):
    with world.client("customer_4") as customer:
        return customer.post("/tickets/", json={"title": title, "description": "D"}).raise_for_status().json()["id"]


def seen_by(world, access, title):
    answer = httpx.get(
        f"{world.site}/api/tickets/", params={"search": title}, headers={"Authorization": f"Bearer {access}"}
    )
    return answer.status_code, answer.json().get("count")


@pytest.mark.parametrize("has_redis", [True, False], ids=["with Redis", "without Redis"])
@pytest.mark.parametrize("change", CHANGES)
def test_f20_nothing_more_is_told_or_shown(world, person, change, has_redis):
    tokens = world.login(person)
    listener = Listener(world, person, seed=SEED, token=tokens["access"])
    listener.start()
    until(lambda: listener.first, what="the agent listens")
    seen = ticket_of_another(world, "Seen")
    until(lambda: seen in [event.ticket_id for event in listener.applied], what="the agent is told")
    assert seen_by(world, tokens["access"], f"#{seen}") == (200, 1)

    if not has_redis:
        world.valkey.kill()
    world.django(ACT % (person, CHANGES[change] % tokens))
    patience = AT_ONCE_SECONDS if has_redis else WEBSOCKET_HEARTBEAT.total_seconds() + AT_ONCE_SECONDS
    if CLOSE_CODES[change]:
        until(lambda: CLOSE_CODES[change] in listener.closings, seconds=patience, what="the socket is closed")
    secret = ticket_of_another(world, "Secret")
    assert seen_by(world, tokens["access"], f"#{seen}") == REST[change]
    if not has_redis:
        world.valkey.start()
    until(world.is_settled)

    listener.end()
    assert secret not in [event.ticket_id for event in listener.applied]
