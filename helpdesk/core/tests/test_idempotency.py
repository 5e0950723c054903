"""A POST with an Idempotency-Key acts once, however often it is sent."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
from celery.schedules import crontab
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from helpdesk.core.idempotency import RETENTION
from helpdesk.core.models import IdempotencyKey
from helpdesk.core.tasks import delete_expired_idempotency_keys
from helpdesk.tickets.models import Comment, Ticket, TicketEvent

pytestmark = pytest.mark.django_db

TICKET = {"title": "No sound", "description": "Since today."}


def post(client, body, *, key="5f3c", path="/api/tickets/"):
    return client.post(path, body, headers={"Idempotency-Key": key})


def written():
    """Return how many tickets, comments, events and keys there are."""
    return tuple(model.objects.count() for model in (Ticket, Comment, TicketEvent, IdempotencyKey))


@pytest.mark.parametrize("resource", ["tickets", "comments"])
def test_the_same_request_gets_the_same_answer_and_acts_once(api, customer, ticket, resource):
    client = api(customer)
    body = {"tickets": TICKET, "comments": {"ticket": ticket.pk, "content": "Hello"}}[resource]
    first = post(client, body, path=f"/api/{resource}/")
    before = written()

    second = post(client, body, path=f"/api/{resource}/")

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert second["Content-Type"] == first["Content-Type"] == "application/json"
    assert (first.get("Idempotency-Replayed"), second.get("Idempotency-Replayed")) == (None, "true")
    assert written() == before


def test_the_answer_with_a_key_is_that_without_one(api, customer):
    client = api(customer)

    plain, keyed = client.post("/api/tickets/", TICKET).json(), post(client, TICKET).json()

    passing = {"id": 0, "created_at": "", "updated_at": ""}
    assert keyed | passing == plain | passing


@pytest.mark.parametrize("key", ["!", "~" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"'])
def test_any_visible_ascii_is_a_key(api, customer, key):
    client = api(customer)

    answers = [post(client, TICKET, key=key) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert Ticket.objects.count() == 1


@pytest.mark.parametrize("key", ["", " ", "two words", "x" * 256, "ñ", "a\tb", "\x7f"])
def test_another_text_is_refused_and_nothing_is_written(api, customer, key):
    response = post(api(customer), TICKET, key=key)

    assert response.status_code == 400
    assert response.json()["errors"] == [
        {
            "pointer": "#/Idempotency-Key",
            "code": "invalid",
            "detail": "A key has 1 to 255 visible ASCII characters.",
        },
    ]
    assert written() == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/tickets/", TICKET | {"priority": "high"}),
        ("/api/comments/", TICKET),
    ],
)
def test_a_key_is_not_for_another_request(api, customer, path, body):
    client = api(customer)
    post(client, TICKET)
    before = written()

    response = post(client, body, path=path)

    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    assert response["Content-Type"] == "application/problem+json"
    assert written() == before


def test_every_user_has_keys_of_their_own(api, customer, stranger):
    first, second = post(api(customer), TICKET), post(api(stranger), TICKET)

    assert [first.status_code, second.status_code] == [201, 201]
    assert second.json()["created_by"]["username"] == "bob"
    assert Ticket.objects.count() == 2


def test_a_stranger_to_the_api_has_no_keys(api, customer):
    post(api(customer), TICKET)

    assert post(api(), TICKET).status_code == 401


@pytest.mark.parametrize("status", [400, 413])
def test_a_refused_request_stores_nothing_and_its_key_is_free(api, customer, status, settings):
    client = api(customer)
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 200
    body = {400: {"title": ""}, 413: TICKET | {"description": "x" * 200}}[status]

    refused = post(client, body)
    accepted = post(client, TICKET)

    assert (refused.status_code, accepted.status_code) == (status, 201)
    assert "Idempotency-Replayed" not in accepted
    assert written() == (1, 0, 1, 1)


def test_what_was_written_and_its_answer_are_committed_together(api, customer):
    def lose_connection(execute, sql, params, many, context):
        if sql.startswith('INSERT INTO "core_idempotencykey"'):
            raise OperationalError
        return execute(sql, params, many, context)

    with connection.execute_wrapper(lose_connection):
        response = post(api(customer), TICKET)

    assert response.status_code == 503
    assert written() == (0, 0, 0, 0)


def test_a_list_shows_at_once_what_was_written_with_a_key(api, customer):
    client = api(customer)
    assert client.get("/api/tickets/").json()["count"] == 0

    post(client, TICKET)

    assert client.get("/api/tickets/").json()["count"] == 1


@pytest.mark.parametrize(("age", "tickets"), [(RETENTION - timedelta(minutes=1), 1), (RETENTION, 2)])
def test_a_key_is_free_again_after_a_day(api, customer, age, tickets):
    client = api(customer)
    post(client, TICKET)
    stored = IdempotencyKey.objects.get()
    IdempotencyKey.objects.update(created_at=stored.created_at - age)

    response = post(client, TICKET)

    assert response.status_code == 201
    assert ("Idempotency-Replayed" in response) == (tickets == 1)
    assert written() == (tickets, 0, tickets, 1)


def test_a_key_of_yesterday_that_is_not_deleted_yet_is_for_any_request(api, customer):
    client = api(customer)
    post(client, TICKET)
    IdempotencyKey.objects.update(created_at=timezone.now() - RETENTION)

    response = post(client, TICKET | {"title": "Another"})

    assert (response.status_code, response.json()["title"]) == (201, "Another")


def test_expired_keys_are_deleted_every_hour(api, customer, settings):
    for key, age in {"old": RETENTION, "young": RETENTION - timedelta(minutes=1)}.items():
        post(api(customer), TICKET, key=key)
        IdempotencyKey.objects.filter(key=key).update(created_at=timezone.now() - age)
    schedules = {entry["task"]: entry["schedule"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}

    assert delete_expired_idempotency_keys() == 1

    assert [stored.key for stored in IdempotencyKey.objects.all()] == ["young"]
    assert schedules[delete_expired_idempotency_keys.name] == crontab(minute=36)


def test_without_a_key_nothing_is_asked_or_stored(api, customer):
    with CaptureQueriesContext(connection) as queries:
        api(customer).post("/api/tickets/", TICKET)

    assert not [query["sql"] for query in queries if "idempotency" in query["sql"] or "advisory" in query["sql"]]
    assert not IdempotencyKey.objects.exists()


@contextmanager
def sent_after(text, send):
    """Call `send` once on another connection, after the first statement that contains the text; yield its answers."""
    answers = []

    def send_and_close():
        try:
            answers.append(send())
        finally:
            connection.close()

    def execute_and_send(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if text in sql and not answers:
            with ThreadPoolExecutor() as pool:
                pool.submit(send_and_close).result()
        return result

    with connection.execute_wrapper(execute_and_send):
        yield answers


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("body", [TICKET, TICKET | {"priority": "low"}])
def test_a_request_in_progress_is_not_waited_for(api, customer, body):
    with sent_after('INSERT INTO "tickets_ticket"', lambda: post(api(customer), body)) as seconds:
        first = post(api(customer), TICKET)

    (second,) = seconds
    assert (second.status_code, second.json()["code"]) == (409, "idempotency_key_in_use")
    assert (first.status_code, "Idempotency-Replayed" in first) == (201, False)
    assert written() == (1, 0, 1, 1)


@pytest.mark.django_db(transaction=True)
def test_an_answer_that_is_being_replayed_is_replayed_to_others_too(api, customer):
    post(api(customer), TICKET)

    with sent_after("pg_try_advisory_xact_lock", lambda: post(api(customer), TICKET)) as thirds:
        second = post(api(customer), TICKET)

    assert [answer["Idempotency-Replayed"] for answer in (second, *thirds)] == ["true", "true"]
