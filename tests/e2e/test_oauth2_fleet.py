"""One fetch of an access token for the fleet (`auth = oauth2`), from an endpoint that voids the earlier token with each new
one: workers that fetched for themselves would knock each other out. Its own books count the fetches."""

import time
from contextlib import ExitStack

import pytest

from lib.oauth2 import Orders, Tokens, World
from lib.peer import Answer, Peer
from lib.wait import wait_until
from lib.world import QUEUE

GRANT = f"dray:{{{QUEUE}}}:grant:"


class Newest(Orders):
    """Takes the endpoint's newest token only, and not one that was `revoked`."""

    def __init__(self, tokens, delay=0.0):
        super().__init__()
        self.tokens, self.delay, self.revoked, self.refused = tokens, delay, set(), []

    def __call__(self, request):
        token = request.headers["authorization"].removeprefix("Bearer ")
        if token != f"tok-{self.tokens.count}" or token in self.revoked:
            self.refused.append(token)
            return Answer(401, {"message": "expired"})
        answer = super().__call__(request)
        answer.delay = self.delay
        return answer


@pytest.fixture
def tokens():
    with Peer() as one:
        yield one


class Fleet:
    """So many workers, each with one order under way at a time, so that all of them send."""

    def __init__(self, stack, size, redis, api, tokens, **account):
        self.made = lambda: World(redis, api, tokens, **account)
        self.stack, self.workers, self.pushed = stack, [], 0
        for _ in range(size):
            self.join()

    def join(self):
        world = self.made()
        world.config[f"queue {QUEUE}"] = {"concurrency": "1"}
        world.daemon.set_config(world.config)
        self.workers.append(self.stack.enter_context(world))
        return world

    def create(self, count):
        first = self.workers[0]
        first.push(*[f"A-{self.pushed + n}" for n in range(count)])
        self.pushed += count
        results = first.results(count, 60)
        assert {r["status"] for r in results} == {"created"}, results
        return results

    def all_take_part(self):
        """Orders until each worker has created one since."""
        before = [len(w.daemon.events_named("attempt")) for w in self.workers]
        for _ in range(50):
            self.create(2 * len(self.workers))
            if all(len(w.daemon.events_named("attempt")) > n for w, n in zip(self.workers, before)):
                return
        raise AssertionError("some worker sends nothing")

    def events(self, name):
        return [e for w in self.workers for e in w.daemon.events_named(name)]


def books(peer, api, fleet):
    """What the API created: each order once."""
    assert sorted(api.made) == sorted(f"A-{n}" for n in range(fleet.pushed))
    assert len(peer.posts) == len(api.made) + len(getattr(api, "refused", []))
    assert not fleet.events("account_held")


def test_three_workers_fetch_once_renew_once_and_once_after_a_401(empty_redis, peer, tokens):
    endpoint = tokens.default = Tokens(life=[20, 3600], delay=0.3)
    api = peer.default = Newest(endpoint, delay=0.02)
    with ExitStack() as stack:
        fleet = Fleet(stack, 3, empty_redis, peer, tokens)
        fleet.all_take_part()
        assert endpoint.count == 1 and not api.refused
        deadline = time.monotonic() + 120
        while endpoint.count == 1 and time.monotonic() < deadline:
            fleet.create(3)
        fleet.all_take_part()  # who goes with the old token is refused once, and takes the new one
        assert endpoint.count == 2 and set(api.refused) <= {"tok-1"} and len(api.refused) <= 3
        api.revoked.add("tok-2")
        fleet.all_take_part()
        assert endpoint.count == 3 and api.refused.count("tok-2") <= 3
        wait_until(lambda: (len(fleet.events("token_fetched")), len(fleet.events("token_shared"))) == (3, 6), 20,
                   lambda: f"each of three tokens to be fetched by one and taken by two: {fleet.events('token_shared')}")
        books(peer, api, fleet)
    assert len(tokens.requests) == 3


def test_who_comes_later_takes_what_is_there(empty_redis, peer, tokens):
    endpoint = tokens.default = Tokens(life=None)
    api = peer.default = Newest(endpoint)
    with ExitStack() as stack:
        fleet = Fleet(stack, 1, empty_redis, peer, tokens)
        fleet.create(1)
        fleet.workers[0].daemon.stop()
        late = fleet.join()
        fleet.create(1)
        late.daemon.wait_event("token_shared")
        assert len(tokens.requests) == 1
        key, = late.db.keys(GRANT + "*")
        assert 0 < late.db.pttl(key) <= 90 * 24 * 3600 * 1000
        books(peer, api, fleet)


