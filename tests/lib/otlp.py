"""What an OTLP/HTTP endpoint was sent, read strictly by the JSON encoding of opentelemetry-proto: every member is one that the
messages have, ids are lower-case hex, 64-bit integers decimal strings, enums numbers."""

import json
import re
from dataclasses import dataclass

from .wait import wait_until

KINDS = {1: "INTERNAL", 2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}
VALUES = {"stringValue": str, "boolValue": bool, "doubleValue": (int, float), "intValue": str}


@dataclass
class Span:
    trace: str
    id: str
    parent: str | None
    name: str
    kind: str
    start: int
    end: int
    flags: int
    error: bool
    attributes: dict
    resource: dict


def members(message, needed, optional=()):
    assert isinstance(message, dict), message
    assert set(needed) <= set(message) <= set(needed) | set(optional), sorted(message)
    return message


def hex_id(text, digits):
    assert isinstance(text, str) and re.fullmatch(f"[0-9a-f]{{{digits}}}", text) and set(text) != {"0"}, text
    return text


def nanoseconds(text):
    assert isinstance(text, str) and re.fullmatch("[1-9][0-9]{18}", text), text
    return int(text)


def attributes(entries):
    found = {}
    for entry in entries:
        members(entry, ("key", "value"))
        (form, value), = entry["value"].items()
        assert isinstance(value, VALUES[form]), entry
        if form == "intValue":
            assert re.fullmatch("-?[0-9]+", value), entry
            value = int(value)
        assert entry["key"] and entry["key"] not in found, entry
        assert value != "", entry
        found[entry["key"]] = value
    return found


def read_span(s, resource):
    members(s, ("traceId", "spanId", "flags", "name", "kind", "startTimeUnixNano", "endTimeUnixNano", "attributes", "status"),
            ("parentSpanId",))
    members(s["status"], (), ("code",))
    assert s["status"].get("code", 0) in (0, 2) and type(s["kind"]) is int and type(s["flags"]) is int, s
    span = Span(hex_id(s["traceId"], 32), hex_id(s["spanId"], 16), s.get("parentSpanId"), s["name"], KINDS[s["kind"]],
                nanoseconds(s["startTimeUnixNano"]), nanoseconds(s["endTimeUnixNano"]), s["flags"],
                s["status"].get("code") == 2, attributes(s["attributes"]), resource)
    if span.parent is not None:
        hex_id(span.parent, 16)
    assert span.start <= span.end, s
    return span


def read_request(body):
    root = members(json.loads(body), ("resourceSpans",))
    spans = []
    for entry in root["resourceSpans"]:
        members(entry, ("resource", "scopeSpans"))
        resource = attributes(members(entry["resource"], ("attributes",))["attributes"])
        for scoped in entry["scopeSpans"]:
            members(scoped, ("scope", "spans"))
            assert scoped["scope"] == {"name": "dray", "version": resource["service.version"]}, scoped["scope"]
            spans += [read_span(s, resource) for s in scoped["spans"]]
    assert 0 < len(spans) <= 256
    return spans


def spans_of(endpoint):
    """All that the Peer `endpoint` was sent so far. No id comes twice."""
    spans = []
    for request in endpoint.posts:
        assert request.headers["content-type"] == "application/json", request.headers
        spans += read_request(request.body)
    assert len({s.id for s in spans}) == len(spans)
    return spans


def wait_spans(endpoint, count, deadline=20.0):
    """Exactly so many spans."""
    wait_until(lambda: len(spans_of(endpoint)) >= count, deadline,
               lambda: f"{count} spans; there are {[s.name for s in spans_of(endpoint)]}")
    spans = spans_of(endpoint)
    assert len(spans) == count, [s.name for s in spans]
    return spans


def order_of(spans):
    """The one order span, and its children by name, whose parent it is and whose times it spans."""
    order, = (s for s in spans if s.name == "order")
    children = {}
    for s in spans:
        if s is order:
            continue
        assert s.trace == order.trace and s.parent == order.id, (s, order)
        assert order.start <= s.start and s.end <= order.end, (s, order)
        children.setdefault(s.name, []).append(s)
    return order, children
