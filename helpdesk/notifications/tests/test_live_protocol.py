"""Version 2 of the live protocol: hello, resume, resync, heartbeats, and every close code."""

import json

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from helpdesk.notifications.live.connection import read_as_user, read_stream_and_page
from helpdesk.notifications.live.protocol import MAX_REPLAYED_EVENTS
from helpdesk.notifications.models import Notification, Stream
from helpdesk.tickets import actions
from helpdesk.tickets.tests.factories import TicketFactory, by
from helpdesk.users.authentication import read_access_token
from helpdesk.users.models import Role, User

from .conftest import (
    access_token,
    add_comment,
    seqs,
    short_lived_token,
    wait_until_announced,
)


def test_hello_describes_the_stream(connect_client, add_comments, customer):
    add_comments(2)

    client = connect_client(customer, v2=True)

    hello = client.receive()
    stream = Stream.objects.get(user=customer)
    assert 3590 < hello.pop("expires_in") <= 3600
    assert hello == {"type": "hello", "v": 2, "epoch": str(stream.epoch), "seq": 2, "oldest": 1, "heartbeat": 25.0}
    assert client.socket.subprotocol == "helpdesk.v2"


def test_a_new_stream_keeps_its_epoch(connect_client, add_comments, customer):
    client = connect_client(customer, v2=True)
    hello = client.receive()
    add_comments()
    client.receive()

    client.send({"type": "resume", "epoch": hello["epoch"], "seq": 0})

    assert (hello["seq"], hello["oldest"]) == (0, 1)
    assert seqs(client.receive_until("resumed")) == [1]


def test_an_event_is_the_inbox_item(subscribe, add_comments, customer, api):
    client = subscribe(customer, v2=True)

    add_comments()

    frame = client.receive()
    (item,) = api(customer).get("/api/notifications/").json()["results"]
    assert frame == {key: value for key, value in item.items() if key != "read_at"}


def test_a_plain_client_is_sent_events_only(connect_client, add_comments, customer):
    add_comments(2)
    client = connect_client(customer)
    client.round_trip()

    add_comments()

    assert seqs([client.receive()]) == [3]
    assert client.round_trip() == []


@pytest.mark.parametrize("v2", [True, False])
def test_a_token_in_the_first_frame_opens_the_stream_in_version_2(connect_client, add_comments, customer, v2):
    client = connect_client(v2=v2)
    client.send({"type": "auth", "token": access_token(customer)})

    assert client.receive()["type"] == "hello"
    add_comments()
    assert seqs([client.receive()]) == [1]


def test_a_resume_turns_a_plain_connection_into_one_of_version_2(subscribe, add_comments, customer):
    client = subscribe(customer)
    add_comments()
    client.receive()

    client.send({"type": "resume", "seq": 0})

    assert [frame["type"] for frame in client.receive_until("resumed")] == ["hello", "comment_added", "resumed"]


def test_a_resume_replays_in_order_and_then_events_go_on(connect_client, add_comments, customer):
    add_comments(5)
    client = connect_client(customer, v2=True)
    hello = client.receive()

    client.send({"type": "resume", "epoch": hello["epoch"], "seq": 2})

    *replayed, resumed = client.receive_until("resumed")
    assert seqs(replayed) == [3, 4, 5]
    assert resumed == {"type": "resumed", "from": 3, "to": 5}
    add_comments()
    assert seqs([client.receive()]) == [6]


def test_a_replay_crosses_pages(connect_client, add_comments, customer):
    add_comments()
    frame = Notification.objects.get().frame
    Notification.objects.bulk_create(Notification(user=customer, seq=seq, frame=frame) for seq in range(2, 502))
    Stream.objects.update(last_seq=501)

    client = connect_client(customer, since=0)

    assert seqs(client.receive_until("resumed")) == list(range(1, 502))


def test_a_resume_reads_with_three_queries_and_writes_nothing(
    add_comments, customer, django_assert_num_queries, transactional_db
):
    add_comments(3)
    token = read_access_token(access_token(customer))

    with django_assert_num_queries(3) as queries:
        stream, page = read_as_user(token, read_stream_and_page, 1)

    assert (stream.last_seq, [entry.seq for entry in page]) == (3, [2, 3])
    assert all(query["sql"].startswith("SELECT") for query in queries)


