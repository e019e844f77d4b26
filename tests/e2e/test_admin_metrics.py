"""/metrics in its two formats: Prometheus's text format, and OpenMetrics with exemplars, each read by the Prometheus project's own
strict parser."""

import pytest

from lib.admin import AdminWorld
from lib.peer import Answer, Peer
from lib.wait import wait_until
from lib.world import created

openmetrics = pytest.importorskip("prometheus_client.openmetrics.parser")
classic = pytest.importorskip("prometheus_client.parser")

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = PARENT[:-2] + "00"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
DURATIONS = ("dray_http_request_duration_seconds", "dray_pickup_duration_seconds")


@pytest.fixture
def world(empty_redis, peer):
    peer.default = lambda request: created(world.provider, request)
    with AdminWorld(empty_redis, peer) as world:
        yield world


def scrape(world, accept=OPEN):
    answer = world.ask("/metrics", headers={"Accept": accept} if accept else {})
    assert answer.status == 200
    return answer.headers["Content-Type"], answer.body.decode()


@pytest.mark.parametrize("accept, format", [
    (None, TEXT), ("*/*", TEXT), ("text/plain", TEXT), ("text/html, application/json", TEXT), ("", TEXT), (",;=,q=1;;", TEXT),
    ("application/openmetrics-text", OPEN), ("application/openmetrics-text; version=1.0.0; charset=utf-8", OPEN),
    ("APPLICATION/OpenMetrics-Text ;version=1.0.0", OPEN),
    ("application/openmetrics-text;version=0.0.1", TEXT), ("application/openmetrics-text;version=2.0.0,*/*;q=0.1", TEXT),
    ("application/openmetrics-text;q=0", TEXT), ("application/openmetrics-text;q=0.5,text/plain;q=0.5", TEXT),
    ("text/plain;q=0.6,application/openmetrics-text;q=0.5", TEXT), ("text/plain;q=0.4 , application/openmetrics-text;q=0.5", OPEN),
    # Prometheus 2 and 3
    ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,"
     "*/*;q=0.1", OPEN),
    ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
     "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1", OPEN)])
def test_who_gets_which(world, accept, format):
    assert scrape(world, accept)[0] == format


def samples(families):
    """{(name, labels): value}; bounds of buckets as numbers."""
    return {(s.name, frozenset((k, float(v) if k == "le" else v) for k, v in s.labels.items())): s.value
            for family in families for s in family.samples}


def test_both_say_the_same(world):
    for n in range(5):
        world.send(f"j{n}")
    world.results(5)
    wait_until(lambda: any(name.startswith("dray_queue_jobs") for name in world.metrics()), what="the queue's figures")
    text, open_text = scrape(world, None)[1], scrape(world)[1]
    assert open_text.endswith("\n# EOF\n") and "# EOF" not in text and " # {" not in text
    families = list(openmetrics.text_string_to_metric_families(open_text))
    one, other = samples(classic.text_string_to_metric_families(text)), samples(families)
    assert one.keys() == other.keys() and len(one) > 60
    assert one["dray_settled_jobs_total", frozenset({("queue", "orders")})] == 5
    still = {k for k in one if not k[0].startswith(("dray_process", "dray_admin", "dray_queue", "dray_redis", "dray_account"))}
    assert {k: one[k] for k in still} == {k: other[k] for k in still}
    kinds = {f.name: f.type for f in families}
    assert (kinds["dray_settled_jobs"], kinds["dray_queue_jobs"], kinds[DURATIONS[0]]) == ("counter", "gauge", "histogram")


def exemplars(world, name):
    """{upper bound of the bucket: exemplar}"""
    [family] = [f for f in openmetrics.text_string_to_metric_families(scrape(world)[1]) if f.name == name]
    return {float(s.labels["le"]): s.exemplar for s in family.samples if s.exemplar}


def traced(world, endpoint, **trace):
    world.config["trace"] = {"endpoint": endpoint.url + "/v1/traces", **trace}
    world.daemon.set_config(world.config)
    return world


def test_a_bucket_names_the_trace_of_its_last_traced_order(empty_redis, peer):
    with Peer(default=Answer(200, b"{}")) as endpoint, traced(AdminWorld(empty_redis, peer), endpoint) as world:
        peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=1.2)
        world.send("slow", traceparent=PARENT)
        world.result()
        peer.default = lambda request: created(world.provider, request)
        world.send("unsampled", traceparent=UNSAMPLED)
        world.result()
        for name in DURATIONS:
            [(bound, exemplar)] = exemplars(world, name).items()
            assert exemplar.labels == {"trace_id": PARENT[3:35]} and exemplar.value <= bound
        [(bound, exemplar)] = exemplars(world, DURATIONS[0]).items()
        assert 1.2 <= exemplar.value <= bound and bound >= 2.5
        world.send("own")
        world.result()
        wait_until(lambda: len(endpoint.requests) >= 1, what="spans")
        found = exemplars(world, DURATIONS[0])
        assert found[bound].labels == exemplar.labels and len(found) == 2, "each bucket its own"
        assert len({e.labels["trace_id"] for e in found.values()}) == 2
        assert " # {" not in scrape(world, None)[1]
        assert len(peer.posts) == 3


def test_no_exemplars_of_what_is_not_traced(empty_redis, peer):
    peer.default = lambda request: created(world.provider, request)
    with Peer(default=Answer(200, b"{}")) as endpoint, traced(AdminWorld(empty_redis, peer), endpoint, sample="0") as world:
        world.send("one")
        world.result()
        assert exemplars(world, DURATIONS[0]) == {} == exemplars(world, DURATIONS[1])
