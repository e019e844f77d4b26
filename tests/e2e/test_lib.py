"""The helpers themselves: a test that relies on a peer that misbehaves needs a peer that really does."""

import http.client
import json
import os
import signal
import socket
import ssl

import pytest
import redis

from lib.peer import Answer, HangUp, Peer, Raw
from lib.process import Process
from lib.redis_server import RedisServer
from lib.wait import Timeout, wait_until


def post(peer, body=b"{}", connection=None, timeout=5):
    connection = connection or http.client.HTTPConnection("127.0.0.1", peer.port, timeout=timeout)
    connection.request("POST", "/order", body)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_redis_keeps_what_it_wrote_over_a_kill():
    with RedisServer(appendonly=True) as server:
        server.client.lpush("list", "a")
        server.restart(kill=True)
        assert server.client.lrange("list", 0, -1) == [b"a"]
        assert redis.Redis(port=server.port).ping()
        pid, directory = server.process.pid, server.dir
    assert not os.path.exists(directory)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_redis_asks_for_its_password():
    with RedisServer(password="s3cret") as server:
        assert server.client.ping()
        with pytest.raises(redis.exceptions.AuthenticationError):
            redis.Redis(unix_socket_path=server.socket).ping()


def test_a_stopped_redis_does_not_answer(redis_server):
    redis_server.sigstop()
    with pytest.raises(redis.exceptions.TimeoutError):
        redis.Redis(unix_socket_path=redis_server.socket, socket_timeout=0.2).ping()
    redis_server.sigcont()
    assert redis_server.client.ping()


def test_a_child_that_ends_early_is_reported_with_its_words():
    process = Process(["sh", "-c", "echo gone >&2; exit 3"])
    with pytest.raises(AssertionError, match="gone"):
        process.wait_line(lambda line: line == "never")
    assert process.wait() == 3


def test_a_stubborn_child_is_killed():
    process = Process(["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"])
    process.wait_line(lambda line: line == "up", where="stdout")
    process.send(signal.SIGTERM)
    assert process.kill() == -signal.SIGKILL


def test_wait_until_says_what_it_waited_for():
    with pytest.raises(Timeout, match="the moon"):
        wait_until(lambda: False, 0.05, "the moon")


def test_peer_answers_by_script_and_counts():
    with Peer([Answer(503, headers={"Retry-After": "7"})], default=Answer(200, {"code": 10000})) as peer:
        connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=5)
        connection.request("POST", "/order", b'{"a": 9.990}')
        first = connection.getresponse()
        assert (first.status, first.headers["Retry-After"], first.read()) == (503, "7", b"")
        assert post(peer, connection=connection) == (200, b'{"code": 10000}')
        assert [r.body for r in peer.posts] == [b'{"a": 9.990}', b"{}"]
        assert [(r.connection, r.nth) for r in peer.posts] == [(0, 0), (0, 1)]


def test_peer_answers_by_function():
    with Peer(lambda request: Answer(200, {"echo": request.json["n"]}, chunked=True)) as peer:
        assert json.loads(post(peer, b'{"n": 5}')[1]) == {"echo": 5}


@pytest.mark.parametrize("reset,error", [(False, http.client.RemoteDisconnected), (True, ConnectionResetError)])
@pytest.mark.parametrize("when,seen", [("after", 1), ("head", 0), ("before", 0)])
def test_peer_hangs_up(when, seen, reset, error):
    with Peer(default=HangUp(when, reset=reset)) as peer:
        with pytest.raises((error, BrokenPipeError) if reset else error):
            post(peer)
        assert len(peer.posts) == seen


def test_peer_cuts_an_answer():
    with Peer([Answer(200, b"0123456789", cut=4)]) as peer:
        with pytest.raises(http.client.IncompleteRead):
            post(peer)
    with Peer([Raw(b"HTTP/1.1 20")]) as peer:
        with pytest.raises(http.client.BadStatusLine):
            post(peer)


def test_peer_stops_listening_and_comes_back():
    with Peer() as peer:
        peer.stop()
        with pytest.raises(ConnectionRefusedError):
            post(peer)
        peer.start()
        assert post(peer)[0] == 200


def test_peer_does_not_accept():
    with Peer(accept="full") as peer:
        with socket.socket() as s:
            s.settimeout(0.3)
            with pytest.raises(TimeoutError):
                s.connect(("127.0.0.1", peer.port))
    with Peer(accept="never") as peer:
        with pytest.raises(TimeoutError):
            post(peer, timeout=0.3)
        assert peer.posts == []
        peer.set_accept("serve")
        assert post(peer)[0] == 200


def test_peer_speaks_tls():
    with Peer(tls=True, default=Answer(200, b"{}")) as peer:
        trusting = http.client.HTTPSConnection("127.0.0.1", peer.port, timeout=5,
                                               context=ssl.create_default_context(cafile=peer.cert))
        assert post(peer, connection=trusting) == (200, b"{}")
        with pytest.raises(ssl.SSLCertVerificationError):
            post(peer, connection=http.client.HTTPSConnection("127.0.0.1", peer.port, timeout=5))
        assert len(peer.posts) == 1