def test_a_cursor_in_the_url_is_resumed_from(connect_client, add_comments, customer):
    add_comments(3)

    client = connect_client(customer, since=1, epoch=Stream.objects.get(user=customer).epoch)

    kinds = [frame["type"] for frame in client.receive_until("resumed")]
    assert kinds == ["hello", "comment_added", "comment_added", "resumed"]


def test_a_resume_with_nothing_missed_is_answered(connect_client, add_comments, customer):
    add_comments(3)

    client = connect_client(customer, since=3)

    assert client.receive_until("resumed")[1:] == [{"type": "resumed", "from": 4, "to": 3}]


@pytest.mark.parametrize("reason", ["epoch", "too_old", "too_many", "ahead"])
def test_a_replay_that_cannot_be_complete_is_refused(connect_client, add_comments, customer, reason):
    add_comments(3)
    cursor, epoch = 1, str(Stream.objects.get(user=customer).epoch)
    match reason:
        case "epoch":
            epoch = "another"
        case "too_old":
            Notification.objects.filter(seq__lte=2).delete()
        case "too_many":
            Stream.objects.update(last_seq=MAX_REPLAYED_EVENTS + 2)
        case "ahead":
            cursor, reason = 4, "epoch"
    client = connect_client(customer, v2=True)
    last_seq = client.receive()["seq"]

    client.send({"type": "resume", "epoch": epoch, "seq": cursor})

    assert client.receive() == {"type": "resync", "reason": reason, "seq": last_seq}
    assert client.round_trip() == []


def test_an_event_that_may_no_longer_be_seen_is_withdrawn(connect_client, announcer, customer, agent):
    actions.create_ticket(by(customer), title="Secret", description="D")
    wait_until_announced()
    User.objects.filter(pk=agent.pk).update(role=Role.CUSTOMER)

    _hello, frame, _resumed = connect_client(agent, since=0).receive_until("resumed")

    assert (frame["type"], frame["seq"]) == ("withdrawn", 1)
    assert "Secret" not in json.dumps(frame)


def test_a_disabled_kind_is_not_sent_and_takes_no_number(subscribe, add_comments, customer, agent, ticket, api):
    clients = [subscribe(customer), subscribe(customer, v2=True)]
    add_comments()
    api(customer).patch("/api/preferences/", {"comment_added": {"live": False}})
    add_comments(2)
    actions.update_ticket(by(agent), ticket.pk, changes={"status": "resolved"})

    for client in clients:
        frames = [client.receive(), client.receive()]
        assert [(frame["type"], frame["seq"]) for frame in frames] == [("comment_added", 1), ("status_changed", 2)]
        assert client.round_trip() == []


def test_two_clients_of_a_user_receive_the_same(subscribe, add_comments, customer):
    clients = [subscribe(customer), subscribe(customer, v2=True)]

    add_comments(3)

    assert [client.receive_seqs(3) for client in clients] == [[1, 2, 3]] * 2


def test_a_burst_arrives_complete_and_in_order(subscribe, announcer, customer, agent):
    tickets = [TicketFactory(created_by=customer) for _ in range(10)]
    client = subscribe(customer)

    for ticket in tickets * 20:
        add_comment(ticket, agent)

    assert client.receive_seqs(200) == list(range(1, 201))


def test_a_heartbeat_brings_what_was_not_published(connect_client, add_comments, server_with_short_times, customer):
    client = connect_client(customer, host=server_with_short_times, v2=True)
    client.receive_until("hello")
    add_comments()
    frame = Notification.objects.get().frame
    client.receive_until("comment_added")

    Notification.objects.create(user=customer, seq=2, frame=frame)
    Stream.objects.filter(user=customer).update(last_seq=2)

    assert client.receive_until("comment_added")[-1]["seq"] == 2
    assert client.receive_until("ping")[-1] == {"type": "ping", "seq": 2}


def test_a_client_that_misses_two_heartbeats_is_closed(connect_client, server_with_short_times, customer):
    client = connect_client(customer, host=server_with_short_times, v2=True)

    frames, code = client.receive_close()

    assert [frame["type"] for frame in frames] == ["hello", "ping", "ping"]
    assert code == 4408


