"""F10: announcers are killed, work two at a time, and meet transactions that commit late."""

from .conftest import ROUNDS, check

COMMIT_LATE = """
from django.db import transaction
from faults.program import until
from helpdesk.tickets import actions
from helpdesk.tickets.models import EventSource, TicketEvent
from helpdesk.users.models import User

customer = User.objects.get(username="customer_3")
with transaction.atomic():
    ticket = actions.create_ticket(actions.Origin(customer, EventSource.COMMAND), title="Late", description="D")
    later = TicketEvent.objects.filter(pk__gt=ticket.events.get().pk)
    until(lambda: later.exclude(announced_at=None).exists(), what="a later event is announced")
"""


def test_f10_of_two_announcers_that_are_killed_in_turn_nothing_is_lost_or_told_twice(world, flow):
    world.second_announcer.start()
    for _ in range(ROUNDS):
        for announcer in (world.announcer, world.second_announcer):
            flow.wait_for_writes(5)
            announcer.kill()
            flow.wait_for_writes(2)
            announcer.begin()

    check(flow)
    world.second_announcer.stop()


def test_f10_what_is_committed_after_later_events_were_announced_is_told_all_the_same(world, flow):
    for _ in range(ROUNDS):
        world.django(COMMIT_LATE)

    check(flow)
