"""What was told long ago is forgotten: each stream loses its beginning, and clients are told where it begins."""

from datetime import timedelta

import pytest
from celery.schedules import crontab
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from helpdesk.core.json import dumps
from helpdesk.notifications import retention
from helpdesk.notifications.live.frames import frame_of
from helpdesk.notifications.live.streams import position_of
from helpdesk.notifications.models import Frame, Notification, Stream
from helpdesk.notifications.tasks import delete_old_notifications
from helpdesk.tickets.models import EventKind, EventSource, TicketEvent

pytestmark = pytest.mark.django_db

OLD, YOUNG = 91, 89


def tell(*users, ticket, days):
    """Write to the users' streams what was announced so many days ago."""
    then = timezone.now() - timedelta(days=days)
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
    frame = Frame.objects.create(event=event, text=dumps(frame_of(event, ticket, None)).decode())
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
    """Try it with batches that do and do not end where the old ones do."""
    monkeypatch.setattr(retention, "BATCH_SIZE", request.param)


def test_what_is_old_is_forgotten_and_nothing_younger(batches, customer, stranger, agent, ticket):
    for days in (OLD + 9, OLD, OLD, YOUNG, 0):
        tell(customer, ticket=ticket, days=days)
    tell(stranger, ticket=ticket, days=YOUNG)
    tell(agent, ticket=ticket, days=OLD)

    assert delete_old_notifications() == 4

    assert (seqs(customer), seqs(stranger), seqs(agent)) == ([4, 5], [1], [])
    assert delete_old_notifications() == 0
    assert (seqs(customer), seqs(stranger), seqs(agent)) == ([4, 5], [1], [])


def test_streams_go_on_where_they_were(customer, ticket):
    for _ in range(3):
        tell(customer, ticket=ticket, days=OLD)
    epoch = Stream.objects.get(user=customer).epoch

    delete_old_notifications()
    tell(customer, ticket=ticket, days=0)

    assert seqs(customer) == [4]
    assert Stream.objects.get(user=customer).epoch == epoch


def test_a_clock_that_was_wrong_makes_no_hole(batches, customer, ticket):
    for days in (OLD, YOUNG, OLD, YOUNG):
        tell(customer, ticket=ticket, days=days)

    assert delete_old_notifications() == 1

    assert seqs(customer) == [2, 3, 4]


def test_frames_are_forgotten_with_their_last_notification(batches, customer, stranger, ticket):
    kept_by_a_stranger = tell(stranger, ticket=ticket, days=OLD)
    Notification.objects.update(created_at=timezone.now())
    tell(customer, ticket=ticket, days=OLD)
    tell(customer, stranger, ticket=ticket, days=OLD)
    young = tell(customer, ticket=ticket, days=YOUNG)

    delete_old_notifications()

    shared = Notification.objects.get(user=stranger, seq=2).frame
    assert set(Frame.objects.all()) == {kept_by_a_stranger, shared, young}
    assert TicketEvent.objects.count() == 4


def test_an_unused_frame_stays_until_it_is_old(customer, ticket):
    tell(ticket=ticket, days=OLD)
    young = tell(ticket=ticket, days=YOUNG)

    delete_old_notifications()

    assert list(Frame.objects.all()) == [young]


def test_the_retention_is_a_setting(customer, ticket, settings):
    settings.NOTIFICATION_RETENTION = timedelta(days=7)
    tell(customer, ticket=ticket, days=8)
    tell(customer, ticket=ticket, days=6)

    delete_old_notifications()

    assert seqs(customer) == [2]


def test_no_statement_deletes_more_than_a_batch(customer, ticket, monkeypatch):
    monkeypatch.setattr(retention, "BATCH_SIZE", 2)
    for _ in range(5):
        tell(customer, ticket=ticket, days=OLD)

    with CaptureQueriesContext(connection) as queries:
        delete_old_notifications()

    deletions = [query["sql"] for query in queries if "DELETE" in query["sql"]]
    assert [sql.count("DELETE") for sql in deletions] == [1] * 6
    assert not Notification.objects.exists()
    assert not Frame.objects.exists()


def test_a_stream_begins_where_it_is_left(customer, stranger, ticket):
    for days in (OLD, OLD, YOUNG):
        tell(customer, ticket=ticket, days=days)
    tell(stranger, ticket=ticket, days=OLD)

    delete_old_notifications()

    assert position_of(customer)[1:] == (3, 3)
    assert position_of(stranger)[1:] == (1, 2)


def test_beat_does_it_every_night(settings):
    entry = settings.CELERY_BEAT_SCHEDULE["delete-old-notifications"]

    assert entry == {"task": delete_old_notifications.name, "schedule": crontab(hour=3, minute=42)}


@pytest.fixture
def answer_to(client_of, customer):
    """Return a function from a cursor to where the stream begins, and what the customer hears who resumes from it."""

    def heard(cursor, *, last):
        client = client_of(customer, v2=True)
        hello = client.hear()
        client.say({"type": "resume", "epoch": hello["epoch"], "seq": cursor})
        return hello["oldest"], client.hear_until(last)

    return heard


@pytest.mark.django_db(transaction=True)
def test_a_client_that_was_away_for_too_long_is_told(answer_to, customer, ticket):
    for days in (OLD, OLD, YOUNG, 0):
        tell(customer, ticket=ticket, days=days)

    delete_old_notifications()

    assert answer_to(1, last="resync") == (3, [{"type": "resync", "reason": "too_old", "seq": 4}])
    oldest, (third, fourth, resumed) = answer_to(2, last="resumed")
    assert (oldest, third["seq"], fourth["seq"]) == (3, 3, 4)
    assert resumed == {"type": "resumed", "from": 3, "to": 4}


@pytest.mark.django_db(transaction=True)
def test_a_client_whose_whole_stream_is_forgotten_goes_on_from_its_end(answer_to, customer, ticket):
    for _ in range(3):
        tell(customer, ticket=ticket, days=OLD)

    delete_old_notifications()

    assert answer_to(2, last="resync") == (4, [{"type": "resync", "reason": "too_old", "seq": 3}])
    assert answer_to(3, last="resumed") == (4, [{"type": "resumed", "from": 4, "to": 3}])
