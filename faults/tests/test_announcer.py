"""F10: announcers are killed, two run at a time, and transactions commit late."""

from .conftest import ROUNDS, check

COMMIT_LATE = """
from django.db import transaction
from helpdesk.testing import wait_until
from helpdesk.tickets import actions
from helpdesk.tickets.models import EventSource, TicketEvent
from helpdesk.users.models import User

customer = User.objects.get(username="customer_3")
with transaction.atomic():
    ticket = actions.create_ticket(actions.Origin(customer, EventSource.COMMAND), title="Late", description="D")
    later = TicketEvent.objects.filter(pk__gt=ticket.events.get().pk)
    wait_until(lambda: later.exclude(announced_at=None).exists(), what="a later event is announced")
"""


def test_f10_two_announcers_that_are_killed_in_turn_lose_and_repeat_nothing(stack, workload):
    stack.second_announcer.start()
    for _ in range(ROUNDS):
        for announcer in (stack.announcer, stack.second_announcer):
            workload.wait_for_writes(5)
            announcer.kill()
            workload.wait_for_writes(2)
            announcer.launch()

    check(workload)
    stack.second_announcer.stop()


def test_f10_an_event_committed_after_later_events_were_announced_is_announced_too(stack, workload):
    for _ in range(ROUNDS):
        stack.run_in_shell(COMMIT_LATE)

    check(workload)
