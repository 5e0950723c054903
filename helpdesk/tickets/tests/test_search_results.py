"""Searches of large lists: the same tickets whichever way they are found, by index, counted to 1,000."""

import json
from itertools import product

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from helpdesk.tickets import search_results
from helpdesk.tickets.filters import ORDERINGS
from helpdesk.tickets.models import Ticket
from helpdesk.tickets.search import SIMILAR_WORDS
from helpdesk.tickets.search_results import MAXIMUM_RESULTS, SAMPLE_SIZE, SearchResults

pytestmark = pytest.mark.django_db

INVERTED_INDEX = "tickets_search_words"
# The n-th newest ticket of 6,000 has these words, of which some are only in the newest or in the oldest.
WORDS = {
    "common": "n % 4 = 0",
    "often": "n % 10 < 3",
    "seldom": "n % 10 > 6",
    "rare": "n % 600 = 0",
    "incident": "n <= 200",
    "retired": "n > 4500",
}


@pytest.fixture
def tickets(customer, stranger, agent):
    """6,000 tickets, straight into the tables: a third of them of `customer`, 100 of `stranger`, the rest of `agent`."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO tickets_ticket (
                title, description, status, priority, created_by_id, assigned_to_id, comments_count, version, created_at,
                updated_at
            )
            SELECT
                n, '', (ARRAY['open', 'in_progress', 'resolved'])[n %% 3 + 1], n %% 4 + 1,
                CASE WHEN n %% 60 = 1 THEN %(stranger)s WHEN n %% 3 = 0 THEN %(customer)s ELSE %(agent)s END,
                CASE WHEN n %% 5 = 0 THEN %(agent)s END, 0, 1,
                now() - n * interval '1 minute', now() - (n * 7 %% 6000) * interval '1 minute'
            FROM generate_series(1, 6000) AS n
            """,
            {"customer": customer.pk, "stranger": stranger.pk, "agent": agent.pk},
        )
        words = ", ".join(f"CASE WHEN {condition} THEN '{word}' END" for word, condition in WORDS.items())
        cursor.execute(
            f"""
            INSERT INTO tickets_searchdocument (ticket_id, words)
            SELECT id, array_to_tsvector(array_remove(
                ARRAY[{words}] || ARRAY(SELECT 'other' || (n * 31 + k * 7919) % 20000 FROM generate_series(1, 20) AS k), NULL
            ))
            FROM tickets_ticket, LATERAL (SELECT title::int) AS numbered (n)
            """
        )
        cursor.execute(
            """
            INSERT INTO tickets_searchword (word, spanish_stem, english_stem)
            SELECT word, word, word FROM (
                SELECT unnest(%s::text[]) UNION SELECT 'other' || n FROM generate_series(0, 19999) AS n
            ) AS known (word)
            """,
            [list(WORDS)],
        )
        cursor.execute("SELECT gin_clean_pending_list('tickets_search_words')")
        cursor.execute("ANALYZE tickets_ticket, tickets_searchdocument, tickets_searchword")


def page_of(tickets, tsquery, *, offset=0, size=20):
    return list(SearchResults(tickets, tsquery).page(offset=offset, size=size).values_list("pk", flat=True))


@pytest.mark.parametrize(
    ("minimum", "maximum_sorted"),
    [(0, 2000), (SAMPLE_SIZE + 1, 2000), (SAMPLE_SIZE + 1, MAXIMUM_RESULTS)],
    ids=["in order", "by index", "by index, then in order"],
)
def test_each_way_finds_the_same_tickets_in_every_order(tickets, customer, monkeypatch, minimum, maximum_sorted):
    monkeypatch.setattr(search_results, "MINIMUM_SAMPLE_MATCHES", minimum)
    monkeypatch.setattr(search_results, "MAXIMUM_SORTED", maximum_sorted)
    monkeypatch.setattr(search_results, "MAXIMUM_TICKETS_READ", 2000)
    searches = [*WORDS, "common & retired", "often & seldom"]
    lists = [Ticket.objects.all(), Ticket.objects.filter(status="open"), Ticket.objects.visible_to(customer)]

    for words, listed, ordering in product(searches, lists, ORDERINGS):
        ordered = listed.order_by(ordering, "-id" if ordering.startswith("-") else "id")
        expected = list(ordered.filter(search_document__words__matches=words).values_list("pk", flat=True))
        assert SearchResults(ordered, words).count() == min(len(expected), MAXIMUM_RESULTS + 1)
        for offset in (0, 20):
            assert page_of(ordered, words, offset=offset) == expected[offset : offset + 20]


def statements_of(client, path):
    """Return the statements on tickets or their search documents that a list costs."""
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    tables = ("tickets_ticket", "tickets_searchdocument")
    return [query["sql"] for query in queries if any(table in query["sql"] for table in tables)]


