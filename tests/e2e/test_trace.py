"""`[trace] endpoint`: an order's spans, by OTLP's JSON encoding (tests/lib/otlp.py reads it strictly). Orders never wait for
them: an endpoint that is down, slow or refuses costs spans, which are counted, and nothing else. Each test ends with what the
provider created."""

import contextlib
import json
import os
import time
from collections import Counter

import pytest

from lib import otlp
from lib.admin import AdminWorld
from lib.peer import Answer, HangUp, Peer, Silence
from lib.wait import SLOW, wait_until
from lib.world import World, created

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


@pytest.fixture
def endpoint():
    with Peer(default=Answer(200, b"{}")) as one:
        yield one


def traced(world, collector, **trace):
    world.config["trace"] = {"endpoint": collector.url + "/v1/traces", **trace}
    world.daemon.set_config(world.config)
    return world


def a_world(redis, peer, endpoint, provider="kakaclo-v2", kind=World, trace=None, **more):
    world = traced(kind(redis, peer, provider, **more), endpoint, **(trace or {}))
    peer.default = lambda request: created(world.provider, request)
    return world


def now_ms():
    return int(time.time() * 1000)


def test_an_order_is_five_spans_below_the_producers(empty_redis, peer, endpoint):
    with a_world(empty_redis, peer, endpoint, trace={"service_name": "shop orders"}) as world:
        peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=0.05)
        pushed = now_ms() - 5000
        world.send("job-7", "KEY-7", traceparent=PARENT, enqueued_at=pushed)
        assert world.result()["status"] == "created"
        order, children = otlp.order_of(otlp.wait_spans(endpoint, 5))
        assert {k: len(v) for k, v in children.items()} == {"pick-up": 1, "admission": 1, "request": 1, "settlement": 1}
        assert (order.trace, order.parent, order.kind, order.flags) == (PARENT[3:35], PARENT[36:52], "CONSUMER", 0x301)
        assert order.resource == {"service.name": "shop orders", "service.version": order.resource["service.version"],
                                  "service.instance.id": order.resource["service.instance.id"]}
        common = {"dray.queue": "orders", "dray.account": "shop", "dray.provider": "kakaclo-v2"}
        assert order.attributes == {**common, "messaging.system": "dray", "messaging.operation.type": "process",
                                    "messaging.destination.name": "orders", "dray.job.id": "job-7", "dray.outcome": "created",
                                    "dray.attempt": 1}
        pick_up, admission, request, settlement = (children[k][0] for k in ("pick-up", "admission", "request", "settlement"))
        assert pick_up.start == order.start == pushed * 1_000_000
        assert pick_up.end <= admission.start and admission.end <= request.start and request.end <= settlement.start
        assert request.kind == "CLIENT" and not request.error and not order.error and request.flags == 0x101
        assert request.attributes == {**common, "http.request.method": "POST", "server.address": "127.0.0.1",
                                      "server.port": peer.port, "http.response.status_code": 200, "dray.verdict": "created",
                                      "dray.attempt": 1}
        assert 0.05e9 <= request.end - request.start < 60e9
        assert pick_up.attributes == admission.attributes == common
        sent, = peer.posts
        assert sent.headers["traceparent"] == f"00-{order.trace}-{request.id}-01"


def test_a_job_without_a_traceparent_is_a_trace_of_its_own_and_none_is_sent(empty_redis, peer, endpoint):
    with a_world(empty_redis, peer, endpoint) as world:
        for job in ("one", "two"):
            world.send(job)
            assert world.result()["status"] == "created"
        spans = otlp.wait_spans(endpoint, 10)
        traces = {s.trace for s in spans}
        assert len(traces) == 2
        for trace in traces:
            order, children = otlp.order_of([s for s in spans if s.trace == trace])
            assert order.parent is None and order.flags == 0x101 and len(children) == 4
            assert children["pick-up"][0].end == children["pick-up"][0].start == order.start
        assert len(peer.posts) == 2 and not any("traceparent" in r.headers for r in peer.posts)


@pytest.mark.parametrize("parent", [None, PARENT])
def test_a_retry_is_a_second_request_of_the_same_trace(empty_redis, peer, endpoint, parent):
    with a_world(empty_redis, peer, endpoint) as world:
        peer.script = [Answer(429, b"{}")]
        world.send("one", **({"traceparent": parent} if parent else {}))
        assert world.result()["status"] == "created"
        wait_until(lambda: any(s.attributes.get("dray.outcome") == "created" for s in otlp.spans_of(endpoint)), 20)
        spans = otlp.spans_of(endpoint)  # the account's pause may have cost any number of claims
        assert len({s.trace for s in spans}) == 1
        first, second = sorted((s for s in spans if s.name == "request"), key=lambda s: s.start)
        assert (first.error, first.attributes["http.response.status_code"], first.attributes["error.type"]) == (True, 429, "429")
        assert (first.attributes["dray.verdict"], second.attributes["dray.verdict"]) == ("pause", "created")
        orders = {s.id: s for s in spans if s.name == "order"}
        assert first.parent in orders and second.parent in orders and first.parent != second.parent
        assert orders[first.parent].attributes["dray.outcome"] in ("retry", "wait")
        assert orders[second.parent].attributes["dray.outcome"] == "created"
        assert {s.parent for s in orders.values()} == {parent[36:52] if parent else None}
        assert [s.parent for s in spans if s.name == "pick-up"] == [first.parent]
        assert len(peer.posts) == 2
        if parent:
            assert [r.headers["traceparent"][36:52] for r in peer.posts] == [first.id, second.id]


