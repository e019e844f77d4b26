"""`dray find`: where an order is now, in whatever state, by its id or its order key."""

import json
import re
import time

import pytest

from lib.far_line import FarLine
from lib.peer import Answer, HangUp
from lib.process import dray
from lib.providers import PROVIDERS
from lib.terminal import on_terminal
from lib.wait import SLOW, wait_until
from lib.world import QUEUE, World, created


@pytest.fixture
def world(empty_redis, peer):
    with World(empty_redis, peer, account={"rate": "100/s", "burst": "100"}, accounts={"second": {}}) as world:
        peer.default = lambda request: created(world.provider, request)
        yield world


def find(world, wanted, code=0):
    done = dray("find", QUEUE, wanted, "--json", "-c", world.daemon.path)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    said = json.loads(done.stdout)
    assert (said["queue"], said["wanted"]) == (QUEUE, wanted)
    return said["found"], said["ledger"]


def text(world, wanted):
    done = dray("find", QUEUE, wanted, "-c", world.daemon.path)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def pause(world, *account):
    assert dray("pause", QUEUE, *account, "-c", world.daemon.path).returncode == 0


def test_queued(world):
    pause(world)
    world.send("warm")  # whoever waits in a blocking pick-up gives this back
    wait_until(lambda: world.db.llen(world.key("jobs")) == 1, what="the job to be given back")
    world.send("shop-7/1001", "K-1", enqueued_at=1795448588803)
    for wanted in ("shop-7/1001", "K-1"):
        [one], ledger = find(world, wanted)
        assert (one["place"], one["id"], one["order_key"], one["account"]) == ("queued", "shop-7/1001", "K-1", "shop")
        assert one["enqueued_at"] == 1795448588803 and ledger == []
    assert "queued" in text(world, "K-1")


def test_an_id_that_its_producer_escaped(world):
    pause(world)
    world.send("warm")
    wait_until(lambda: world.db.llen(world.key("jobs")) == 1, what="the job to be given back")
    world.push(world.job("shop-7/1001", "K-1").replace("shop-7/1001", "shop-7\\/1001"))  # as PHP writes it
    [one], _ = find(world, "shop-7/1001")
    assert one["id"] == "shop-7/1001"


def test_in_flight_and_being_sent(world, peer):
    peer.default = Answer(200, {"code": 10000, "data": 5}, delay=30)
    world.send("one", "K-1")
    wait_until(lambda: peer.requests, what="the request")
    [one], [entry] = find(world, "one")
    assert (one["place"], one["doing"], one["account"]) == ("in_flight", "sending", "shop")
    assert one["worker"] == entry["worker"] and (entry["state"], entry["account"], entry["key"]) == ("sending", "shop", "K-1")
    world.daemon.kill()


def test_in_flight_among_many(world, peer):
    peer.default = Answer(200, {"code": 10000, "data": 5}, delay=30)
    world.push(*[world.job(f"many-{n}", f"M-{n}") for n in range(40)])
    wait_until(lambda: len(peer.requests) >= 40, what="the requests")
    [one], [entry] = find(world, "M-17")
    assert (one["place"], one["id"], one["doing"], entry["state"]) == ("in_flight", "many-17", "sending", "sending")
    world.daemon.kill()


def test_delayed_with_its_history(world, peer):
    peer.script = [Answer(503, {"code": 5, "message": "later"}, headers={"Retry-After": "600"})]
    world.send("one", "K-1")
    wait_until(lambda: world.db.hlen(world.key("parked")) == 1, what="the retry")
    [one], ledger = find(world, "K-1")
    assert one["place"] == "delayed" and one["next"] == "to_send" and one["due_at"] > time.time() * 1000 + 500_000
    assert [a["http_status"] for a in one["history"]] == [503] and ledger == []


def test_waiting_for_its_account(world):
    pause(world, "second")
    world.send("one", "K-1", account="second")
    wait_until(lambda: world.db.zcard(world.key("waiting")) == 1, what="it to wait")
    [one], _ = find(world, "one")
    assert (one["place"], one["account"], one["attempts"]) == ("waiting", "second", 0)