def nodes(plan):
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)


def indexes_of(statement, parameters=None):
    """Return the indexes in the plan of a statement, which reads no table as a whole."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
        [(plan,)] = cursor.fetchall()
    plan = list(nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))
    assert "Seq Scan" not in {node["Node Type"] for node in plan if node.get("Relation Name") != "users_user"}, (
        statement
    )
    return {node["Index Name"] for node in plan if "Index Name" in node}


@pytest.mark.parametrize("parameters", ["", "&ordering=created_at&page=50"])
def test_common_words_are_found_in_the_order_of_the_list(api, agent, tickets, parameters):
    sample, in_order, rows = statements_of(api(agent), f"/api/tickets/?search=common{parameters}")

    assert indexes_of(sample) == indexes_of(in_order) == {"tickets_ticket_created", "tickets_searchdocument_pkey"}
    assert "tickets_ticket_pkey" in indexes_of(rows)


@pytest.mark.parametrize(
    ("parameters", "index"),
    [
        ("ordering=-updated_at", "tickets_ticket_updated"),
        ("ordering=priority", "tickets_ticket_priority"),
    ],
)
def test_the_sample_is_read_by_the_index_of_the_list(api, agent, tickets, parameters, index):
    sample, *_others = statements_of(api(agent), f"/api/tickets/?search=common&{parameters}")

    assert indexes_of(sample) == {index, "tickets_searchdocument_pkey"}


@pytest.mark.parametrize("search", ["rare", "incident", "retired", "often+seldom"])
@pytest.mark.parametrize("ordering", ["-created_at", "updated_at", "-priority"])
def test_rare_words_are_found_by_the_inverted_index(api, agent, tickets, monkeypatch, search, ordering):
    monkeypatch.setattr(search_results, "MAXIMUM_TICKETS_READ", 2000)

    statements = statements_of(api(agent), f"/api/tickets/?search={search}&ordering={ordering}")

    by_index = [indexes_of(statement) for statement in statements if "LIMIT 2001" in statement]
    rows = [indexes_of(statement) for statement in statements if "title" in statement]
    assert by_index == [{INVERTED_INDEX}]
    assert all(indexes <= {"tickets_ticket_pkey", "users_user_pkey"} for indexes in rows)


def test_the_words_with_a_part_are_found_by_index(tickets):
    parameters = {"parts": ["ther1234"], "beginnings": 50, "maximum": 200, "ranked": 50_000}

    assert "tickets_search_word_trigrams" in indexes_of(SIMILAR_WORDS, parameters)


@pytest.mark.parametrize("search", ["zzzz", "common+zzzz", "!!!"])
def test_a_word_that_no_ticket_has_costs_no_query_of_tickets(api, agent, tickets, search):
    assert statements_of(api(agent), f"/api/tickets/?search={search}") == []


def test_few_tickets_are_searched_without_the_inverted_index(api, stranger, tickets):
    statements = statements_of(api(stranger), "/api/tickets/?search=common")

    assert not any(INVERTED_INDEX in indexes_of(statement) for statement in statements)
    assert api(stranger).get("/api/tickets/?search=incident").json()["count"] == 4


def test_of_more_than_a_thousand_results_the_first_thousand_are_listed(api, agent, tickets):
    pages = [api(agent).get(f"/api/tickets/?search=common&page={number}") for number in (1, 50, 51)]

    first, last = (page.json() for page in pages[:2])
    assert (first["count"], first["count_is_exact"]) == (last["count"], last["count_is_exact"]) == (1000, False)
    assert [item["title"] for item in first["results"]] == [str(n) for n in range(4, 84, 4)]
    assert [item["title"] for item in last["results"]] == [str(n) for n in range(3924, 4004, 4)]
    assert first["next"] is not None
    assert last["next"] is None
    assert pages[2].status_code == 404


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("search=common&status=open", 500),
        ("search=incident", 200),
        ("search=often+seldom", 0),
        ("status=open", 2000),
        ("", 6000),
    ],
)
def test_other_counts_are_exact(api, agent, tickets, query, count):
    page = api(agent).get(f"/api/tickets/?{query}").json()

    assert (page["count"], page["count_is_exact"]) == (count, True)


def test_the_admin_lists_the_first_thousand_results(client, agent, tickets):
    client.force_login(agent)

    found = client.get("/admin/tickets/ticket/?q=common&status__exact=in_progress")
    many = client.get("/admin/tickets/ticket/?q=common")

    assert found.context["cl"].result_count == 500
    assert b"More than 1,000 tickets match" not in found.content
    assert many.context["cl"].result_count == 1000
    assert b"More than 1,000 tickets match" in many.content
