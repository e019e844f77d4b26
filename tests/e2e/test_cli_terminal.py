"""What others wrote (providers, producers), on a person's terminal and in a pipe."""

import json

import pytest

from lib.peer import Answer
from lib.process import dray
from lib.terminal import on_terminal
from lib.world import QUEUE, World, created

TRICKS = {"\x1b": "\\u001b", "\x07": "\\u0007", "\x9b": "\\u009b", "\u202e": "\\u202e", "\u2066": "\\u2066", "\u2028": "\\u2028"}


@pytest.fixture
def world(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        yield world


def fail(world, peer, body):
    """One dead letter, of an order whose answer is `body`; its id."""
    peer.script = [Answer(400, body)]
    world.send("shop-7/\u202e1001")
    assert world.result()["status"] == "failed"
    return world.dead_ids()[-1]


def pipe(world, *args):
    done = dray(*args, "-c", world.daemon.path)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def test_a_terminal_gets_nothing_that_it_obeys(world, peer):
    one = fail(world, peer, json.dumps({"code": 1, "message": "".join(TRICKS) + "gone"}, ensure_ascii=False).encode())
    for verb in (["dead", "ls", QUEUE], ["dead", "show", QUEUE, one]):
        seen = on_terminal(*verb, "-c", world.daemon.path).decode()
        for trick, shown in TRICKS.items():
            assert trick not in seen and shown in seen, (verb, shown, seen)
        assert "gone" in seen and "shop-7/\\u202e1001" in seen


def test_a_pipe_gets_one_line_a_letter_and_the_rest_as_it_is(world, peer):
    one = fail(world, peer, json.dumps({"code": 1, "message": "a\nb" + "".join(TRICKS)}, ensure_ascii=False).encode())
    seen = pipe(world, "dead", "ls", QUEUE)
    assert seen.count("\n") == 2 and "a\\nb" in seen and "\x1b" not in seen
    assert "\x9b" in seen and "\u202e" in seen
    letter = json.loads(pipe(world, "dead", "show", QUEUE, one, "--json"))
    assert letter["error"]["message"].endswith("".join(TRICKS)) and letter["id"] == "shop-7/\u202e1001"


def test_show_prints_an_answer_as_it_came(world, peer):
    body = b'{"code": 7,\n "message": "no \\"such\\" sku", "data": 1853726451928473601, "price": 9.990}'
    one = fail(world, peer, body)
    for seen in (on_terminal("dead", "show", QUEUE, one, "-c", world.daemon.path).decode(), pipe(world, "dead", "show", QUEUE, one)):
        assert '{"code": 7,\\n "message": "no \\"such\\" sku", "data": 1853726451928473601, "price": 9.990}' in seen
        assert 'no "such" sku' in seen


def test_an_operators_reason_in_status(world):
    dray("pause", QUEUE, "--reason", "stock\x1b]0;x\x07 \u202etaking", "-c", world.daemon.path)
    seen = on_terminal("status", "-c", world.daemon.path).decode()
    assert "stock\\u001b]0;x\\u0007 \\u202etaking" in seen


def test_results_on_a_terminal_are_the_same_json_without_what_it_obeys(world):
    trick = "\u202e1001\x9b\x7f"
    for path in ("terminal", "pipe"):
        world.push(world.job(path).replace('{"id"', json.dumps({"meta": trick}, ensure_ascii=False)[:-1] + ', "id"'))
        seen = (on_terminal("results", QUEUE, "-n", "1", "-c", world.daemon.path).decode() if path == "terminal"
                else pipe(world, "results", QUEUE, "-n", "1"))
        assert json.loads(seen)["meta"] == trick and (trick in seen) == (path == "pipe")