def test_attempts_are_numbered_and_no_answer_says_where_it_ended(empty_redis, peer, endpoint):
    with a_world(empty_redis, peer, endpoint, "vu", account={"on_unknown": "resend"}) as world:
        peer.script = [HangUp("after")]
        world.send("one", "KEY-1")
        assert world.result(20)["status"] == "created"
        spans = otlp.wait_spans(endpoint, 5 + 4)
        requests = sorted((s for s in spans if s.name == "request"), key=lambda s: s.start)
        assert [s.attributes["dray.attempt"] for s in requests] == [1, 2]
        assert requests[0].error and requests[0].attributes["error.type"] == "receive"
        assert "http.response.status_code" not in requests[0].attributes
        assert len(peer.posts) == 2 and len(peer.gets) == 0


def test_a_look_up_is_a_span_of_its_own(empty_redis, peer, endpoint):
    with a_world(empty_redis, peer, endpoint, "vu", account={"on_unknown": "lookup", "lookup_delay": "10ms", "lookup_attempts": "1"}) as world:
        peer.script = [HangUp("after"), Answer(404, b"404 page not found")]
        world.send("one", "KEY-1")
        assert world.result(20)["status"] == "failed"
        look_up = wait_until(lambda: next((s for s in otlp.wait_spans(endpoint, 9) if s.name == "look-up"), None), what="the look-up's span")
        assert (look_up.kind, look_up.attributes["http.request.method"], look_up.attributes["http.response.status_code"]) == ("CLIENT", "GET", 404)
        assert len(peer.posts) == 1 and len(peer.gets) == 1


def test_what_is_never_sent_has_no_request(empty_redis, peer, endpoint):
    with a_world(empty_redis, peer, endpoint) as world:
        world.push('{"id": "bad", "order": {"nonsense": 1}}', "no JSON at all")
        assert [d["reason"] for d in world.wait_dead(2)] == ["invalid", "invalid"]
        spans = otlp.wait_spans(endpoint, 6)
        assert sorted(s.name for s in spans) == ["order"] * 2 + ["pick-up"] * 2 + ["settlement"] * 2
        orders = [s for s in spans if s.name == "order"]
        assert all(s.error and s.attributes["dray.reason"] == s.attributes["error.type"] == "invalid" for s in orders)
        assert sorted(s.attributes.get("dray.job.id", "") for s in orders) == ["", "bad"]
        assert not peer.posts


def test_the_parents_flag_and_the_share_decide(empty_redis, peer, endpoint):
    with a_world(empty_redis, peer, endpoint, trace={"sample": 0}) as world:
        world.send("unsampled", traceparent=UNSAMPLED)
        world.send("alone")
        world.send("sampled", traceparent=PARENT)
        world.results(3)
        order, _ = otlp.order_of(otlp.wait_spans(endpoint, 5))
        assert order.attributes["dray.job.id"] == "sampled"
        assert sorted(r.headers.get("traceparent", "")[-2:] for r in peer.posts) == ["", "00", "01"]
        assert UNSAMPLED in [r.headers.get("traceparent") for r in peer.posts]
        assert world.daemon.stop() == 0  # and nothing comes with the last flush
        assert len(otlp.spans_of(endpoint)) == 5


def test_a_share_of_the_jobs(empty_redis, peer, endpoint):
    with a_world(empty_redis, peer, endpoint, trace={"sample": 0.3}) as world:
        peer.script = [Answer(429, b"{}") for _ in range(5)]
        for i in range(200):
            world.send(f"job-{i}")
        world.results(200)
        assert world.daemon.stop() == 0
        spans = otlp.spans_of(endpoint)
        jobs = {}
        for s in spans:
            jobs.setdefault(s.trace, set()).add(s.name)
        assert 30 < len(jobs) < 90, len(jobs)  # 60 on average; the same every time, since the ids are
        assert all("order" in names for names in jobs.values())
        assert len({json.dumps(r.json) for r in peer.posts}) == 200


def test_nothing_of_an_order_and_no_secret_is_sent(empty_redis, peer, endpoint):
    with a_world(empty_redis, peer, endpoint) as world:
        order = world.provider.order("SECRET-KEY-1")
        peer.script = [Answer(400, {"code": 7, "message": "PERSONAL words"}), HangUp("after")]
        world.push(world.job("one", order=json.dumps(order), meta={"who": "PERSONAL"}))
        world.push(world.job("two", "SECRET-KEY-2"))
        world.wait_dead(2)
        otlp.wait_spans(endpoint, 10)
        text = b"".join(r.body for r in endpoint.posts).decode()

        def leaves(value):
            if isinstance(value, dict):
                value = list(value.values())
            return [x for v in value for x in leaves(v)] if isinstance(value, list) else [value]
        values = {str(v) for v in leaves(order) if isinstance(v, str) and len(str(v)) > 5}
        for secret in values | {"PERSONAL", "SECRET-KEY", *world.config["account shop"].get("token", "-none-").split()}:
            assert secret not in text, secret
        assert len(peer.posts) == 2