def test_created_with_its_result_and_without(world):
    world.send("one", "K-1")
    wait_until(lambda: world.db.llen(world.key("results")) == 1, what="the result")
    [one], [entry] = find(world, "one")
    assert (one["place"], one["status"], one["order_key"]) == ("result", "created", "K-1")
    assert (entry["state"], entry["order_ids"]) == ("created", [one["order_id"]])
    id = world.result()["order_id"]
    found, [entry] = find(world, "K-1")
    assert found == [] and (entry["state"], entry["order_ids"], entry["account"]) == ("created", [id], "shop")
    assert id in text(world, "K-1")


def test_dead_and_unknown(world, peer):
    peer.script = [HangUp("after")]
    world.send("one", "K-1")
    world.result()
    found, [entry] = find(world, "one")
    [letter] = [f for f in found if f["place"] == "dead"]
    assert (letter["reason"], letter["dead_id"], letter["order_key"]) == ("unknown_outcome", world.dead_ids()[0], "K-1")
    assert (entry["state"], entry["dead_id"]) == ("unknown", world.dead_ids()[0])


def test_nothing(world):
    world.send("one", "K-1")
    world.result()
    assert find(world, "K-", code=1) == ([], [])
    done = dray("find", QUEUE, "nope", "-c", world.daemon.path)
    assert done.returncode == 1 and b"nothing of 'nope'" in done.stderr
    assert dray("find", QUEUE, "-c", world.daemon.path).returncode == 2
    assert dray("find", "ordrs", "x", "-c", world.daemon.path).returncode == 2


def test_what_is_no_utf8_or_holds_what_json_escapes(world):
    wanted = "K-\N{BELL}\"\\\N{SNOWMAN}"
    world.send("one", wanted)
    world.result()
    _, [entry] = find(world, wanted)
    assert (entry["key"], entry["state"]) == (wanted, "created")
    done = dray("find", QUEUE, "K-\udcff\udcc0", "--json", "-c", world.daemon.path)
    assert done.returncode == 1 and json.loads(done.stdout)["wanted"] == "K-\ufffd\ufffd"
    world.db.set(b"dray:{orders}:order:shop:K-\xff", b"C " + b"0" * 32 + b' 1795448588803 ["5"]')  # none of dray's
    done = dray("find", QUEUE, "K-\udcff", "--json", "-c", world.daemon.path)
    assert done.returncode == 0 and [e["key"] for e in json.loads(done.stdout)["ledger"]] == ["K-\ufffd"]


def conflict(world, first, second):
    """Pushes an order of K-1, and another text of it that its key refuses: the two orders' texts."""
    for id, order in (("first", first), ("second", second)):
        world.push(world.job(id, order=order))
        world.result()
    return [letter for letter in world.dead_letters() if letter["error"]["code"] == "key_conflict"]


ORDER = json.dumps(PROVIDERS["kakaclo-v2"].order("K-1"))


def test_other_bytes_under_a_key_where_the_first_job_is_still_there(world, peer):
    peer.script = [HangUp("after")]
    [letter] = conflict(world, ORDER, ORDER.replace('"quantity": 1', '"quantity": 2'))
    found, [entry] = find(world, "K-1")
    by_id = {f["id"]: f for f in found if f["place"] == "dead"}
    assert by_id["first"]["differs"] is None and by_id["first"]["order_hash"] == entry["order_hash"] != by_id["second"]["order_hash"]
    differs = by_id["second"]["differs"]
    assert found[differs.pop("found")] == by_id["first"]
    assert differs == {"from": "found", "byte": ORDER.index('"quantity": 1') + len('"quantity": '), "white_space_only": False,
                       "path": "order.orderItemsList[0].quantity"}
    said = text(world, "K-1")
    assert f'differs        from dead letter "{by_id["first"]["dead_id"]}" first at byte {differs["byte"]} of the order: ' in said
    assert "quantity\": " not in said, "where, not what: an order's contents are in `dead show`"
    assert "dray find" in letter["error"]["message"]
    assert [r.json for r in peer.requests] == [json.loads(ORDER)]


