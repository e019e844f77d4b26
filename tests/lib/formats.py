"""Redis contents of a version before, as readable JSON: written by tests/fixtures/format-1/record, loaded by tests of upgrades.

Texts that are no UTF-8 have lone surrogates for their other bytes (Python's surrogateescape).
"""

import json
import os
import re
import time

from .process import ROOT

with open(os.path.join(ROOT, "src", "queue", "format.h"), encoding="utf-8") as _header:
    FORMAT = int(re.search(r"^#define QUEUE_FORMAT +(\d+)", _header.read(), re.M).group(1))


HOUR_MS = 3600000


def text_of(raw):
    return raw.decode("utf-8", "surrogateescape")


def raw_of(text):
    return text.encode("utf-8", "surrogateescape")


def dump(db):
    """Every key: its type, its value, and for how many ms it stays."""
    readers = {
        b"string": lambda k: text_of(db.get(k)),
        b"list": lambda k: [text_of(v) for v in db.lrange(k, 0, -1)],
        b"set": lambda k: sorted(text_of(v) for v in db.smembers(k)),
        b"hash": lambda k: {text_of(f): text_of(v) for f, v in sorted(db.hgetall(k).items())},
        b"zset": lambda k: {text_of(m): s for m, s in db.zrange(k, 0, -1, withscores=True)}}
    keys = {}
    for key in sorted(db.scan_iter()):
        kind, ttl = db.type(key), db.pttl(key)
        keys[text_of(key)] = {"type": kind.decode(), "value": readers[kind](key), **({"ttl_ms": ttl} if ttl > 0 else {})}
    return keys


def shifted(value, by_ms, around):
    """Times (ms) of the day of the recording, in a value of a dump, moved to today: nothing is too old for `max_age`."""
    def move(match):
        return str(int(match[0]) + by_ms) if abs(int(match[0]) - around) < 24 * HOUR_MS else match[0]
    if isinstance(value, str):
        return re.sub(r"(?<![\d.])\d{13}(?!\d)", move, value)
    if isinstance(value, float):
        return value + by_ms if abs(value - around) < 24 * HOUR_MS else value
    if isinstance(value, list):
        return [shifted(v, by_ms, around) for v in value]
    return {shifted(k, by_ms, around): shifted(v, by_ms, around) for k, v in value.items()}


def load(db, recorded):
    """As if it had been recorded just now."""
    by_ms = int(time.time() * 1000) - recorded["recorded_at"]
    keys = shifted_keys(recorded["keys"], by_ms, recorded["recorded_at"])
    writers = {
        "string": lambda k, v: db.set(k, raw_of(v)),
        "list": lambda k, v: db.rpush(k, *map(raw_of, v)),
        "set": lambda k, v: db.sadd(k, *map(raw_of, v)),
        "hash": lambda k, v: db.hset(k, mapping={raw_of(f): raw_of(x) for f, x in v.items()}),
        "zset": lambda k, v: db.zadd(k, {raw_of(m): s for m, s in v.items()})}
    for name, key in keys.items():
        writers[key["type"]](name, key["value"])
        if "ttl_ms" in key:
            db.pexpire(name, key["ttl_ms"])


def shifted_keys(keys, by_ms, around):
    return {name: {**key, "value": shifted(key["value"], by_ms, around)} for name, key in keys.items()}


def fixture(name, version=1):
    with open(os.path.join(ROOT, "tests", "fixtures", f"format-{version}", name + ".json"), encoding="utf-8") as f:
        return json.load(f)


# -- the queue that is recorded: what a version before has done, and left to do ------------------------


def accounts(base_url, **more):
    """Of the recorded queue, with what every version knows."""
    plain = {"provider": "kakaclo-v2", "token": "t", "on_unknown": "hold", "rate": "0", "breaker_failures": "0", "queue": "orders",
             "request_timeout": "5s", "connect_timeout": "1s"}
    vu = {**plain, "provider": "vu", "token": None, "key": "k", "secret": "s", "on_unknown": "lookup", "lookup_delay": "1h"}
    of = {"shop": plain, "slow": {**plain, "rate": "1/h", "burst": "1"}, "shut": plain, "vu": vu,
          "flaky": {**plain, "backoff_base": "1h", "backoff_cap": "1h"}}
    return {f"account {name}": {**settings, "base_url": base_url, **more.get(name, more.get("all", {}))}
            for name, settings in of.items()}
