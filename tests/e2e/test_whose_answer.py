"""Whose answer is it? A provider that answers twice, late, early, or with another order's id, behind connections that are
kept and shared by accounts. Each test ends with the peer's own ledger: nothing told created that is not, no id told that
is another's, nothing created twice."""

import gzip
import json
import threading
import time

import pytest

from lib.far_line import FarLine
from lib.peer import Answer, Peer
from lib.process import dray
from lib.wait import wait_until
from lib.world import World

OTHER = "tok-other-0b11"


class Provider:
    """Creates orders, each with an id of its own, and refuses those whose key holds BAD. Each answer is sent again
    `again` seconds later, on the same connection."""

    def __init__(self, again=None, tls=False):
        self.lock = threading.Lock()
        self.created = {}  # key -> id
        self.posts = {}    # key -> how many
        self.again = again
        self.next = 100
        self.peer = Peer(self.act, tls=tls)

    def act(self, request):
        key = request.json["customOrderId"]
        with self.lock:
            self.posts[key] = self.posts.get(key, 0) + 1
            if "BAD" in key:
                return Answer(422, {"code": 20017, "message": "no"}, again=self.again)
            assert key not in self.created, f"{key} was created twice"
            self.next += 1
            self.created[key] = str(self.next)
            return Answer(200, {"code": 10000, "message": "success", "data": self.next}, again=self.again)

    def check(self, results):
        """What was told, against what was really created."""
        told = set()
        for r in results:
            assert self.posts[r["order_key"]] == 1, (r, self.posts)
            if r["status"] == "created":
                assert r["order_id"] == self.created.get(r["order_key"]), r
                assert r["order_id"] not in told
                told.add(r["order_id"])
            elif r["error"]["reason"] == "rejected":
                assert r["order_key"] not in self.created, r
        return len(told)


def world_of(redis, provider, **more):
    account = {"ca_file": provider.peer.cert} if provider.peer.tls else {}
    accounts = {"other": {**account, "token": OTHER}}
    return World(redis, provider.peer, account=account, accounts=accounts, **more)


def send_alone(world, provider, key, account):
    """An order, its result, and then the answer's repetition: the next order would find the same connection."""
    before = provider.peer.repeats
    world.send(key, key, account=account)
    result = world.result()
    wait_until(lambda: provider.peer.repeats > before, 10, lambda: "the answer to be sent again")
    return result


def test_an_id_is_remembered_past_hundreds_of_others(empty_redis):
    """No id takes the place of another one that was told shortly before."""
    count = 300
    with Peer() as peer, World(empty_redis, peer, account={"repeated_ids": "no"}) as world:
        def answer(request):  # the second half is told the ids of the first
            number = int(request.json["customOrderId"][1:])
            return Answer(200, {"code": 10000, "message": "success", "data": 5000 + number % count})
        peer.default = answer
        for half in range(2):
            world.push(*[world.job(f"j{n}", f"K{n}") for n in range(half * count, (half + 1) * count)])
            results = world.results(count, 60)
            if half == 0:
                assert {r["status"] for r in results} == {"created"}
        assert {r["status"] for r in results} == {"failed"}
        assert {r["error"]["reason"] for r in results} == {"unknown_outcome"}
        assert len(peer.posts) == 2 * count


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_second_answers_reach_no_other_order(empty_redis, tls):
    """By turns for two accounts of the host, every third order is refused: none is told the answer before its own."""
    provider = Provider(again=0.03, tls=tls)
    keys = [f"K-{i}{'-BAD' if i % 3 == 2 else ''}" for i in range(24)]
    with provider.peer, world_of(empty_redis, provider) as world:
        results = [send_alone(world, provider, key, ("shop", "other")[i % 2]) for i, key in enumerate(keys)]
        assert provider.check(results) == 16
        assert [r["status"] for r in results] == ["failed" if "BAD" in k else "created" for k in keys]
        assert {r["order_key"] for r in results if r["status"] == "failed"} == {k for k in keys if "BAD" in k}
        seen = world.daemon.events_named("stray_answer")
        assert seen and all(line["account"] in ("shop", "other") and line["bytes"] > 0 for line in seen)
        assert not any(str(n) in json.dumps(line.get("message", "")) for line in seen for n in provider.created.values())
        stats = {k.decode(): int(v) for k, v in world.db.hgetall(world.key("stats")).items() if k.startswith(b"stray")}
        assert stats["stray_answers:shop"] + stats["stray_answers:other"] >= 23
        shown = dray("status", "--json", "-c", world.daemon.path).stdout
        rows = {a["account"]: a["stray_answers"] for a in json.loads(shown)["queues"][0]["accounts"]}
        assert rows["shop"] == stats["stray_answers:shop"]