def test_other_white_space_under_a_key(world, peer):
    peer.script = [HangUp("after")]
    conflict(world, ORDER, ORDER.replace(": ", ":"))
    assert f"in white space only, first at byte {ORDER.index(': ') + 1} of the order\n" in text(world, "K-1")
    assert len(peer.requests) == 1


def test_other_bytes_where_only_the_ledgers_hash_is_left(world, tmp_path):
    conflict(world, ORDER, ORDER.replace("Orlafasns", "Orlando"))
    found, [entry] = find(world, "K-1")
    assert (entry["state"], [f["differs"] for f in found if f["place"] == "dead"]) == ("created", [{"from": "ledger"}])
    assert "from the ledger's order, of which only a hash is kept: --against FILE" in text(world, "K-1")

    mine = tmp_path / "first.json"
    for pushed in (ORDER, '{"id": "first", "order": %s}' % ORDER):
        mine.write_text(pushed + "\n")
        done = dray("find", QUEUE, "K-1", "--json", "--against", mine, "-c", world.daemon.path)
        said = json.loads(done.stdout)
        assert said["ledger"][0]["is_file"] is True
        [differs] = [f["differs"] for f in said["found"] if f["place"] == "dead"]
        assert (differs["from"], differs["path"]) == ("file", "order.orderAddresses.city")
        done = dray("find", QUEUE, "K-1", "--against", mine, "-c", world.daemon.path).stdout.decode()
        assert f"same bytes as  {mine}" in done and f"differs        from {mine} first at byte " in done
    mine.write_text(ORDER.replace(": ", ":"))
    assert b"other bytes than " in dray("find", QUEUE, "K-1", "--against", mine, "-c", world.daemon.path).stdout
    for bad in ("[]", "{", '{"id": "first", "order": 5}'):
        mine.write_text(bad)
        done = dray("find", QUEUE, "K-1", "--against", mine, "-c", world.daemon.path)
        assert done.returncode == 2 and str(mine).encode() in done.stderr, done
    assert dray("find", QUEUE, "K-1", "--against", tmp_path / "none", "-c", world.daemon.path).returncode == 2


def test_a_long_queue_is_looked_through_in_steps(world):
    world.daemon.stop()
    pipe = world.db.pipeline(transaction=False)
    for n in range(20_000):
        pipe.lpush(world.key("jobs"), world.job(f"far-{n}", f"F-{n}"))
    pipe.execute()
    world.db.config_resetstat()
    [one], _ = find(world, "F-19999")
    assert one["id"] == "far-19999"
    stats = world.db.info("commandstats")["cmdstat_evalsha"]
    assert stats["calls"] >= 10 and stats["usec_per_call"] < 50_000 * SLOW


def test_a_long_search_says_how_far_it_is(world):
    world.daemon.stop()
    pipe = world.db.pipeline(transaction=False)
    for n in range(20_000):
        pipe.lpush(world.key("jobs"), world.job(f"far-{n}", f"F-{n}"))
    pipe.execute()
    with FarLine(world.redis.port, away=0.06, keep=600) as line:
        said = on_terminal("find", QUEUE, "F-19999", "-c", world.daemon.path, errors_too=True,
                           env={"DRAY_REDIS_URL": line.url.replace("http", "redis")}).decode()
    steps = [(int(share), int(done)) for share, done in re.findall(r"\rlooking \[#*\.*\] +(\d+)% (\d+) of 20000", said)]
    assert len(steps) > 3 and steps == sorted(steps)
    assert re.search(r" of 20000, \d+/s, \d+s left\x1b\[K", said), said
    assert said.endswith("\r\x1b[K" + said[said.index("queued\n"):]), "the bar is gone before what was found"
