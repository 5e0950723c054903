"""Lists are cached in Redis for five minutes, and never stale."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, Event
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django_redis import get_redis_connection

from helpdesk.core import cached_lists
from helpdesk.testing import count_queries
from helpdesk.tickets import actions
from helpdesk.tickets.models import Ticket
from helpdesk.tickets.serializers import COMMENTS_SHOWN
from helpdesk.tickets.tests.factories import CommentFactory, TicketFactory, by
from helpdesk.users.actions import add_user, update_user
from helpdesk.users.models import Role
from helpdesk.users.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db

LISTS = [
    "/api/tickets/",
    "/api/tickets/?status=open",
    "/api/tickets/?search=printer",
    "/api/tickets/?ordering=-priority&page=1",
    "/api/comments/",
]


@pytest.mark.parametrize("path", LISTS)
def test_a_cached_list_costs_one_query_for_the_caller(api, agent, path):
    CommentFactory(ticket=TicketFactory(), author=agent)
    client = api(agent)
    first = client.get(path)

    assert count_queries(client, path) == 1
    assert client.get(path).content == first.content


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("size", [1, 20])
def test_a_list_costs_the_same_queries_whatever_its_length(api, agent, path, size):
    for _ in range(size):
        CommentFactory(ticket=TicketFactory(assigned=True), author=agent)

    words_lookup = 1 if "search" in path else 0
    assert count_queries(api(agent), path) == 3 + words_lookup  # the caller, the count, the rows


def test_all_pages_of_a_list_share_one_count(api, agent):
    for _ in range(21):
        TicketFactory()
    client = api(agent)
    client.get("/api/tickets/?ordering=priority")

    assert count_queries(client, "/api/tickets/?page=2") == 2


@pytest.mark.parametrize("count", [1, COMMENTS_SHOWN + 1])
def test_a_ticket_with_its_comments_costs_three_queries(api, agent, ticket, count):
    for _ in range(count):
        actions.add_comment(by(agent), ticket.pk, content="Hello")

    assert count_queries(api(agent), f"/api/tickets/{ticket.pk}/") == 3


WRITES = {
    "create": lambda call, ticket, agent: call("post", "/api/tickets/", {"title": "Printer", "description": "D"}),
    "change": lambda call, ticket, agent: call("patch", f"/api/tickets/{ticket.pk}/", {"title": "Printer again"}),
    "assign": lambda call, ticket, agent: call("patch", f"/api/tickets/{ticket.pk}/", {"assigned_to": agent.pk}),
    "comment": lambda call, ticket, agent: call("post", "/api/comments/", {"ticket": ticket.pk, "content": "Hello"}),
    "delete": lambda call, ticket, agent: call("delete", f"/api/tickets/{ticket.pk}/", None),
}


@pytest.mark.parametrize("write", WRITES)
def test_every_list_shows_a_write_as_soon_as_it_has_returned(api, agent, superuser, customer, ticket, write):
    readers = [api(user) for user in (customer, agent, superuser)]
    for reader in readers:
        for path in LISTS:
            reader.get(path)
    writer = api(customer if write == "create" else agent)

    response = WRITES[write](lambda method, path, body: getattr(writer, method)(path, body), ticket, agent)

    assert response.status_code < 300
    for reader in readers:
        for path in LISTS:
            warm = reader.get(path).json()
            cache.clear()
            assert warm == reader.get(path).json()


def test_a_comment_shows_at_once_in_the_counters_of_every_list(api, agent, customer, ticket):
    api(customer).get("/api/tickets/")

    api(agent).post("/api/comments/", {"ticket": ticket.pk, "content": "On it"})

    assert api(customer).get("/api/tickets/").json()["results"][0]["comments_count"] == 1


def test_another_customers_writes_leave_ones_own_pages_cached(api, customer, stranger, ticket):
    client = api(customer)
    client.get("/api/tickets/")

    api(stranger).post("/api/tickets/", {"title": "Mine", "description": "D"})

    assert count_queries(client, "/api/tickets/") == 1


def test_a_new_name_shows_at_once_in_every_list(api, agent, customer, ticket):
    api(agent).get("/api/tickets/")

    api(customer).patch("/api/users/me/", {"name": "Alice Cooper"})

    assert api(agent).get("/api/tickets/").json()["results"][0]["created_by"]["name"] == "Alice Cooper"


def test_a_demoted_agent_lists_only_their_own_and_loses_their_assignments(
    api, agent, superuser, customer, django_capture_on_commit_callbacks
):
    TicketFactory(created_by=customer, assigned_to=agent)
    client = api(agent)
    assert client.get("/api/tickets/").json()["count"] == 1
    assert api(customer).get("/api/tickets/").json()["results"][0]["assigned_to"]["username"] == "agatha"

    with django_capture_on_commit_callbacks(execute=True):
        update_user(agent.pk, changes={"role": Role.CUSTOMER}, by=superuser)

    assert client.get("/api/tickets/").json()["count"] == 0
    assert api(customer).get("/api/tickets/").json()["results"][0]["assigned_to"] is None


def test_pages_live_for_five_minutes(api, agent, ticket):
    api(agent).get("/api/tickets/")

    lifetimes = [get_redis_connection().ttl(key) for key in get_redis_connection().keys("*")]

    assert sum(295 <= lifetime <= 300 for lifetime in lifetimes) == 2  # the page and the count


def test_lists_forbid_shared_caches(api, agent):
    response = api(agent).get("/api/tickets/")

    assert "private" in response["Cache-Control"]
    assert "Authorization" in response["Vary"]


@pytest.mark.django_db(transaction=True)
def test_a_slow_reader_cannot_store_an_old_page(api, customer):
    ticket = TicketFactory(created_by=customer, title="Before")
    has_read, may_store = Event(), Event()

    def wait_after_rows(execute, sql, *arguments):
        result = execute(sql, *arguments)
        if '"tickets_ticket"."title"' in sql:
            has_read.set()
            assert may_store.wait(timeout=10)
        return result

    def list_titles():
        return [item["title"] for item in api(customer).get("/api/tickets/").json()["results"]]

    def list_titles_slowly():
        try:
            with connection.execute_wrapper(wait_after_rows):
                return list_titles()
        finally:
            connection.close()

    with ThreadPoolExecutor() as pool:
        slow_reader = pool.submit(list_titles_slowly)
        assert has_read.wait(timeout=10)
        actions.update_ticket(by(customer), ticket.pk, changes={"title": "After"})
        seen_meanwhile = list_titles()
        may_store.set()
        seen_by_slow_reader = slow_reader.result()

    assert seen_by_slow_reader == ["Before"]
    assert seen_meanwhile == ["After"]
    assert list_titles() == ["After"]


class SimultaneousMisses(dict[bytes, Any]):
    """The computations of a process, as seen by threads that all miss the same value before the first of them computes it."""

    def __init__(self, threads):
        super().__init__()
        self.barrier = Barrier(threads, timeout=10)

    def setdefault(self, stamp, computation):
        running = super().setdefault(stamp, computation)
        self.barrier.wait()
        return running


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("page", "status", "computed"), [(1, 200, 1), (2, 404, 4)])
def test_requests_that_miss_a_page_together_compute_it_once_unless_that_fails(
    api, agent, ticket, monkeypatch, page, status, computed
):
    monkeypatch.setattr(cached_lists, "computations", SimultaneousMisses(4))
    clients = [api(agent) for _ in range(4)]
    counts = []

    def get(client):
        try:
            with CaptureQueriesContext(connection) as queries:
                response = client.get(f"/api/tickets/?page={page}")
            counts.append(sum("tickets_ticketcount" in query["sql"] for query in queries))
            return response.status_code, response.content
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        responses = list(pool.map(get, clients))

    assert [response_status for response_status, _content in responses] == [status] * 4
    assert len({content for _status, content in responses if status == 200}) == (status == 200)
    assert sum(counts) == computed
    assert cached_lists.computations == {}


@pytest.mark.django_db(transaction=True)
def test_a_write_that_is_rolled_back_invalidates_nothing(api, agent, ticket):
    client = api(agent)
    client.get("/api/tickets/")

    with suppress(RuntimeError), transaction.atomic():
        actions.update_ticket(by(agent), ticket.pk, changes={"title": "Never"})
        raise RuntimeError

    assert count_queries(client, "/api/tickets/") == 1
    assert Ticket.objects.get().title == ticket.title


@pytest.mark.parametrize(
    "spelling",
    [
        "?status=open&x=1",
        "?x=1&status=open&utm_source=mail",
        "?page=1&status=open",
        "?status=%6fpen&page=01",
        "?status=closed&status=open",
        "?status=open&search=",
        "?status=open&assigned_to=&ordering=",
    ],
)
def test_one_list_is_cached_once_however_its_address_is_spelt(api, agent, ticket, spelling):
    client = api(agent)
    expected = client.get("/api/tickets/?status=open").json()

    assert count_queries(client, f"/api/tickets/{spelling}") == 1
    assert client.get(f"/api/tickets/{spelling}", headers={"Host": "localhost:8001"}).json() == expected


def test_links_of_a_cached_page_keep_the_parameters_of_the_request(api, agent):
    TicketFactory.create_batch(41)
    client = api(agent)
    client.get("/api/tickets/?page=2")

    page = client.get("/api/tickets/?page=02&x=1", headers={"Host": "localhost:8001"}).json()

    assert page["count"] == 41
    assert page["next"] == "http://localhost:8001/api/tickets/?page=3&x=1"
    assert page["previous"] == "http://localhost:8001/api/tickets/?x=1"


def test_what_a_filter_refuses_is_refused_beside_a_warm_cache(api, agent, ticket):
    client = api(agent)
    client.get("/api/tickets/")

    statuses = [client.get(f"/api/tickets/{query}").status_code for query in ("?status=gone", "?page=0", "?page=2")]

    assert statuses == [400, 404, 404]


def test_a_page_over_64_kib_is_not_stored(api, agent, ticket):
    CommentFactory.create_batch(7, ticket=ticket, author=agent, content="x" * 10_000)
    client = api(agent)
    assert len(client.get("/api/comments/").content) > 64 * 1024

    assert count_queries(client, "/api/comments/") == 2  # the caller and the rows; the count is stored


INVISIBLE_CHANGES = {
    "nothing": lambda api, user: api(user).patch("/api/users/me/", {}),
    "the same name": lambda api, user: api(user).patch("/api/users/me/", {"name": user.name}),
    "a language": lambda api, user: api(user).patch("/api/users/me/", {"language": "es"}),
    "a login": lambda api, user: api().post("/api/auth/token/", {"username": user.username, "password": PASSWORD}),
    "a registration": lambda api, user: api().post(
        "/api/auth/register/", {"username": "carol", "email": "carol@example.com", "password": "staple of the horse"}
    ),
}


@pytest.mark.parametrize("change", INVISIBLE_CHANGES)
def test_a_change_that_no_list_shows_leaves_all_lists_cached(api, agent, customer, ticket, change):
    client = api(agent)
    client.get("/api/tickets/")

    response = INVISIBLE_CHANGES[change](api, customer)

    assert response.status_code < 300
    assert count_queries(client, "/api/tickets/") == 1


def test_a_new_customer_leaves_all_lists_cached(api, agent, ticket, django_capture_on_commit_callbacks):
    client = api(agent)
    client.get("/api/tickets/")

    with django_capture_on_commit_callbacks(execute=True):
        carol = UserFactory.build(username="carol")
        add_user(carol, by=carol)

    assert count_queries(client, "/api/tickets/") == 1


@pytest.mark.parametrize(("field", "value"), [("username", "alicia"), ("role", Role.AGENT)])
def test_a_username_and_a_role_show_at_once(
    api, agent, customer, superuser, ticket, django_capture_on_commit_callbacks, field, value
):
    client = api(agent)
    client.get("/api/tickets/")

    with django_capture_on_commit_callbacks(execute=True):
        update_user(customer.pk, changes={field: value}, by=superuser)

    assert client.get("/api/tickets/").json()["results"][0]["created_by"][field] == value
