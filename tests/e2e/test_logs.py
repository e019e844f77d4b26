"""What is logged, and above all what is not: no secret and nothing that comes from an order or an answer."""

import json
import signal

import pytest

from lib.peer import Answer, HangUp, Silence
from lib.providers import PROVIDERS
from lib.redis_server import RedisServer
from lib.wait import wait_until
from lib.world import World, created

MARK = "Zq7Sec"  # in everything that must never be seen


def marked(value):
    """The same order with every free text marked."""
    if isinstance(value, dict):
        return {k: marked(v) if k not in ("channelType", "channelOrderDate", "order_date", "sales_channel", "country",
                                          "countryId", "currencyId", "currency") else v for k, v in value.items()}
    if isinstance(value, list):
        return [marked(v) for v in value]
    return value + MARK if isinstance(value, str) else value


@pytest.mark.parametrize("name", list(PROVIDERS))
def test_nothing_private_is_logged_at_debug_level(peer, name):
    password = "redis-password-" + MARK
    account = {"request_timeout": "400ms", "max_attempts": "2", "lookup_delay": "10ms", "lookup_attempts": "2"}
    for secret in ("token", "secret", "key", "organization"):
        if secret in PROVIDERS[name].account:
            account[secret] = f"{secret}-{MARK}"
    with RedisServer(password=password) as redis:
        with World(redis, peer, name, account=account, config_redis={"password": password}) as world:
            evil = {"message": "refused for " + MARK, "errors": MARK, "code": 5, "recipient": MARK}
            peer.script = [Answer(422, evil), Answer(500, evil), Answer(500, evil), Silence(), HangUp("after"),
                           Answer(200, b'{"half ' + MARK.encode()), Answer(302, evil, headers={"Location": "http://" + MARK})]
            peer.default = lambda request: created(world.provider, request) if request.method == "POST" else Answer(404, evil)
            for n in range(8):
                order = marked(world.provider.order())
                world.push(world.job(f"j{n}", order=order, order_key=f"K{n}-{MARK}", meta={"m": MARK}))
                world.result()
            # Bad input of every kind is not quoted either.
            bad = world.provider.order()
            bad[next(iter(bad))] = {"extra": MARK}
            for text in (f'{{"id": "x", "{MARK}": 1}}', MARK, f'["{MARK}"]', world.job("bad", order=marked(bad)),
                         f'{{"id": "y", "order": {{}}, "account": "{MARK}"}}'):
                before = world.db.zcard(world.key("dead"))
                world.push(text)
                wait_until(lambda: world.db.zcard(world.key("dead")) > before, 10, world.state)
            world.daemon.send(signal.SIGUSR2)
            world.daemon.process.wait_line(lambda line: "state" in line)
            assert world.daemon.stop() == 0
            assert MARK not in world.daemon.process.stderr + world.daemon.process.stdout
            assert len(world.daemon.events) > 8


def test_one_line_per_attempt(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.script = [Answer(503), Answer(429)]
        peer.default = lambda request: created(world.provider, request)
        world.send("one")
        world.result()
        world.send("two")
        world.result()
        assert world.daemon.stop() == 0
        attempts = world.daemon.events_named("attempt")
        assert len(attempts) == len(peer.posts) == 4
        assert [a.get("id") for a in attempts] == ["one", "one", "one", "two"]
        for attempt in attempts:
            assert attempt["queue"] == "orders" and attempt["account"] == "shop"
            assert isinstance(attempt["ms"], int)
        assert [a["status"] for a in attempts] == [503, 429, 200, 200]


def test_a_worker_says_when_it_is_ready_and_when_it_ends(empty_redis, peer):
    with World(empty_redis, peer) as world:
        assert len(world.daemon.events_named("ready")) == 1
        assert world.daemon.stop() == 0
        for event in world.daemon.events:
            assert {"event", "level"} <= set(event)


def test_the_level_is_kept(empty_redis, peer):
    with World(empty_redis, peer, worker={"log_level": "error"}, start=False) as world:
        peer.default = lambda request: created(world.provider, request)
        world.daemon.launch()
        world.send("one")
        assert world.result()["status"] == "created"
        assert world.daemon.stop() == 0
        assert world.daemon.process.stderr_lines == []


def test_text_for_people(empty_redis, peer):
    with World(empty_redis, peer, worker={"log_format": "text"}, start=False) as world:
        peer.default = lambda request: created(world.provider, request)
        world.daemon.launch()
        world.daemon.process.wait_line(lambda line: "ready" in line)
        world.send("one")
        assert world.result()["status"] == "created"
        assert world.daemon.stop() == 0
        for line in world.daemon.process.stderr_lines:
            with pytest.raises(ValueError):
                json.loads(line)
