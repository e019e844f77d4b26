"""When an account's token ends: said by `dray status`, a metric and the admin API, from the configuration or a JWT."""

import base64
import json
import time

import pytest

from lib.admin import AdminWorld
from lib.process import dray
from lib.wait import wait_until

DAY = 86400


def jwt(claims):
    part = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()  # noqa: E731
    return f"{part({'alg': 'none'})}.{part(claims)}.c2ln"


def told(world):
    """What each of the three says of account shop."""
    name = 'dray_account_token_expires_timestamp_seconds{queue="orders",account="shop"}'
    status = json.loads(dray("status", "orders", "--json", "-c", world.daemon.path).stdout)
    account = next((a for a in status["queues"][0]["accounts"] if a["account"] == "shop"), None)
    line = [x for x in world.ask("/metrics").body.decode().splitlines() if x.startswith(name)]
    return line[0].split()[1] if line else None, account and account["token_expires_at"]


@pytest.mark.parametrize("settings,seconds", [
    ({"token": jwt({"exp": 2000000000})}, 2000000000),
    ({"token": jwt({"exp": 2000000000.5, "sub": "x" * 300})}, 2000000000),
    ({"token": "t", "token_expires_at": "2033-05-18T03:33:20Z"}, 2000000000),
    ({"token": jwt({"exp": 5}), "token_expires_at": "2000000000000"}, 2000000000),
    ({"token": jwt({"sub": "x"})}, None), ({"token": "a.b.c"}, None), ({"token": "plain"}, None)])
def test_who_says_when(empty_redis, peer, settings, seconds):
    with AdminWorld(empty_redis, peer, account={"rate": "100/s", **settings}) as world:
        wanted = (str(seconds), seconds * 1000) if seconds else (None, None)
        wait_until(lambda: told(world) == wanted, 20, lambda: f"{wanted}, not {told(world)}")


def test_status_says_it_in_words(empty_redis, peer):
    ends = int(time.time()) + 2 * DAY + 600
    with AdminWorld(empty_redis, peer, account={"rate": "100/s", "token": jwt({"exp": ends})}) as world:
        def said(words):
            return words in dray("status", "orders", "-c", world.daemon.path).stdout.decode()
        wait_until(lambda: said("token ends in 48h"), 20, "the end of the token in status")