def test_a_plain_client_need_not_answer_heartbeats(connect_client, server_with_short_times, customer, add_comments):
    client = connect_client(customer, host=server_with_short_times)
    other = connect_client(customer, host=server_with_short_times, v2=True)
    other.receive_close()

    add_comments()

    assert seqs([client.receive()]) == [1]


@pytest.mark.parametrize(("v2", "code"), [(True, 4408), (False, 4401)])
def test_a_client_that_sends_no_token_is_closed(connect_client, server_with_short_times, v2, code):
    assert connect_client(host=server_with_short_times, v2=v2).receive_close() == ([], code)


@pytest.mark.parametrize("kind", ["garbage", "refresh", "expired", "foreign"])
@pytest.mark.parametrize("first_frame", [False, True])
def test_a_dead_token_is_refused_with_4401(connect_client, dead_tokens, kind, first_frame):
    token = dead_tokens[kind]
    client = connect_client(v2=True) if first_frame else connect_client(token=token)
    if first_frame:
        client.send({"type": "auth", "token": token})

    assert client.receive_close() == ([], 4401)


def test_a_deactivated_user_is_refused_with_4403(connect_client, customer):
    User.objects.update(is_active=False)

    assert connect_client(customer).receive_close() == ([], 4403)


def test_a_connection_ends_with_its_token_unless_a_new_one_comes_in_time(connect_client, customer, add_comments):
    expiring = connect_client(token=short_lived_token(customer), v2=True)
    renewed = connect_client(token=short_lived_token(customer), v2=True)
    renewed.receive_until("hello")
    renewed.send({"type": "reauth", "token": access_token(customer)})

    assert expiring.receive_close()[1] == 4401
    assert renewed.receive()["expires_in"] > 3000
    add_comments()
    assert seqs(renewed.receive_until("comment_added")) == [1]


def test_a_new_token_that_expires_earlier_ends_the_connection(connect_client, customer):
    client = connect_client(customer, v2=True)
    client.send({"type": "reauth", "token": short_lived_token(customer)})

    assert client.receive_close()[1] == 4401


def test_the_token_of_another_user_is_refused_on_an_open_connection(connect_client, customer, stranger):
    client = connect_client(customer, v2=True)
    client.send({"type": "reauth", "token": access_token(stranger)})

    assert client.receive_close()[1] == 4403


@pytest.mark.parametrize(
    "frame",
    [
        "not json",
        b"\x00\x01",
        "[]",
        '{"type": "dance"}',
        '{"type": "resume"}',
        '{"type": "resume", "seq": -1}',
        '{"type": "resume", "seq": true}',
        '{"type": "resume", "seq": 1000000000000000000000}',
        '{"type": "resume", "seq": 1, "epoch": 7}',
        '{"type": "auth"}',
        '{"type": "reauth", "token": null}',
    ],
)
def test_an_invalid_frame_closes_with_4400(connect_client, customer, frame):
    client = connect_client(customer, v2=True)
    client.send(frame)

    assert client.receive_close()[1] == 4400


def test_a_plain_client_may_send_unknown_frames(connect_client, customer):
    client = connect_client(customer)
    client.send({"type": "dance"})

    assert client.round_trip() == []


@pytest.mark.parametrize("v2", [True, False])
def test_a_resume_before_the_token_is_refused(connect_client, v2):
    client = connect_client(v2=v2)
    client.send({"type": "resume", "seq": 1})

    assert client.receive_close() == ([], 4401)


def test_an_unknown_path_is_refused(server):
    with pytest.raises(InvalidStatus), connect(f"ws://{server}/ws/other/", proxy=None):
        pass


@pytest.mark.parametrize(
    ("origin", "is_allowed"),
    [
        (None, True),
        ("http://{host}", True),
        ("https://evil.example", False),
        ("null", False),
        ("http://127.0.0.1", False),
    ],
)
def test_pages_of_other_hosts_are_refused_with_4403(connect_client, server, customer, origin, is_allowed):
    client = connect_client(customer, origin=origin and origin.format(host=server))

    if is_allowed:
        assert client.round_trip() == []
    else:
        assert client.receive_close() == ([], 4403)
