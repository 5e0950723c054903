"""Version 2 of the live protocol: hello, replay, resync, heartbeats, and every reason to close."""

import json

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from helpdesk.notifications.live import protocol
from helpdesk.notifications.models import Notification, Stream
from helpdesk.testing import wait_until
from helpdesk.tickets import actions
from helpdesk.tickets.actions import Origin
from helpdesk.tickets.models import EventSource, TicketEvent
from helpdesk.tickets.tests.factories import TicketFactory
from helpdesk.users.actions import issue_tokens, revoke_refresh_token
from helpdesk.users.models import Role, User

from .conftest import is_greeted, stalled


def access(user):
    return issue_tokens(user)["access"]


def comment(ticket, agent, content="Hello"):
    return actions.add_comment(Origin(agent, EventSource.API), ticket.pk, content=content)


def announced():
    wait_until(lambda: not TicketEvent.objects.unannounced().exists())


def seqs(frames):
    return [frame["seq"] for frame in frames if "id" in frame]


@pytest.fixture
def told(announcing, ticket, agent):
    """Return a function that tells the ticket's creator so many events."""

    def tell(count):
        for _ in range(count):
            comment(ticket, agent)
        announced()

    return tell


def test_a_v2_client_is_greeted_with_where_its_stream_stands(client_of, told, customer):
    told(2)

    client = client_of(customer, v2=True)

    hello = client.hear()
    stream = Stream.objects.get(user=customer)
    assert 3590 < hello.pop("expires_in") <= 3600
    assert hello == {"type": "hello", "v": 2, "epoch": str(stream.epoch), "seq": 2, "oldest": 1, "heartbeat": 25.0}
    assert client.socket.subprotocol == "helpdesk.v2"


def test_an_event_carries_the_inbox_item_and_its_number(listening, told, customer, api):
    client = listening(customer, v2=True)

    told(1)

    heard = client.hear()
    (item,) = api(customer).get("/api/notifications/").json()["results"]
    assert heard == {key: value for key, value in item.items() if key != "read_at"}


def test_a_plain_client_is_sent_events_only(client_of, told, customer):
    told(2)
    client = client_of(customer)
    client.round_trip()

    told(1)

    assert seqs([client.hear()]) == [3]
    assert client.round_trip() == []


def test_a_token_in_the_first_frame_opens_the_stream(client_of, told, customer):
    client = client_of(v2=True)
    client.say({"type": "auth", "token": access(customer)})

    assert client.hear()["type"] == "hello"
    told(1)
    assert seqs([client.hear()]) == [1]


def test_a_token_in_the_first_frame_turns_the_protocol_on(client_of, customer):
    client = client_of()
    client.say({"type": "auth", "token": access(customer)})

    assert client.hear()["type"] == "hello"


def test_what_was_missed_is_replayed_in_order_and_then_it_goes_on(client_of, told, customer):
    told(5)
    client = client_of(customer, v2=True)
    hello = client.hear()

    client.say({"type": "resume", "epoch": hello["epoch"], "seq": 2})

    *replayed, resumed = client.hear_until("resumed")
    assert seqs(replayed) == [3, 4, 5]
    assert resumed == {"type": "resumed", "from": 3, "to": 5}
    told(1)
    assert seqs([client.hear()]) == [6]


def test_a_replay_crosses_pages(client_of, told, customer, ticket, agent):
    told(1)
    frame = Notification.objects.get().frame
    Notification.objects.bulk_create(Notification(user=customer, seq=seq, frame=frame) for seq in range(2, 502))
    Stream.objects.update(last_seq=501)

    client = client_of(customer, since=0)

    assert seqs(client.hear_until("resumed")) == list(range(1, 502))


def test_a_cursor_in_the_url_is_resumed_from(client_of, told, customer):
    told(3)

    client = client_of(customer, since=1, epoch=Stream.objects.get(user=customer).epoch)

    assert [frame["type"] for frame in client.hear_until("resumed")] == [
        "hello",
        "comment_added",
        "comment_added",
        "resumed",
    ]


def test_nothing_missed_is_said_too(client_of, told, customer):
    told(3)

    client = client_of(customer, since=3)

    assert client.hear_until("resumed")[1:] == [{"type": "resumed", "from": 4, "to": 3}]