def test_the_endpoint_is_told_who_sends(empty_redis, peer, endpoint):
    with contextlib.ExitStack() as stack:
        world = a_world(empty_redis, peer, endpoint, trace={"endpoint": endpoint.url, "header": "X-Api-Key: k e y",
                                                            "token_file": "secret"})
        with open(os.path.join(world.daemon.dir, "secret"), "w") as f:
            f.write("tok-1\n")
        stack.enter_context(world)
        world.send("one")
        assert world.result()["status"] == "created"
        otlp.wait_spans(endpoint, 5)
        request = endpoint.posts[0]
        assert request.target == "/v1/traces"
        assert (request.headers["authorization"], request.headers["x-api-key"]) == ("Bearer tok-1", "k e y")
        assert request.headers["user-agent"].startswith("dray/")
        assert len(peer.posts) == 1
        assert "tok-1" not in world.daemon.process.tail(1000)


def counts(world):
    metrics = world.metrics()
    return {k: metrics[f"dray_trace_spans_{k}_total"] for k in ("sent", "failed", "dropped")}


@pytest.mark.parametrize("trouble", ["down", 503, "partial", "hangs up"])
def test_an_endpoint_that_takes_nothing_costs_spans_only(empty_redis, peer, endpoint, trouble):
    with a_world(empty_redis, peer, endpoint, kind=AdminWorld) as world:
        if trouble == "down":
            endpoint.stop()
        else:
            endpoint.default = {503: Answer(503), "hangs up": HangUp("after"),
                                "partial": Answer(200, {"partialSuccess": {"rejectedSpans": "5", "errorMessage": "no"}})}[trouble]
        world.send("one")
        assert world.result()["status"] == "created"
        wait_until(lambda: counts(world)["failed"] == 5, 15, lambda: f"5 failed spans: {counts(world)}")
        if trouble == "down":
            endpoint.start()
        else:
            assert len(endpoint.posts) == 1  # tried once
        assert counts(world) == {"sent": 0, "failed": 5, "dropped": 0}
        if trouble != "partial":
            world.daemon.wait_event("trace_failed")
        assert len(world.daemon.events_named("trace_failed")) == (trouble != "partial")
        endpoint.default = Answer(200, b"{}")
        world.send("two")
        assert world.result()["status"] == "created"
        wait_until(lambda: counts(world)["sent"] == 5, 15, lambda: f"5 spans sent: {counts(world)}")
        assert len(peer.posts) == 2


def test_a_silent_endpoint_slows_nothing_and_the_excess_is_dropped(empty_redis, peer, endpoint):
    with a_world(empty_redis, peer, endpoint, kind=AdminWorld) as world:
        endpoint.default = Silence()
        jobs = 1200
        for i in range(jobs):
            world.send(f"job-{i}")
        world.results(jobs, 60 * SLOW)
        wait_until(lambda: sum(counts(world).values()) > 0, 10)
        seen = counts(world)
        # What is not kept was dropped, or was in a request that this machine was slow enough to see time out.
        assert seen["sent"] == 0 and seen["dropped"] > 0 and seen["dropped"] + seen["failed"] >= 5 * jobs - 4096, seen
        assert seen["failed"] > 0 or len(endpoint.posts) <= 4
        began = time.monotonic()
        world.send("last")
        world.result()
        assert time.monotonic() - began < 2 * SLOW
        began = time.monotonic()
        assert world.daemon.stop() == 0
        assert time.monotonic() - began < 4 * SLOW  # the flush takes a second at most
        assert len({r.json["customOrderNumber"] if "customOrderNumber" in r.json else str(r.json) for r in peer.posts}) == jobs + 1


def test_what_is_left_is_sent_at_the_end(empty_redis, peer, endpoint):
    with a_world(empty_redis, peer, endpoint) as world:
        for i in range(100):
            world.send(f"job-{i}")
        world.results(100)
        assert world.daemon.stop() == 0
        spans = otlp.spans_of(endpoint)
        names = Counter(s.name for s in spans)
        assert names.keys() == {"order", "pick-up", "admission", "request", "settlement"} and min(names.values()) == 100, names
        assert names["order"] == names["request"] == 100, names  # a slow machine may admit or settle one twice
        assert len({s.id for s in spans}) == len(spans)
        assert len(peer.posts) == 100


def test_without_an_endpoint_nothing_is_traced(empty_redis, peer):
    with AdminWorld(empty_redis, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        world.send("one", traceparent=PARENT)
        assert world.result()["status"] == "created"
        assert counts(world) == {"sent": 0, "failed": 0, "dropped": 0}
        assert [r.headers["traceparent"] for r in peer.posts] == [PARENT]
