"""Old notifications are deleted: each stream loses its beginning, and clients are sent the oldest number."""

from datetime import timedelta

import pytest
from celery.schedules import crontab
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from helpdesk.notifications import actions
from helpdesk.notifications.live.protocol import event_frame, render
from helpdesk.notifications.models import Frame, Notification, Stream
from helpdesk.notifications.tasks import delete_old_notifications
from helpdesk.tickets.models import EventKind, EventSource, TicketEvent

pytestmark = pytest.mark.django_db

OLD, YOUNG = 91, 89


def notify(*users, ticket, ages):
    """Add an event to the users' streams for each age in days; return the frames."""
    return [notify_once(*users, ticket=ticket, then=timezone.now() - timedelta(days=days)) for days in ages]


def notify_once(*users, ticket, then):
    event = TicketEvent.objects.create(
        ticket=ticket,
        kind=EventKind.STATUS_CHANGED,
        actor=ticket.created_by,
        source=EventSource.API,
        old="open",
        new="closed",
        created_at=then,
        announced_at=then,
    )
    frame = Frame.objects.create(event=event, text=render(event_frame(event, ticket, None)))
    for user in users:
        stream, _ = Stream.objects.get_or_create(user=user)
        stream.last_seq += 1
        stream.save()
        Notification.objects.create(user=user, seq=stream.last_seq, frame=frame, created_at=then)
    return frame


def seqs(user):
    return list(Notification.objects.of(user).order_by("seq").values_list("seq", flat=True))


@pytest.fixture(params=[1_000, 3, 2, 1])
def batches(request, monkeypatch):
    """Use batches that do and do not end with the last old notification."""
    monkeypatch.setattr(actions, "BATCH_SIZE", request.param)


def test_old_notifications_are_deleted_and_no_others(batches, customer, stranger, agent, ticket):
    notify(customer, ticket=ticket, ages=[OLD + 9, OLD, OLD, YOUNG, 0])
    notify(stranger, ticket=ticket, ages=[YOUNG])
    notify(agent, ticket=ticket, ages=[OLD])

    for deleted in (4, 0):
        assert delete_old_notifications() == deleted
        assert (seqs(customer), seqs(stranger), seqs(agent)) == ([4, 5], [1], [])


def test_a_stream_keeps_its_numbers_and_its_epoch(customer, ticket):
    notify(customer, ticket=ticket, ages=[OLD] * 3)
    epoch = Stream.objects.get(user=customer).epoch

    delete_old_notifications()
    notify(customer, ticket=ticket, ages=[0])

    assert seqs(customer) == [4]
    assert Stream.objects.get(user=customer).epoch == epoch


def test_a_clock_that_was_wrong_makes_no_gap(batches, customer, ticket):
    notify(customer, ticket=ticket, ages=[OLD, YOUNG, OLD, YOUNG])

    assert delete_old_notifications() == 1

    assert seqs(customer) == [2, 3, 4]


def test_frames_are_deleted_with_their_last_notification(batches, customer, stranger, ticket):
    kept = notify(stranger, ticket=ticket, ages=[OLD])
    Notification.objects.update(created_at=timezone.now())
    notify(customer, ticket=ticket, ages=[OLD])
    kept += notify(customer, stranger, ticket=ticket, ages=[OLD])
    kept += notify(customer, ticket=ticket, ages=[YOUNG])

    delete_old_notifications()

    assert set(Frame.objects.all()) == set(kept)
    assert TicketEvent.objects.count() == 4


def test_an_unused_frame_is_kept_until_it_is_old(customer, ticket):
    _old, young = notify(ticket=ticket, ages=[OLD, YOUNG])

    delete_old_notifications()

    assert list(Frame.objects.all()) == [young]


def test_the_retention_is_a_setting(customer, ticket, settings):
    settings.NOTIFICATION_RETENTION = timedelta(days=7)
    notify(customer, ticket=ticket, ages=[8, 6])

    delete_old_notifications()

    assert seqs(customer) == [2]


def test_no_statement_deletes_more_than_a_batch(customer, ticket, monkeypatch):
    monkeypatch.setattr(actions, "BATCH_SIZE", 2)
    notify(customer, ticket=ticket, ages=[OLD] * 5)

    with CaptureQueriesContext(connection) as queries:
        delete_old_notifications()

    deletions = [query["sql"] for query in queries if "DELETE" in query["sql"]]
    assert [sql.count("DELETE") for sql in deletions] == [1] * 6
    assert not Notification.objects.exists()
    assert not Frame.objects.exists()


def test_a_stream_begins_with_its_oldest_notification_or_with_the_next(customer, stranger, ticket):
    notify(customer, ticket=ticket, ages=[OLD, OLD, YOUNG])
    notify(stranger, ticket=ticket, ages=[OLD])

    delete_old_notifications()

    streams = Stream.objects.with_oldest().order_by("user")
    assert [(stream.last_seq, stream.oldest) for stream in streams] == [(3, 3), (1, 2)]


def test_beat_runs_it_every_night(settings):
    entry = settings.CELERY_BEAT_SCHEDULE["delete-old-notifications"]

    assert entry == {"task": delete_old_notifications.name, "schedule": crontab(hour=3, minute=42)}


@pytest.fixture
def resume(connect_client, customer):
    """Return a function that resumes from a cursor; it returns where the stream begins, and the answer."""

    def resume(cursor, *, last):
        client = connect_client(customer, v2=True)
        hello = client.receive()
        client.send({"type": "resume", "epoch": hello["epoch"], "seq": cursor})
        return hello["oldest"], client.receive_until(last)

    return resume


@pytest.mark.django_db(transaction=True)
def test_a_client_that_was_away_for_too_long_is_told_to_resync(resume, customer, ticket):
    notify(customer, ticket=ticket, ages=[OLD, OLD, YOUNG, 0])

    delete_old_notifications()

    assert resume(1, last="resync") == (3, [{"type": "resync", "reason": "too_old", "seq": 4}])
    oldest, (third, fourth, resumed) = resume(2, last="resumed")
    assert (oldest, third["seq"], fourth["seq"]) == (3, 3, 4)
    assert resumed == {"type": "resumed", "from": 3, "to": 4}


@pytest.mark.django_db(transaction=True)
def test_a_client_of_an_emptied_stream_goes_on_from_its_end(resume, customer, ticket):
    notify(customer, ticket=ticket, ages=[OLD] * 3)

    delete_old_notifications()

    assert resume(2, last="resync") == (4, [{"type": "resync", "reason": "too_old", "seq": 3}])
    assert resume(3, last="resumed") == (4, [{"type": "resumed", "from": 4, "to": 3}])