@pytest.mark.parametrize("reason", ["epoch", "too_old", "too_many", "ahead"])
def test_a_replay_that_cannot_be_complete_is_refused(client_of, told, customer, reason):
    told(3)
    cursor, epoch = 1, str(Stream.objects.get(user=customer).epoch)
    match reason:
        case "epoch":
            epoch = "another"
        case "too_old":
            Notification.objects.filter(seq__lte=2).delete()
        case "too_many":
            Stream.objects.update(last_seq=protocol.MOST_REPLAYED + 2)
        case "ahead":
            cursor, reason = 4, "epoch"
    client = client_of(customer, v2=True)
    head = client.hear()["seq"]

    client.say({"type": "resume", "epoch": epoch, "seq": cursor})

    assert client.hear() == {"type": "resync", "reason": reason, "seq": head}
    assert client.round_trip() == []


def test_what_may_not_be_seen_any_more_is_withdrawn_in_a_replay(client_of, announcing, customer, agent, ticket):
    actions.create_ticket(Origin(customer, EventSource.API), title="Secret", description="D")
    announced()
    User.objects.filter(pk=agent.pk).update(role=Role.CUSTOMER)

    _hello, frame, _resumed = client_of(agent, since=0).hear_until("resumed")

    assert (frame["type"], frame["seq"]) == ("withdrawn", 1)
    assert "Secret" not in json.dumps(frame)


def test_a_muted_kind_is_not_heard_and_the_next_event_has_the_next_number(
    listening, told, customer, agent, ticket, api
):
    clients = [listening(customer), listening(customer, v2=True)]
    told(1)
    api(customer).patch("/api/preferences/", {"comment_added": {"live": False}})
    told(2)
    actions.update_ticket(Origin(agent, EventSource.API), ticket.pk, changes={"status": "resolved"})

    for client in clients:
        assert [(frame["type"], frame["seq"]) for frame in (client.hear(), client.hear())] == [
            ("comment_added", 1),
            ("status_changed", 2),
        ]
        assert client.round_trip() == []


def test_two_clients_of_a_user_hear_the_same(listening, told, customer):
    clients = [listening(customer), listening(customer, v2=True)]

    told(3)

    assert [[client.hear()["seq"] for _ in range(3)] for client in clients] == [[1, 2, 3]] * 2


def test_a_burst_arrives_complete_and_in_order(listening, announcing, customer, agent):
    tickets = [TicketFactory(created_by=customer) for _ in range(10)]
    client = listening(customer)

    for _ in range(20):
        for ticket in tickets:
            comment(ticket, agent)

    assert [client.hear()["seq"] for _ in range(200)] == list(range(1, 201))


def test_a_heartbeat_carries_the_head_and_brings_what_was_not_heard(client_of, told, impatient_server, customer):
    client = client_of(customer, host=impatient_server, v2=True)
    client.hear_until("hello")
    told(1)
    frame = Notification.objects.get().frame
    client.hear_until("comment_added")

    Notification.objects.create(user=customer, seq=2, frame=frame)
    Stream.objects.filter(user=customer).update(last_seq=2)

    heard = client.hear_until("comment_added")
    assert heard[-1]["seq"] == 2
    assert client.hear_until("ping")[-1] == {"type": "ping", "seq": 2}


def test_a_client_that_misses_two_heartbeats_is_closed(client_of, impatient_server, customer):
    client = client_of(customer, host=impatient_server, v2=True)

    heard, code = client.closing()

    assert [frame["type"] for frame in heard] == ["hello", "ping", "ping"]
    assert code == 4408


def test_a_plain_client_need_not_answer_heartbeats(client_of, impatient_server, customer, told):
    client = client_of(customer, host=impatient_server)
    other = client_of(customer, host=impatient_server, v2=True)
    other.closing()

    told(1)

    assert seqs([client.hear()]) == [1]


@pytest.mark.parametrize(("v2", "code"), [(True, 4408), (False, 4401)])
def test_a_client_that_sends_no_token_is_closed(client_of, impatient_server, v2, code):
    assert client_of(host=impatient_server, v2=v2).closing() == ([], code)


@pytest.mark.parametrize("kind", ["garbage", "refresh", "expired", "foreign"])
@pytest.mark.parametrize("first_frame", [False, True])
def test_a_dead_token_is_refused_with_4401(client_of, dead_tokens, kind, first_frame):
    token = dead_tokens[kind]
    client = client_of(v2=True) if first_frame else client_of(token=token)
    if first_frame:
        client.say({"type": "auth", "token": token})

    assert client.closing() == ([], 4401)


