"""dray for Python producers: push an order, wait for its result. One file to copy; needs redis-py (python3-redis, 4.3 or
later) and Redis 6.2.

    client = Dray(redis.Redis(), "orders")
    result = client.place("shop-7/1001", order, timeout=60)

A result goes to a list of its own job (`reply_to`), and stays there when it is read: whoever waits for it may die, and wait
again. It expires `keep` seconds after it was first read.

Pushing the same `id` with the same order again is always safe: its order key makes it one order, and the second result
is `duplicate` with the same order id. So `push` tries again by itself while it does not know whether Redis took the job,
and what it could not push (NotPushed) is pushed again later, as it is. A corrected order gets an `id` of its own.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any, Literal, TypedDict

import redis


class Fault(TypedDict):
    path: str
    rule: str


class _Error(TypedDict):
    reason: Literal["invalid", "rejected", "exhausted", "expired", "unknown_outcome", "poison"]
    code: str
    message: str
    dead_id: str


class Error(_Error, total=False):
    faults: list[Fault]


class Part(TypedDict):
    order_id: str
    order: dict[str, Any]


class Result(TypedDict):
    """As docs/schema/result.schema.json says; there may be further fields."""

    id: str
    status: Literal["created", "duplicate", "failed"]
    provider: str | None
    account: str | None
    queue: str
    order_key: str | None
    order_id: str | None
    order_ids: list[str]
    order: dict[str, Any] | None
    parts: list[dict[str, Any]]
    error: Error | None
    warnings: list[dict[str, str]]
    attempts: int
    http_status: int | None
    enqueued_at: int | None
    finished_at: int
    duration_ms: int
    meta: Any


class NotPushed(Exception):
    """Redis did not take the job, or did not say so. Keep it and push it again."""


FIELDS = {"account", "order_key", "not_before", "expires_at", "max_attempts", "enqueued_at", "traceparent", "meta"}
# What Redis says while it is full, starts or fails over: it passes.
PASSES = re.compile("OOM|READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|NOREPLICAS|TRYAGAIN|UNBLOCKED")
PASSING = {"OutOfMemoryError", "ReadOnlyError", "BusyLoadingError", "MasterDownError", "ClusterDownError", "TryAgainError"}


def passes(e: redis.RedisError) -> bool:
    if isinstance(e, redis.ResponseError):
        return type(e).__name__ in PASSING or PASSES.match(str(e)) is not None
    return isinstance(e, (redis.ConnectionError, redis.TimeoutError)) and not isinstance(e, redis.AuthenticationError)


class Dray:
    """Of one queue. `prefix` as in [redis]; `keep`: seconds for which a result that was read stays; `retry_for`: seconds for
    which `push` tries."""

    def __init__(self, client: redis.Redis, queue: str, *, prefix: str = "dray", keep: int = 86400, retry_for: float = 30):
        self.redis, self.queue, self.keep, self.retry_for = client, queue, keep, retry_for
        self.jobs = f"{prefix}:{{{queue}}}:jobs"
        self.results = f"{prefix}:{{{queue}}}:results:of:"
        # A blocking wait ends before the client's own patience does.
        patience = client.connection_pool.connection_kwargs.get("socket_timeout") or 10
        self.slice = min(5.0, patience / 2)

    def job(self, id: str, order: dict[str, Any] | str, **fields: Any) -> str:
        """The text of a job, checked. An order given as text is kept to the byte: a price stays 9.990."""
        if not isinstance(id, str) or not re.fullmatch(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,128}", id):
            raise ValueError("id: 1 to 128 characters, no control characters")
        if len((self.results + id).encode()) > 512:
            raise ValueError("id: too long in UTF-8 for the name of a list")
        if unknown := set(fields) - FIELDS:
            raise ValueError(f"no field of a job: {', '.join(sorted(unknown))}")
        text = order if isinstance(order, str) else json.dumps(order, ensure_ascii=False, allow_nan=False)
        if not isinstance(json.loads(text), dict):
            raise ValueError("order: must be a JSON object")
        fields = {"enqueued_at": int(time.time() * 1000), "reply_to": self.results + id, **fields}
        rest = json.dumps(fields, ensure_ascii=False, allow_nan=False)
        return f'{{"id":{json.dumps(id, ensure_ascii=False)},"order":{text},{rest[1:]}'

    def push(self, id: str, order: dict[str, Any] | str, **fields: Any) -> None:
        """Pushes a job. ValueError: it is none. NotPushed: Redis did not take it within `retry_for`."""
        job, until, pause = self.job(id, order, **fields), time.monotonic() + self.retry_for, 0.1
        while True:
            try:
                self.redis.lpush(self.jobs, job)
                return
            except redis.RedisError as e:
                if not passes(e) or time.monotonic() + pause > until:
                    raise NotPushed(f"{id}: {e}") from e
            time.sleep(pause)
            pause = min(2 * pause, 5)

    def wait(self, id: str, timeout: float) -> Result | None:
        """The job's result; None: not within `timeout` seconds, so wait again later. A result is not an order: look at `status`."""
        key, until = self.results + id, time.monotonic() + timeout
        while (left := until - time.monotonic()) > 0:
            try:
                # From the list onto itself: nothing is taken away.
                if self.redis.blmove(key, key, max(0.01, min(left, self.slice)), "LEFT", "LEFT") is not None:
                    self.redis.expire(key, self.keep)
                    return best(self.redis.lrange(key, 0, -1))
            except redis.RedisError as e:
                if not passes(e):
                    raise
                time.sleep(min(0.5, max(0, until - time.monotonic())))
        return None

    def place(self, id: str, order: dict[str, Any] | str, timeout: float, **fields: Any) -> Result | None:
        """Pushes and waits. After None, or a crash, `wait` again, or `place` the same again: it stays one order."""
        self.push(id, order, **fields)
        return self.wait(id, timeout)

    def forget(self, id: str) -> None:
        """Deletes a job's result before it expires."""
        self.redis.delete(self.results + id)

    def tidy(self) -> int:
        """Lets expire what nobody ever waited for, `keep` seconds from now. Once a day; returns how many there were."""
        pattern = re.sub(r"([][*?\\])", r"\\\1", self.results) + "*"
        return sum(self.redis.ttl(key) == -1 and bool(self.redis.expire(key, self.keep))
                   for key in self.redis.scan_iter(match=pattern, count=1000))


def best(texts: list[bytes]) -> Result | None:
    """Of several (a job that was pushed twice, or retried by an operator): the one that made the order, else the newest."""
    found: list[Result] = [json.loads(t) for t in texts]
    rank = {"created": 0, "duplicate": 1}
    return min(found, key=lambda r: rank.get(r["status"], 2), default=None)
