"""A token of one's own for each operator: they may what the token may, and the log says who it was."""

import signal

import pytest

from lib.admin import TOKEN, AdminWorld
from lib.peer import Answer
from lib.process import dray
from lib.wait import wait_until
from lib.world import QUEUE

ALICE, BOB = "alice-0123456789abcdef", "bob-0123456789abcdefg"


@pytest.fixture
def world(empty_redis, peer, tmp_path):
    path = tmp_path / "operators"
    path.write_text(f"# who may act\nalice {ALICE}\n\n  bob\t{BOB}  \r\n")
    with AdminWorld(empty_redis, peer, start=False) as world:
        world.config["admin"]["operators_file"] = str(path)
        world.daemon.set_config(world.config)
        world.start()
        world.operators = path
        yield world


def actions(world):
    return [e for e in world.daemon.events if e["event"] == "admin_action"]


def test_each_may_act_and_the_log_says_who(world, peer):
    peer.script = [Answer(400, {"code": 1})]
    world.send("one")
    world.result()
    [id] = world.dead_ids()
    assert world.get("/api/v1/status", token=ALICE)["access"] == {"token_configured": True, "may_act": True, "who": "alice"}
    assert world.get("/api/v1/status", token=TOKEN)["access"]["who"] == "token"
    assert world.ask(f"/api/v1/dead/{QUEUE}/{id}", token=BOB).status == 200
    assert world.ask(f"/api/v1/dead/{QUEUE}/{id}/drop", "POST", token=BOB).status == 200
    assert world.ask(f"/api/v1/queues/{QUEUE}/pause", "POST", token=ALICE).status == 200
    assert world.ask(f"/api/v1/queues/{QUEUE}/resume", "POST", token=TOKEN).status == 200
    said = wait_until(lambda: len(actions(world)) == 3 and actions(world), what="the log")
    assert [(e["what"], e["who"]) for e in said] == [("dropped", "bob"), ("pause", "alice"), ("resume", "token")]
    text = "\n".join(world.daemon.process.stderr_lines)
    assert ALICE not in text and BOB not in text


@pytest.mark.parametrize("token", ["alice", ALICE + "x", ALICE[:-1], "alice " + ALICE, ""])
def test_what_is_no_token(world, token):
    assert world.ask("/api/v1/status", token=None, headers={"Authorization": f"Bearer {token}"}).status == 401


def test_a_reload_takes_an_operator_away(world):
    world.operators.write_text(f"alice {ALICE}\n")
    world.daemon.send(signal.SIGHUP)
    wait_until(lambda: world.ask("/api/v1/status", token=BOB).status == 401, what="bob to be out")
    assert world.ask("/api/v1/status", token=ALICE).status == 200


@pytest.mark.parametrize("text,said", [
    ("alice short\n", "at least 16"), (f"alice {ALICE} more\n", "nothing behind"), (f"al!ce {ALICE}\n", "a name is"),
    (f"alice {ALICE}\nalice {BOB}\n", "stands twice"), (f"alice {ALICE}\nbob {ALICE}\n", "another operator's"), ("# nobody\n", "no operator")])
def test_a_file_that_is_refused(world, text, said):
    world.operators.write_text(text)
    done = dray("config", "check", "-c", world.daemon.path)
    assert done.returncode == 2 and said in (done.stdout + done.stderr).decode() and ALICE not in (done.stdout + done.stderr).decode()
    world.operators.unlink()
    done = dray("config", "check", "-c", world.daemon.path)
    assert done.returncode == 2 and b"operators_file" in done.stdout + done.stderr