def test_a_deactivated_user_is_refused_with_4403(client_of, customer):
    User.objects.update(is_active=False)

    assert client_of(customer).closing() == ([], 4403)


def test_a_socket_ends_with_its_token_unless_a_fresh_one_came_in_time(client_of, short_lived, customer, told):
    lazy = client_of(token=short_lived(customer), v2=True)
    diligent = client_of(token=short_lived(customer), v2=True)
    diligent.hear_until("hello")
    diligent.say({"type": "reauth", "token": access(customer)})

    assert lazy.closing()[1] == 4401
    assert diligent.hear()["expires_in"] > 3000
    told(1)
    assert seqs(diligent.hear_until("comment_added")) == [1]


def test_a_fresh_token_that_ends_earlier_ends_the_socket(client_of, short_lived, customer):
    client = client_of(customer, v2=True)
    client.say({"type": "reauth", "token": short_lived(customer)})

    assert client.closing()[1] == 4401


def test_the_token_of_another_user_is_refused_on_an_open_socket(client_of, customer, stranger):
    client = client_of(customer, v2=True)
    client.say({"type": "reauth", "token": access(stranger)})

    assert client.closing()[1] == 4403


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
def test_an_invalid_frame_closes_with_4400(client_of, customer, frame):
    client = client_of(customer, v2=True)
    client.say(frame)

    assert client.closing()[1] == 4400


def test_a_plain_client_may_say_what_is_not_understood(client_of, customer):
    client = client_of(customer)
    client.say({"type": "dance"})

    assert client.round_trip() == []


def test_a_frame_before_the_token_is_refused(client_of):
    client = client_of(v2=True)
    client.say({"type": "resume", "seq": 1})

    assert client.closing() == ([], 4401)


def test_more_than_60_frames_a_minute_close_with_4429(client_of, customer):
    client = client_of(customer)
    for _ in range(61):
        client.say({"type": "ping"})

    assert client.closing() == ([{"type": "pong"}] * 60, 4429)


@pytest.mark.parametrize(("size", "code"), [(64 * 1024, 4400), (64 * 1024 + 1, 1009), (2 * 1024 * 1024, 1009)])
def test_a_frame_over_64_kib_closes_with_1009(client_of, customer, size, code):
    client = client_of(customer)
    client.say("x" * size)

    assert client.closing()[1] == code


def test_the_eleventh_connection_closes_the_one_that_has_not_answered_for_longest(listening, customer, stranger):
    other = listening(stranger)
    clients = [listening(customer) for _ in range(10)]
    clients[0].round_trip()
    clients[1].socket.pong()
    clients[1].round_trip()

    newest = listening(customer)

    assert clients.pop(2).closing() == ([], 4409)
    assert [client.round_trip() for client in [other, *clients, newest]] == [[]] * 11


def test_an_answer_to_a_ping_of_the_server_counts(listening, customer):
    clients = [listening(customer) for _ in range(10)]
    clients[0].socket.pong()
    # The pong is handled before what arrives later on any connection.
    clients[0].socket.ping().wait(15)

    listening(customer)

    assert clients[1].closing() == ([], 4409)


def test_a_client_whose_network_vanished_comes_back_with_all_its_connections(
    server, listening, customer, told, announcing
):
    living = [listening(customer) for _ in range(4)]
    vanished = [stalled(server, access(customer)) for _ in range(6)]
    wait_until(lambda: all(is_greeted(connection) for connection in vanished))
    for client in living:
        client.round_trip()

    back = [listening(customer) for _ in range(6)]

    told(1)
    assert [seqs([client.hear()]) for client in [*living, *back]] == [[1]] * 10


def test_a_token_that_was_revoked_closes_nobody(client_of, listening, customer):
    tokens = issue_tokens(customer)
    revoke_refresh_token(tokens["refresh"])
    clients = [listening(customer) for _ in range(10)]

    assert client_of(token=tokens["access"]).closing() == ([], 4401)

    assert [client.round_trip() for client in clients] == [[]] * 10


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
def test_pages_of_other_hosts_may_not_connect(client_of, server, customer, origin, is_allowed):
    client = client_of(customer, origin=origin and origin.format(host=server))

    if is_allowed:
        assert client.round_trip() == []
    else:
        assert client.closing() == ([], 4403)
