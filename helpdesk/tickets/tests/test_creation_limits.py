"""Customers open so many tickets and write so many comments an hour; agents have no such limit."""

from datetime import UTC, datetime

import pytest
import time_machine

from helpdesk.tickets.models import Comment, Ticket
from helpdesk.tickets.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db

TICKETS, COMMENTS = "/api/tickets/", "/api/comments/"
TICKET = {"title": "No sound", "description": "Since today."}
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def limits(settings):
    settings.THROTTLE_USER_RATE = "20/minute"
    settings.THROTTLE_TICKET_RATE = "3/hour"
    settings.THROTTLE_COMMENT_RATE = "4/hour"


def opened(client, times):
    return [client.post(TICKETS, TICKET).status_code for _ in range(times)]


def commented(client, ticket, times):
    return [client.post(COMMENTS, {"ticket": ticket.pk, "content": "Hello"}).status_code for _ in range(times)]


def test_past_the_limit_a_customer_opens_no_ticket_and_is_told_when(api, customer):
    with time_machine.travel(NOW, tick=False):
        answers = [api(customer).post(TICKETS, TICKET) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [201] * 3 + [429]
    assert answers[0].headers["RateLimit-Policy"] == '"user";q=20;w=60, "tickets";q=3;w=3600'
    assert answers[0].headers["RateLimit"] == '"user";r=19;t=60, "tickets";r=2;t=3600'
    assert answers[-1].headers["RateLimit"] == '"user";r=16;t=60, "tickets";r=0;t=3600'
    assert answers[-1].headers["Retry-After"] == "3600"
    assert answers[-1].json()["code"] == "throttled"
    assert Ticket.objects.count() == 3


def test_past_the_limit_a_customer_writes_no_comment(api, customer, ticket):
    assert commented(api(customer), ticket, 6) == [201] * 4 + [429] * 2
    assert Comment.objects.count() == 4


def test_tickets_comments_and_customers_are_counted_apart(api, customer, stranger, ticket):
    assert opened(api(customer), 4) == [201] * 3 + [429]

    assert commented(api(customer), ticket, 1) == [201]
    assert opened(api(stranger), 1) == [201]
    assert api(customer).get(TICKETS).status_code == 200


def test_an_hour_later_there_are_tickets_again(api, customer):
    with time_machine.travel(NOW, tick=False):
        assert opened(api(customer), 4) == [201] * 3 + [429]
    with time_machine.travel(NOW.replace(hour=13, microsecond=1), tick=False):
        assert opened(api(customer), 1) == [201]


def test_agents_have_no_such_limit(api, agent, ticket):
    answers = [api(agent).post(TICKETS, TICKET) for _ in range(5)]

    assert [answer.status_code for answer in answers] == [201] * 5
    assert answers[0].headers["RateLimit-Policy"] == '"user";q=20;w=60'
    assert commented(api(agent), ticket, 5) == [201] * 5


def test_an_empty_rate_is_no_limit(api, customer, ticket, settings):
    settings.THROTTLE_TICKET_RATE = settings.THROTTLE_COMMENT_RATE = ""

    assert opened(api(customer), 5) == [201] * 5
    assert commented(api(customer), ticket, 5) == [201] * 5


def test_an_invalid_post_counts_and_other_requests_do_not(api, customer, ticket):
    invalid = [api(customer).post(TICKETS, {"title": ""}) for _ in range(2)]
    others = [
        api(customer).get(TICKETS),
        api(customer).put(TICKETS, TICKET),
        api(customer).patch(f"{TICKETS}{ticket.pk}/", {}),
        api().post(TICKETS, TICKET),
    ]

    assert [answer.status_code for answer in invalid] == [400] * 2
    assert [answer.status_code for answer in others] == [200, 405, 403, 401]
    assert opened(api(customer), 2) == [201, 429]


def test_a_comment_on_a_ticket_that_one_cannot_see_counts(api, customer, ticket):
    assert commented(api(customer), TicketFactory(), 4) == [400] * 4
    assert commented(api(customer), ticket, 1) == [429]


def test_a_post_past_the_limit_of_requests_does_not_count(api, customer, settings):
    settings.THROTTLE_USER_RATE = "1/minute"
    with time_machine.travel(NOW, tick=False):
        assert opened(api(customer), 4) == [201] + [429] * 3

    settings.THROTTLE_USER_RATE = ""
    with time_machine.travel(NOW, tick=False):
        assert opened(api(customer), 3) == [201] * 2 + [429]
