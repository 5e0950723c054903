"""Words, parts of words and inflections, whatever the case and the accents; and by index."""

import json

import pytest
from django.db import connection

from helpdesk.tickets import actions, search
from helpdesk.tickets.actions import Origin
from helpdesk.tickets.models import EventSource, Ticket
from helpdesk.tickets.tests.factories import TicketFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def found(api, agent):
    def titles(text):
        response = api(agent).get("/api/tickets/", {"search": text})
        assert response.status_code == 200, response.content
        return sorted(item["title"] for item in response.json()["results"])

    return titles


@pytest.mark.parametrize(
    "text",
    [
        "impresora",
        "IMPRESORA",
        "impresoras",
        "presor",
        "imprimir",
        "atencion",
        "atención",
        "ATENCIÓN canción",
        "Cancion",
        "canciones",
        "pi",
        "piso 3",
        "wi-fi",
        "error-0x80070057",
        "0x8007",
        "ana@example.com",
        "ñandú",
        "nandu",
    ],
)
def test_a_spanish_ticket_is_found(found, text):
    TicketFactory(
        title="La impresora del piso 3 no quiere imprimir",
        description="¡Atención! Suena una canción, sin Wi-Fi: error-0x80070057. Escribid a ana@example.com, ñandú.",
    )
    TicketFactory(title="Otra cosa", description="Nada que ver")

    assert found(text) == ["La impresora del piso 3 no quiere imprimir"]


@pytest.mark.parametrize("text", ["printer", "Printers", "printing", "rint", "jam paper", "café", "CAFE"])
def test_an_english_ticket_is_found(found, text):
    TicketFactory(title="Printer jams", description="Paper stuck since printing the café menu")
    TicketFactory(title="Screen", description="Black")

    assert found(text) == ["Printer jams"]


@pytest.mark.parametrize("text", ["printer scanner", "plotter", "!!!", "%", "_", "' OR 1=1 --", "\\", "&|!()<->:*"])
def test_what_no_ticket_has_finds_nothing(found, text):
    TicketFactory(title="Printer jams")

    assert found(text) == []


def test_words_may_stand_in_the_title_the_description_and_the_comments(found, agent):
    ticket = TicketFactory(title="Printer", description="It smokes")
    actions.add_comment(Origin(agent, EventSource.API), ticket.pk, content="Extinguisher sent")

    assert found("printer smoke extinguisher") == ["Printer"]


def test_a_changed_title_is_found_by_its_new_words_only(found, agent):
    ticket = TicketFactory(title="Zebra", description="D")

    actions.update_ticket(Origin(agent, EventSource.API), ticket.pk, changes={"title": "Giraffe"})

    assert found("giraffe") == ["Giraffe"]
    assert found("zebra") == []


def test_a_number_sign_finds_the_ticket_with_that_number(found):
    wanted = TicketFactory(title="Wanted", description="D")
    TicketFactory(title="Other", description=f"see {wanted.pk}")

    assert found(f"#{wanted.pk}") == ["Wanted"]
    assert found(f" #{wanted.pk} ") == ["Wanted"]
    assert found("#999999999999999999") == []


def test_a_customer_finds_only_their_own(api, customer, stranger):
    TicketFactory(created_by=customer, title="Printer")

    assert api(customer).get("/api/tickets/?search=printer").json()["count"] == 1
    assert api(stranger).get("/api/tickets/?search=printer").json()["count"] == 0


@pytest.fixture
def fifty_thousand_tickets(customer):
    """Tickets of 20 words each out of 20,000, straight into the tables."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO tickets_ticket
                (title, description, status, priority, created_by_id, comments_count, version, created_at, updated_at)
            SELECT 'Ticket ' || n, '', 'open', 2, %s, 0, 1, now() - n * interval '1 minute', now()
            FROM generate_series(1, 50000) AS n
            """,
            [customer.pk],
        )
        cursor.execute(
            """
            INSERT INTO tickets_searchdocument (ticket_id, words)
            SELECT id, array_to_tsvector(ARRAY(SELECT 'word' || (id * 31 + k * 7919) %% 20000 FROM generate_series(1, 20) AS k))
            FROM tickets_ticket
            """,
            [],
        )
        cursor.execute(
            """
            INSERT INTO tickets_searchword (word, spanish_stem, english_stem)
            SELECT 'word' || n, 'word' || n, 'word' || n FROM generate_series(0, 19999) AS n
            """,
        )
        cursor.execute("ANALYZE tickets_ticket, tickets_searchdocument, tickets_searchword")


def nodes(plan):
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)


def plan_of(sql, params=None):
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        [(plan,)] = cursor.fetchall()
    return list(nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("word12345", "tickets_search_words"),
        ("word12345 word1", "tickets_search_words"),
        ("word", "tickets_ticket_created"),
    ],
    ids=["a rare word", "a rare and a common word", "a word in every ticket"],
)
def test_fifty_thousand_tickets_are_searched_by_index(fifty_thousand_tickets, text, index):
    newest = search.matching(Ticket.objects.all(), text).order_by("-created_at", "-id")[:20]

    plan = plan_of(*newest.query.sql_with_params())

    assert index in {node.get("Index Name") for node in plan}
    assert "Seq Scan" not in {node["Node Type"] for node in plan}
    assert len(newest) == 20


def test_a_part_of_a_word_is_looked_up_by_index(fifty_thousand_tickets):
    plan = plan_of(search.WORDS_LIKE, {"parts": ["ord1234"], "maximum": 200, "ranked": 50_000})

    assert "tickets_search_word_trigrams" in {node.get("Index Name") for node in plan}
    assert "Seq Scan" not in {node["Node Type"] for node in plan}