def test_second_answer_across_accounts(empty_redis):
    """The second answer comes late, and the connection would serve another account next, with another token."""
    provider = Provider(again=0.2)
    with provider.peer, world_of(empty_redis, provider) as world:
        first = send_alone(world, provider, "A", "shop")
        second = send_alone(world, provider, "B-BAD", "other")
        third = send_alone(world, provider, "C", "other")
        assert provider.check([first, second, third]) == 2
        assert (second["status"], second["error"]["reason"]) == ("failed", "rejected")
        assert third["order_id"] != first["order_id"]
        connections = [(r.json["customOrderId"], r.connection) for r in provider.peer.posts]
        assert len({c for _, c in connections}) == 3, connections


def test_repeated_id_is_believed_for_neither(empty_redis):
    """Where the peer is faster than any look: its answer to the second order is the first one's."""
    with Peer([Answer(200, {"code": 10000, "message": "success", "data": 901}),
               Answer(200, {"code": 10000, "message": "success", "data": 901}),
               Answer(200, {"code": 10000, "message": "success", "data": 902})]) as peer:
        with World(empty_redis, peer, accounts={"other": {"token": OTHER}}) as world:
            world.send("a", "A")
            assert world.result()["order_id"] == "901"
            world.send("b", "B", account="other")
            second = world.result()
            assert (second["status"], second["order_id"]) == ("failed", None)
            assert (second["error"]["reason"], second["error"]["code"]) == ("unknown_outcome", "repeated_order_id")
            assert "901" in second["error"]["message"] or "901" in json.dumps(world.dead())
            world.send("c", "C")
            assert world.result()["order_id"] == "902"
            assert [r.connection for r in peer.posts][:2] == [0, 0]
            assert peer.posts[2].connection == 1  # closed at the first doubt
            line = world.daemon.events_named("repeated_order_id")[0]
            assert (line["account"], line["id"], line["order_id"]) == ("other", "b", "901")


@pytest.mark.parametrize("answer", [Answer(200, "nonsense"), Answer(200, ""), Answer(202, {"data": 5})], ids=["words", "empty", "202"])
def test_unclear_yes_ends_its_connection(empty_redis, answer):
    """Whose it was, nobody knows; what comes behind it would be as doubtful."""
    good = Answer(200, {"code": 10000, "message": "success", "data": 7})
    with Peer([answer, good]) as peer, World(empty_redis, peer) as world:
        world.send("a", "A")
        assert world.result()["error"]["reason"] == "unknown_outcome"
        world.send("b", "B")
        assert world.result()["order_id"] == "7"
        assert [r.connection for r in peer.posts] == [0, 1]


def test_one_key_may_have_its_id_again(empty_redis):
    """The same order, sent again by an operator: the provider knows it, and says the same id."""
    answers = [Answer(422, {"code": 5, "message": "no"}), Answer(200, {"code": 10000, "message": "success", "data": 7}),
               Answer(200, {"code": 10000, "message": "success", "data": 8})]
    with Peer(answers) as peer, World(empty_redis, peer) as world:
        world.send("a", "A")
        assert world.result()["status"] == "failed"
        world.send("a", "A")
        assert world.result()["order_id"] == "7"
        world.send("b", "B")
        assert world.result()["order_id"] == "8"


