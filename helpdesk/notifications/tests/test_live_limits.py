"""What one user, and one client, may make a server do."""

import pytest

from helpdesk.testing import wait_until
from helpdesk.users.actions import issue_tokens, revoke_refresh_token

from .conftest import connect_stalled, is_accepted, seqs


def test_more_than_60_frames_a_minute_close_with_4429(connect_client, customer):
    client = connect_client(customer)
    for _ in range(61):
        client.send({"type": "ping"})

    assert client.receive_close() == ([{"type": "pong"}] * 60, 4429)


@pytest.mark.parametrize(("size", "code"), [(64 * 1024, 4400), (64 * 1024 + 1, 1009), (2 * 1024 * 1024, 1009)])
def test_a_frame_over_64_kib_closes_with_1009(connect_client, customer, size, code):
    client = connect_client(customer)
    client.send("x" * size)

    assert client.receive_close()[1] == code


def test_the_eleventh_connection_closes_the_one_whose_client_was_silent_for_longest(subscribe, customer, stranger):
    other = subscribe(stranger)
    clients = [subscribe(customer) for _ in range(10)]
    clients[0].round_trip()
    clients[1].socket.pong()
    clients[1].round_trip()

    newest = subscribe(customer)

    assert clients.pop(2).receive_close() == ([], 4409)
    assert [client.round_trip() for client in [other, *clients, newest]] == [[]] * 11


def test_a_pong_of_websocket_itself_counts_as_an_answer(subscribe, customer):
    clients = [subscribe(customer) for _ in range(10)]
    clients[0].socket.pong()
    # The pong is handled before what arrives later on any connection.
    clients[0].socket.ping().wait(15)

    subscribe(customer)

    assert clients[1].receive_close() == ([], 4409)


def test_a_client_whose_network_vanished_returns_with_all_its_connections(server, subscribe, customer, add_comments):
    living = [subscribe(customer) for _ in range(4)]
    vanished = [connect_stalled(server, customer) for _ in range(6)]
    wait_until(lambda: all(is_accepted(client) for client in vanished))
    for client in living:
        client.round_trip()

    returned = [subscribe(customer) for _ in range(6)]

    add_comments()
    assert [seqs([client.receive()]) for client in [*living, *returned]] == [[1]] * 10


def test_a_revoked_token_closes_no_other_connection(connect_client, subscribe, customer):
    tokens = issue_tokens(customer)
    revoke_refresh_token(tokens["refresh"])
    clients = [subscribe(customer) for _ in range(10)]

    assert connect_client(token=tokens["access"]).receive_close() == ([], 4401)

    assert [client.round_trip() for client in clients] == [[]] * 10
