import psutil
import pytest
import redis

from compose.embedded.valkey import NO_RETRY, running_valkey


def test_it_evicts_only_what_expires_and_is_not_in_use(folder):
    with running_valkey(folder, throwaway=True) as server, redis.Redis.from_url(server.url) as client:
        policy = client.config_get("maxmemory-policy", "maxmemory-samples")

    assert policy == {"maxmemory-policy": "volatile-lru", "maxmemory-samples": "10"}


def test_it_listens_on_the_loopback_interface_and_asks_for_a_password(folder):
    with running_valkey(folder, throwaway=True) as server:
        process = psutil.Process(server.process.pid)
        addresses = {c.laddr.ip for c in process.net_connections() if c.status == "LISTEN"}
        port = int(server.url.rpartition(":")[2].removesuffix("/0"))
        with redis.Redis(port=port, retry=NO_RETRY) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        password = server.url.partition("//:")[2].partition("@")[0]
        seen = " ".join(process.cmdline())

    assert addresses == {"127.0.0.1"}
    assert password not in seen


def test_data_survives_a_restart(folder):
    with running_valkey(folder) as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")

    with running_valkey(folder) as server, redis.Redis.from_url(server.url) as client:
        assert client.get("kept") == b"yes"


def test_one_that_a_killed_stack_has_left_on_the_data_is_ended_and_its_data_kept(folder):
    with running_valkey(folder) as leftover, redis.Redis.from_url(leftover.url) as client:
        client.set("kept", "yes")

        with running_valkey(folder) as server, redis.Redis.from_url(server.url) as again:
            assert leftover.process.wait(5) is not None
            assert again.get("kept") == b"yes"