@pytest.mark.parametrize("repeated", ["yes", "no"])
def test_merging_provider_says_so(empty_redis, repeated):
    with Peer(default=Answer(200, {"code": 10000, "message": "success", "data": 5})) as peer:
        with World(empty_redis, peer, account={"repeated_ids": repeated}) as world:
            kinds = []
            for key in "AB":
                world.send(key, key)
                kinds.append(world.result()["status"])
            assert kinds == ["created", "created" if repeated == "yes" else "failed"]


def test_stand_in_that_has_one_id_for_all_is_told_apart(empty_redis):
    """A mock: orders that are under way together, each on a new connection, have one id. No answer was shifted there."""
    with Peer(default=Answer(200, {"code": 10000, "message": "success", "data": 5}, delay=0.5)) as peer:
        with World(empty_redis, peer) as world:
            world.push(*[world.job(f"s{i}", f"S-{i}") for i in range(8)])
            assert {r["status"] for r in world.results(8)} == {"created"}
            world.daemon.wait_event("stand_in")


@pytest.mark.parametrize("status", [200, 422])
def test_answer_before_the_order_was_read(empty_redis, status):
    """On a kept connection it may be another order's; and the connection is not used again."""
    early = Answer(status, {"code": 10000, "message": "success", "data": 66}, early=True)
    kept = {"Keep-Alive": "timeout=60"}  # however long the next order takes to come
    good = [Answer(200, {"code": 10000, "message": "success", "data": n}, kept) for n in (1, 2)]
    with Peer([good[0], early, good[1]]) as peer:
        with World(empty_redis, peer, queue={"max_job_bytes": "4M"}, account={"idle_reuse": "30s"}) as world:
            world.send("a", "A")
            assert world.result()["order_id"] == "1"
            order = world.provider.order("LARGE")
            order["remark"] = "x" * 2_000_000
            world.push(world.job("large", order=json.dumps(order)))
            large = world.result()
            assert (large["status"], large["error"]["reason"], large["error"]["code"]) == (
                "failed", "unknown_outcome", "early_answer"), large
            world.send("b", "B")
            assert world.result()["order_id"] == "2"
            assert peer.posts[-1].connection == 1


def test_idle_connection_is_not_used_past_its_time(empty_redis):
    """A server that keeps connections for 400 ms, at 20 ms distance, and an order each 270 to 390 ms: always one connection too
    old. None is lost in the crossing."""
    provider = Provider()
    with provider.peer, FarLine(provider.peer.port, away=0.02, keep=0.4) as line:
        with World(empty_redis, base_url=line.url) as world:
            results = []
            for i in range(60):
                world.send(f"i{i}", f"I-{i}")
                results.append(world.result())
                time.sleep(0.27 + 0.002 * (i % 60))
            assert provider.check(results) == 60
            assert (line.crossed, line.closed_idle > 10) == (0, True), (line.crossed, line.closed_idle)



@pytest.mark.parametrize("status", [407, 502])
def test_proxy_that_refuses_holds_the_account(empty_redis, status):
    """Nothing of the order was sent, nothing burns; when the proxy lets through again, the order goes."""
    with Peer(default=Answer(status, "<html>no</html>")) as proxy:
        account = {"proxy": f"http://127.0.0.1:{proxy.port}", "breaker_cooldown": "200ms"}
        with World(empty_redis, base_url="https://provider.test", account=account) as world:
            world.push(*[world.job(f"p{i}", f"P-{i}") for i in range(5)])
            world.daemon.wait_event("account_held")
            wait_until(lambda: len(proxy.connects) >= 3, 15, lambda: "three probes")
            line = world.daemon.events_named("attempt")[0]
            assert (line["verdict"], line["code"], line["attempt"]) == ("hold", f"proxy_{status}", 0), line
            assert not world.dead_ids()
            world.no_result()


def test_compressed_answers_are_read(empty_redis):
    with Peer(lambda r: Answer(200, gzip.compress(world.provider.answer(r.json)), headers={"Content-Encoding": "gzip"})) as peer:
        with World(empty_redis, peer) as world:
            world.send("z", "Z")
            result = world.result()
            assert (result["status"], result["order_id"]) == ("created", str(world.provider.id_for("Z")))
            assert peer.posts[0].headers["accept-encoding"] == "identity"