def test_a_worker_that_dies_while_it_fetches_is_waited_for_no_longer_than_its_request_may_take(empty_redis, peer, tokens):
    endpoint = tokens.default = Tokens(script=[Answer(200, b"{}", delay=60)])
    api = peer.default = Newest(endpoint)
    with ExitStack() as stack:
        fleet = Fleet(stack, 1, empty_redis, peer, tokens, connect_timeout="500ms", request_timeout="2s")
        first = fleet.workers[0]
        first.push("A-0")
        tokens.wait_posts(1)
        first.daemon.kill()
        second = fleet.join()
        second.push("A-1")
        began = time.monotonic()
        assert second.result()["status"] == "created"
        assert time.monotonic() - began < 20
        assert second.result()["error"]["reason"] == "unknown_outcome"  # the dead one's had begun
        assert len(tokens.requests) == 2
    assert api.made == ["A-1"] and len(peer.posts) == 1


def test_an_endpoint_in_trouble_is_asked_by_one_at_a_time(empty_redis, peer, tokens):
    endpoint = tokens.default = Tokens(script=[Answer(503)] * 3)
    api = peer.default = Newest(endpoint)
    with ExitStack() as stack:
        fleet = Fleet(stack, 3, empty_redis, peer, tokens)
        fleet.create(9)
        at = [r.at for r in tokens.requests]
        assert len(at) == 4 and min(b - a for a, b in zip(at, at[1:])) > 0.9, at
        books(peer, api, fleet)


def test_who_may_not_share_fetches_for_itself(empty_redis, peer, tokens):
    """Rights that were given before dray had this key: orders go, and the log says what is missing."""
    endpoint, api = Tokens(), Orders()
    tokens.default, peer.default = endpoint, api
    db = empty_redis.client
    db.execute_command("ACL", "SETUSER", "narrow", "reset", "on", ">word", "+@all", *[f"~dray:{{{QUEUE}}}:{k}*" for k in (
        "jobs", "results", "dead", "delayed", "parked", "waiting", "gates", "accounts", "limits", "pauses", "workers", "stats", "taken",
        "controls", "claims", "batch", "order", "format")])
    try:
        with ExitStack() as stack:
            fleet = Fleet(stack, 0, empty_redis, peer, tokens)
            made = fleet.made

            def narrow():
                world = made()
                world.config["redis"].update(username="narrow", password="word")
                return world
            fleet.made = narrow
            fleet.join(), fleet.join()
            fleet.all_take_part()
            assert endpoint.count == 2 and {e["what"] for e in fleet.events("redis_error")} >= {"grant"}
            books(peer, api, fleet)
            assert not db.keys(GRANT + "*")
    finally:
        db.execute_command("ACL", "DELUSER", "narrow")


def test_what_does_not_open_is_not_taken(empty_redis, peer, tokens):
    endpoint = tokens.default = Tokens()
    api = peer.default = Newest(endpoint)
    with ExitStack() as stack:
        fleet = Fleet(stack, 1, empty_redis, peer, tokens)
        fleet.create(1)
        key, = fleet.workers[0].db.keys(GRANT + "*")
        fleet.workers[0].daemon.stop()
        fleet.workers[0].db.hset(key, "token", b"x" * 60)
        fleet.join()
        fleet.create(1)
        assert endpoint.count == 2
        books(peer, api, fleet)


def test_a_refresh_token_that_is_void_once_used_is_handed_on(empty_redis, peer, tokens):
    """… to the other workers, and past a restart: the file has the first one for ever."""
    endpoint, used = Tokens(), []

    def answer(request):
        found = endpoint(request)
        refresh = endpoint.forms[-1]["refresh_token"]
        if refresh in used:
            return Answer(400, {"error": "invalid_grant"})
        used.append(refresh)
        found.body["refresh_token"] = f"refresh-{endpoint.count + 1}"
        return found
    tokens.default, api = answer, Newest(endpoint)
    peer.default = api
    with ExitStack() as stack:
        fleet = Fleet(stack, 0, empty_redis, peer, tokens, refresh_token_file="refresh")
        made = fleet.made

        def with_file():
            world = made()
            world.write("refresh", "refresh-1")
            return world
        fleet.made = with_file
        fleet.join(), fleet.join()
        fleet.all_take_part()
        api.revoked.add("tok-1")
        fleet.all_take_part()
        for worker in fleet.workers:
            worker.daemon.stop()
        api.revoked.add("tok-2")
        fleet.workers.clear()
        fleet.join()
        fleet.create(1)
        books(peer, api, fleet)
    assert used == ["refresh-1", "refresh-2", "refresh-3"]


def test_accounts_with_the_same_client_share(empty_redis, peer, tokens):
    endpoint = tokens.default = Tokens()
    api = peer.default = Newest(endpoint)
    with ExitStack() as stack:
        fleet = Fleet(stack, 0, empty_redis, peer, tokens)
        world = fleet.made()
        world.config["account other"] = dict(world.config["account shop"])
        world.config[f"queue {QUEUE}"] = {"default_account": "shop"}
        world.daemon.set_config(world.config)
        fleet.workers.append(stack.enter_context(world))
        fleet.create(1)
        world.db.lpush(f"dray:{{{QUEUE}}}:jobs", '{"id": "A-1", "account": "other", "order": {"ref": "A-1"}}')
        assert world.result()["status"] == "created"
        fleet.pushed = 2
        assert endpoint.count == 1
        books(peer, api, fleet)
