"""One rate for the whole fleet: what the provider sees stays below burst + rate * t, and near it."""

import os
import time

import pytest

from lib.fleet import Fleet, most_in_window, over_the_rate
from lib.peer import Answer, HangUp, Peer
from lib.redis_rewriter import RedisRewriter
from lib.wait import wait_until

LONG = bool(os.environ.get("TESTS_LONG"))
LATE = 0.25  # seconds that one request may be under way longer than another, on a busy machine


def arrivals(sandbox, account):
    return [ms / 1000 for ms in sandbox.get(f"/_sandbox/arrivals?account={account}")["arrivals_ms"]]


@pytest.mark.parametrize("rate,burst", [(30, 5), (8, 1)])
def test_three_workers_share_one_rate(empty_redis, sandbox, rate, burst):
    seconds = 60 if LONG else 3
    count = burst + rate * seconds
    name = f"shared-{rate}-{burst}"
    with Fleet(empty_redis, sandbox.url, {name: {"rate": f"{rate}/s", "burst": burst}}) as fleet:
        fleet.push(*[fleet.job(name, n) for n in range(count)])
        fleet.wait_done(count, 30 + seconds)
        seen = arrivals(sandbox, name)
        assert len(seen) == count
        assert over_the_rate(seen, rate, burst, LATE) <= 0, sorted(seen)
        assert most_in_window(seen, 0.1) <= burst + rate * (0.1 + LATE)
        # All but the burst had to wait for the rate: at 95% of it, and one look late at the end.
        assert max(seen) - min(seen) <= (count - burst) / rate / 0.95 + LATE
        assert {r["status"] for r in fleet.results()} == {"created"}


def test_nothing_polls_while_jobs_wait(empty_redis, sandbox):
    """50 jobs wait for a token that comes in a minute: nobody looks. Only beats go on."""
    with Fleet(empty_redis, sandbox.url, {"slow": {"rate": "1/m", "burst": "1"}}, worker={"lease": "6s"}) as fleet:
        fleet.push(*[fleet.job("slow", n) for n in range(50)])
        fleet.wait_done(1)
        wait_until(lambda: fleet.db.zcard(fleet.key("waiting")) == 49, 10, fleet.state)
        time.sleep(0.3)
        fleet.db.config_resetstat()
        time.sleep(2)
        assert fleet.calls() <= 2 * 3  # a beat every 2 s and worker; one more may fall into it
        assert fleet.db.zcard(fleet.key("waiting")) == 49


def test_a_token_costs_few_calls(empty_redis, sandbox):
    """At 20 a second each token costs a look per worker, a begin and a settlement; no more."""
    with Fleet(empty_redis, sandbox.url, {"few": {"rate": "20/s", "burst": "1"}}) as fleet:
        fleet.push(*[fleet.job("few", n) for n in range(70)])
        fleet.wait_done(20)
        fleet.db.config_resetstat()
        before = fleet.done()
        fleet.wait_done(60)
        sent = fleet.done() - before
        assert fleet.calls() <= sent * (3 + 2) * 1.3 + 20, (fleet.calls(), sent)


def test_lone_jobs_wait_for_their_token_and_no_longer(empty_redis, sandbox):
    """The second job comes when nothing is under way: no settlement will remind the worker of it."""
    with Fleet(empty_redis, sandbox.url, {"lone": {"rate": "2/s", "burst": "1"}}, workers=1,
               worker={"lease": "600s"}) as fleet:
        fleet.push(fleet.job("lone", 1))
        fleet.wait_done(1)
        began = time.monotonic()
        fleet.push(fleet.job("lone", 2))
        fleet.wait_done(2)
        assert time.monotonic() - began < 100  # not the next beat, 200 s later


def test_look_ups_and_each_of_their_pages_count(empty_redis):
    """Every order hangs up and is found on the third page of a list: four requests each."""
    rate, burst, count = 40, 2, 12
    page = [{"id": 1000 + n, "customOrderId": f"other-{n}"} for n in range(250)]

    def answer(request):
        if request.method == "POST":
            return HangUp()
        number = int(request.target.split("pageNumber=")[1].split("&")[0])
        last = [{"id": 7000 + n, "customOrderId": f"pages-{n}"} for n in range(count)]
        items = page if number < 3 else last
        return Answer(200, {"code": 10000, "data": {"total": 500 + count, "list": items}})

    with Peer(answer) as peer:
        shop = {"pages": {"rate": f"{rate}/s", "burst": burst, "on_unknown": "lookup", "lookup_delay": "0s"}}
        with Fleet(empty_redis, peer.url, shop) as fleet:
            fleet.push(*[fleet.job("pages", n) for n in range(count)])
            fleet.wait_done(count)
            assert {r["status"] for r in fleet.results()} == {"created"}
        seen = [r.at for r in peer.requests]
        assert len(seen) == 4 * count
        assert sorted(r.target.split("pageNumber=")[1][0] for r in peer.gets) == sorted("123" * count)
        windows = {r.target.split("&pageNumber")[0] for r in peer.gets}
        assert len(windows) <= count  # the pages of one look-up ask for one window
        assert over_the_rate(seen, rate, burst, LATE) <= 0


def test_what_was_begun_long_ago_does_not_leave(empty_redis, peer):
    """Redis answers late: the token of an order is of another time when the answer is there. It is handed
    back, with nothing sent, and asks again."""
    held = []

    def rewrite(args):
        if args[0] == b"EVALSHA" and any(b":order:late:" in a for a in args) and not held:
            held.append(args)
            time.sleep(2.3)
        return args

    proxy = RedisRewriter(empty_redis.port)
    proxy.rewrite = rewrite
    peer.default = lambda request: Answer(200, fleet.provider.answer(request.json))
    with Fleet(empty_redis, peer.url, {"late": {"connect_timeout": "1s"}}, workers=1,
               worker={"lease": "30s"}, sections={"redis": {"url": proxy.url}}) as fleet:
        fleet.push(fleet.job("late", 1))
        fleet.wait_done(1)
        assert held and fleet.stat("handed_back") == 1
        assert len(peer.posts) == 1 and fleet.results()[0]["attempts"] == 1
