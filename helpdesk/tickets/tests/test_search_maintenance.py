"""The search index: bounded for each ticket, without unused words, and rebuilt by a command."""

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from helpdesk.tickets import actions, search_index
from helpdesk.tickets.models import Comment, SearchDocument, SearchWord, Ticket
from helpdesk.tickets.search import build_tsquery
from helpdesk.tickets.search_index import fold
from helpdesk.tickets.search_results import SearchResults
from helpdesk.tickets.tasks import delete_unused_search_words
from helpdesk.tickets.tests.factories import CommentFactory, TicketFactory, by

pytestmark = pytest.mark.django_db

# Of four bytes in UTF-8, and a letter of a word.
LETTER = "\U00010400"


def comment_of_long_words(number):
    """Return 303 words of 32 characters of four bytes each, different from those of every other number."""
    alphabet = [chr(ord(LETTER) + 40 + offset) for offset in range(40)]
    words = []
    for word in range(number * 303, number * 303 + 303):
        digits = alphabet[word // 1600] + alphabet[word // 40 % 40] + alphabet[word % 40]
        words.append(digits + alphabet[0] * 29)
    return " ".join(words)


def found(text):
    results = SearchResults(Ticket.objects.all(), build_tsquery(fold(text)))
    return list(Ticket.objects.filter(pk__in=results.found.ids).values_list("title", flat=True))


def words_of(ticket):
    with connection.cursor() as cursor:
        cursor.execute("SELECT tsvector_to_array(words) FROM tickets_searchdocument WHERE ticket_id = %s", [ticket.pk])
        return set(cursor.fetchone()[0])


def test_a_ticket_of_too_many_words_can_be_changed_and_is_found_by_its_title(api, agent):
    ticket = TicketFactory(title="Printer")
    for number in range(40):
        CommentFactory(ticket=ticket, content=comment_of_long_words(number))

    response = api(agent).patch(f"/api/tickets/{ticket.pk}/", {"title": "Scanner"})

    assert response.status_code == 200
    assert found("scanner") == ["Scanner"]
    assert len(words_of(ticket)) == search_index.MAXIMUM_DOCUMENT_WORDS


def test_comments_fill_a_ticket_up_to_its_bound(agent):
    ticket = TicketFactory(title="Printer")
    before = len(words_of(ticket))
    for number in range(24):
        actions.add_comment(by(agent), ticket.pk, content=comment_of_long_words(number))

    assert before + 23 * 303 < search_index.MAXIMUM_DOCUMENT_WORDS == len(words_of(ticket))
    assert found("printer") == ["Printer"]


def test_a_comment_of_ten_thousand_words_is_written(api, agent):
    ticket = TicketFactory(title="Printer")
    content = "".join(chr(0x4E00 + number) for number in range(10_000))

    response = api(agent).post("/api/comments/", {"ticket": ticket.pk, "content": content})

    assert response.status_code == 201
    assert found(content[:2]) == found("printer") == ["Printer"]
    assert len(words_of(ticket)) == search_index.MAXIMUM_DOCUMENT_WORDS


def test_a_comment_on_a_ticket_at_its_bound_adds_no_words(agent, monkeypatch):
    monkeypatch.setattr(search_index, "MAXIMUM_DOCUMENT_WORDS", 4)
    ticket = TicketFactory(title="one two three", description="")

    actions.add_comment(by(agent), ticket.pk, content="one zebra giraffe lion")
    actions.add_comment(by(agent), ticket.pk, content="tiger")

    assert Comment.objects.count() == 2
    assert words_of(ticket) == {"one", "two", "three", "zebra"}
    assert found("tiger") == []
    assert set(SearchWord.objects.values_list("word", flat=True)) == words_of(ticket)


def test_a_change_of_the_title_reads_the_first_comments_only(api, agent, monkeypatch):
    monkeypatch.setattr(search_index, "COMMENTS_PER_QUERY", 2)
    monkeypatch.setattr(search_index, "MAXIMUM_COMMENT_PAGES", 2)
    ticket = TicketFactory(title="Printer")
    for number in range(9):
        CommentFactory(ticket=ticket, content=f"ok{number}")

    with CaptureQueriesContext(connection) as queries:
        response = api(agent).patch(f"/api/tickets/{ticket.pk}/", {"title": "Scanner"})

    assert response.status_code == 200
    assert len([query for query in queries if '"tickets_comment"."id" >' in query["sql"]]) == 2
    assert found("ok3") == ["Scanner"]
    assert found("ok4") == []


def test_words_of_a_ticket_count_once_towards_its_bound(agent, monkeypatch):
    monkeypatch.setattr(search_index, "MAXIMUM_DOCUMENT_WORDS", 5)
    ticket = TicketFactory(title="one two three", description="four")

    actions.add_comment(by(agent), ticket.pk, content="four three two one five six")

    assert len(words_of(ticket)) == 5
    assert {"one", "two", "three", "four"} < words_of(ticket)


def test_new_words_are_inserted_in_one_order():
    with CaptureQueriesContext(connection) as queries:
        TicketFactory(title="zebra giraffe", description="printer")

    [statement] = [query["sql"] for query in queries if "tickets_searchword" in query["sql"]]
    assert "ORDER BY word" in statement


def test_words_that_no_ticket_has_are_deleted(monkeypatch):
    monkeypatch.setattr(search_index, "RANGE_SIZE", 2)
    gone = TicketFactory(title="Zebra crossing", description="printer")
    TicketFactory(title="Giraffe", description="printer 打印机 C++")
    gone.delete()

    assert delete_unused_search_words() == 2

    assert set(SearchWord.objects.values_list("word", flat=True)) == {"giraffe", "printer", "c"}


def test_words_are_deleted_under_a_lock_against_writes():
    TicketFactory(title="Zebra").delete()

    with CaptureQueriesContext(connection) as queries:
        search_index.delete_unused_words()

    statements = [query["sql"] for query in queries]
    lock = next(number for number, sql in enumerate(statements) if "SHARE ROW EXCLUSIVE" in sql)
    assert any("NOT EXISTS" in sql for sql in statements[lock:])


@pytest.fixture
def writer():
    """A connection with a transaction of its own, which is rolled back."""
    other = connections.create_connection("default")
    other.set_autocommit(False)
    yield other
    other.rollback()
    other.close()


@pytest.mark.django_db(transaction=True)
def test_a_word_that_is_being_written_is_not_deleted_and_ends_the_deletion(writer, monkeypatch):
    monkeypatch.setattr(search_index, "LOCK_TIMEOUT_MS", 10)
    monkeypatch.setattr(search_index, "RANGE_SIZE", 1)
    TicketFactory(title="Zebra giraffe lion").delete()
    with writer.cursor() as cursor:
        cursor.execute(search_index.INSERT_WORDS, {"lexicon": ["zebra"], "customer": None})

    with CaptureQueriesContext(connection) as queries:
        assert search_index.delete_unused_words() == 0

    assert len([query for query in queries if query["sql"].startswith("LOCK TABLE")]) == 1
    assert SearchWord.objects.filter(word="zebra").exists()


def test_the_deletion_waits_for_the_lock_until_an_autovacuum_is_cancelled():
    with connection.cursor() as cursor:
        cursor.execute("SELECT setting::integer FROM pg_settings WHERE name = 'deadlock_timeout'")
        (deadlock_timeout_ms,) = cursor.fetchone()

    assert deadlock_timeout_ms < search_index.LOCK_TIMEOUT_MS


def test_words_whose_lookup_takes_too_long_are_left(monkeypatch):
    monkeypatch.setattr(
        search_index, "UNUSED_WORDS", f"{search_index.UNUSED_WORDS} AND (word <> 'giraffe' OR pg_sleep(60) IS NULL)"
    )
    monkeypatch.setattr(search_index, "LOOKUP_TIMEOUT_MS", 200)
    monkeypatch.setattr(search_index, "RANGE_SIZE", 1)
    TicketFactory(title="Zebra giraffe lion", description="").delete()

    assert search_index.delete_unused_words() == 2

    assert set(SearchWord.objects.values_list("word", flat=True)) == {"giraffe"}


def test_words_are_deleted_regularly():
    assert delete_unused_search_words.name in {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}


def test_the_search_is_rebuilt(monkeypatch, capsys):
    monkeypatch.setattr(search_index, "RANGE_SIZE", 2)
    tickets = TicketFactory.create_batch(5)
    CommentFactory(ticket=tickets[3], content="extinguisher")
    SearchDocument.objects.exclude(ticket=tickets[0]).delete()
    with transaction.atomic():
        SearchWord.objects.all().delete()

    call_command("rebuild_search")

    assert found("extinguish") == [tickets[3].title]
    assert found("rinter") == [ticket.title for ticket in reversed(tickets)]
    assert capsys.readouterr().out == "Indexed 5 tickets and deleted 0 unused words.\n"
