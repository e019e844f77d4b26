"""`dray push`: what is refused, what arrives, and what is known when Redis breaks."""

import json
import os
import pty
import signal

import pytest

from lib.process import DRAY, Process, clean_env, dray
from lib.providers import PROVIDERS
from lib.redis_cutter import RedisCutter
from lib.redis_server import free_port

V2 = PROVIDERS["kakaclo-v2"]
JOBS = "dray:{orders}:jobs"


def order(key):
    return json.dumps(V2.order(key))


def job(n, **fields):
    return json.dumps({"id": f"job-{n}", "order": V2.order(f"K-{n}"), **fields})


@pytest.fixture
def ini(tmp_path, empty_redis):
    """Writes a configuration; `url` is another way to Redis."""
    def write(url=empty_redis.url, more=""):
        path = tmp_path / "dray.ini"
        path.write_text(f"[redis]\nurl = {url}\n[account shop]\nqueue = orders\nprovider = kakaclo-v2\ntoken = t\n"
                        f"[account second]\nqueue = orders\nprovider = vu\nkey = k\nsecret = s\n"
                        f"[account far]\nqueue = other\nprovider = kakaclo-v2\ntoken = t\n{more}")
        return path
    return write


@pytest.fixture
def lines(tmp_path):
    def write(*texts, end="\n"):
        path = tmp_path / "jobs.ndjson"
        path.write_bytes("\n".join(texts).encode() + end.encode())
        return path
    return write


def waiting(redis):
    """The jobs in the order in which they will be taken."""
    return [x.decode() for x in reversed(redis.client.lrange(JOBS, 0, -1))]


def test_jobs_arrive_byte_for_byte_and_in_order(ini, lines, empty_redis):
    texts = [job(n) for n in range(1201)] + [job("exact").replace('"quantity": 1', '"quantity":  1')]
    done = dray("push", "orders", lines(*texts), "-c", ini())
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode() == "pushed 1202 jobs to dray:{orders}:jobs\n"
    assert waiting(empty_redis) == texts
    assert empty_redis.client.keys("*") == [JOBS.encode()]


def test_stdin_with_blank_lines_and_crlf(ini, empty_redis):
    text = f"\n{job(1)}\r\n   \n{job(2)}"
    done = dray("push", "orders", "-c", ini(), input=text.encode())
    assert done.returncode == 0, done.stderr
    assert waiting(empty_redis) == [job(1), job(2)]


def test_every_fault_is_named_and_nothing_is_pushed(ini, lines, empty_redis):
    bad = V2.order("K-2")
    bad["orderItemsList"][0]["quantity"] = 0
    del bad["orderItemsList"][0]["sku"]
    path = lines(job(1), json.dumps({"id": "b", "order": bad}), "{", job(4, account="far"), job(5))
    # No Redis is needed to say so.
    done = dray("push", "orders", path, "-c", ini(f"redis://127.0.0.1:{free_port()}"))
    assert done.returncode == 1
    err = done.stderr.decode().splitlines()
    assert f"{path}:2: order.orderItemsList[0].sku: is required" in err
    assert any(line.startswith(f"{path}:2: order.orderItemsList[0].quantity: must be at least 1") for line in err)
    assert any(line.startswith(f"{path}:3: is not JSON: at byte 1") for line in err)
    assert f"{path}:4: account: names no account of this queue: far" in err
    assert err[-1] == "dray push: 3 of 5 lines have faults (--skip-invalid pushes the others); nothing was pushed"
    assert waiting(empty_redis) == []


def test_skip_invalid_pushes_the_others(ini, lines, empty_redis):
    done = dray("push", "orders", lines(job(1), "junk", job(3)), "--skip-invalid", "-c", ini())
    assert done.returncode == 0
    assert done.stdout.decode() == "pushed 2 jobs to dray:{orders}:jobs, skipped 1 with faults\n"
    assert waiting(empty_redis) == [job(1), job(3)]


def test_json_says_the_same(ini, lines, empty_redis):
    path = lines(job(1), "junk")
    refused = dray("push", "orders", path, "--json", "-c", ini())
    said = json.loads(refused.stdout)
    assert refused.returncode == 1
    assert [x["line"] for x in said["invalid_lines"]] == [2]
    assert said["invalid_lines"][0]["faults"][0]["rule"].startswith("is not JSON")
    assert (said["jobs"], said["invalid"], said["pushed"], said["ok"]) == (1, 1, 0, False)
    taken = dray("push", "orders", path, "--json", "--skip-invalid", "-c", ini())
    said = json.loads(taken.stdout)
    assert taken.returncode == 0
    assert (said["jobs"], said["invalid"], said["pushed"], said["ok"]) == (1, 1, 1, True)
    assert said["error"] is None and said["resume_line"] is None


def test_what_looks_like_a_mistake_is_warned_of_and_pushed(ini, lines, empty_redis):
    odd, keyless = V2.order("K-2"), V2.order("K-3")
    odd["custom_order_id"] = "x"
    del keyless["customOrderId"]
    texts = [job(1), json.dumps({"id": "b", "order": odd}), json.dumps({"id": "c", "order": keyless})]
    path = lines(*texts, *[json.dumps({"id": f"d{n}", "order": keyless}) for n in range(30)])
    done = dray("push", "orders", path, "-c", ini())
    err = done.stderr.decode().splitlines()
    assert done.returncode == 0
    assert err[0] == f"{path}:2: warning: order.custom_order_id: is no field of the document: customOrderId is meant, perhaps"
    assert err[1].startswith(f"{path}:3: warning: order: has no key of its own (customOrderId)")
    assert err[-1] == f"{path}: 12 more lines have warnings" and len(err) == 21
    assert len(waiting(empty_redis)) == 33
    said = json.loads(dray("push", "orders", path, "--json", "--dry-run", "-c", ini()).stdout)
    assert said["ok"] and [w["line"] for w in said["warned_lines"]] == list(range(2, 22))
    assert said["warned_lines"][0]["warnings"][0]["path"] == "order.custom_order_id"


def test_the_example_of_vu_pasted_without_its_brace(ini, lines, empty_redis):
    text = json.dumps(PROVIDERS["vu"].order("V-1"))[1:]
    for more in ([], ["--orders", "--account", "second"]):
        done = dray("push", "orders", lines(text), *more, "-c", ini())
        assert done.returncode == 1 and b"the { before it is missing" in done.stderr
    assert waiting(empty_redis) == []


def test_a_line_over_max_job_bytes(ini, lines, empty_redis):
    path = lines(job(1), job(2, meta="x" * 4000), job(3), end="")
    done = dray("push", "orders", path, "-c", ini(more="[queue orders]\nmax_job_bytes = 2K\n"))
    assert done.returncode == 1
    assert f"{path}:2: must be at most 2048 bytes (max_job_bytes)\n" in done.stderr.decode()


def test_orders_become_jobs(ini, lines, empty_redis):
    text = order("K-7").replace('"quantity": 1', '"quantity":  1')
    done = dray("push", "orders", lines(text), "--orders", "-c", ini())
    assert done.returncode == 0, done.stderr
    [pushed] = waiting(empty_redis)
    assert text in pushed
    assert json.loads(pushed)["id"] == "K-7"
    assert set(json.loads(pushed)) == {"id", "enqueued_at", "order"}


def test_orders_for_another_account(ini, lines, empty_redis):
    text = json.dumps(PROVIDERS["vu"].order("ord-9"))
    done = dray("push", "orders", lines(text), "--orders", "--account", "second", "-c", ini())
    assert done.returncode == 0, done.stderr
    [pushed] = waiting(empty_redis)
    assert (json.loads(pushed)["id"], json.loads(pushed)["account"]) == ("ord-9", "second")


def test_an_order_without_its_own_key(ini, lines, empty_redis):
    keyless = V2.order("x")
    del keyless["customOrderId"]
    done = dray("push", "orders", lines(json.dumps(keyless)), "--orders", "-c", ini())
    assert done.returncode == 1
    assert "id: the order has no key of its own at /customOrderId" in done.stderr.decode()


def test_dry_run_pushes_nothing(ini, lines, empty_redis):
    done = dray("push", "orders", lines(job(1)), "--dry-run", "-c", ini())
    assert (done.returncode, done.stdout) == (0, b"fine: 1 job\n")
    assert waiting(empty_redis) == []


def test_an_unknown_queue_is_named_with_those_there_are(ini, lines, empty_redis):
    done = dray("push", "ordes", lines(job(1)), "-c", ini())
    assert done.returncode == 2
    assert "names a queue 'ordes'; there are: orders, other" in done.stderr.decode()


def test_usage(ini, lines, empty_redis):
    assert dray("push", "-c", ini()).returncode == 2
    assert dray("push", "orders", lines(job(1)), "--from", "0", "-c", ini()).returncode == 2
    assert dray("push", "orders", "/nowhere", "-c", ini()).returncode == 1
    assert dray("push", "--help").returncode == 0


def test_redis_out_of_reach(ini, lines, empty_redis):
    done = dray("push", "orders", lines(job(1)), "-c", ini(f"redis://127.0.0.1:{free_port()}"))
    assert done.returncode == 3
    assert done.stderr.decode().endswith("; nothing was pushed\n")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_connection_that_breaks_neither_loses_nor_doubles(ini, lines, empty_redis, when, nth):
    texts = [job(n) for n in range(1200)]
    with RedisCutter(empty_redis.port).cut(b"EVAL", nth, when) as cutter:
        done = dray("push", "orders", lines(*texts), "-c", ini(cutter.url))
    assert cutter.was_cut.is_set()
    assert done.returncode == 0, done.stderr
    assert waiting(empty_redis) == texts


def test_redis_gone_for_good_says_what_is_sure(ini, lines, empty_redis):
    texts = [job(n) for n in range(1200)]
    path = lines(*texts)
    with RedisCutter(empty_redis.port) as cutter:
        def refuse():
            cutter.refusing = True
        cutter.cut(b"EVAL", 2, "after", refuse)
        process = Process([DRAY, "push", "orders", str(path), "-c", str(ini(cutter.url))], env=clean_env(),
                          name="dray push")
        assert cutter.was_cut.wait(30)
        assert process.stop(signal.SIGINT) == 1
    err = process.stderr
    assert ("500 of 1200 jobs were pushed, those up to line 500; whether the 500 of lines 501 to 1000 were is not "
            "known.") in err
    assert "The rest: --from 501 " in err
    # This time they had gone in: pushing them again is what the message warns of.
    assert waiting(empty_redis) == texts[:1000]
    done = dray("push", "orders", path, "--from", "1001", "-c", ini())
    assert done.stdout.decode() == "pushed 200 jobs to dray:{orders}:jobs\n"
    assert waiting(empty_redis) == texts


def test_redis_that_forgot_is_found_out(ini, lines, empty_redis):
    texts = [job(n) for n in range(1200)]
    with RedisCutter(empty_redis.port).cut(b"EVAL", 2, "before", empty_redis.client.flushall) as cutter:
        done = dray("push", "orders", lines(*texts), "--json", "-c", ini(cutter.url))
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert said["error"] == "Redis came back without jobs that it had taken"
    assert (said["pushed"], said["unsure"], said["resume_line"]) == (0, 0, 1)
    assert waiting(empty_redis) == []


def test_redis_that_refuses_midway(ini, lines, redis_server):
    texts = [job(n, meta="x" * 3000) for n in range(2000)]
    redis_server.client.config_set("maxmemory", redis_server.client.info("memory")["used_memory"] + (4 << 20))
    done = dray("push", "orders", lines(*texts), "--json", "-c", ini(redis_server.url))
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert "OOM" in said["error"]
    assert 0 < said["pushed"] < 2000 and said["unsure"] == 0
    assert said["resume_line"] == said["pushed"] + 1
    assert waiting(redis_server) == texts[:said["pushed"]]


def test_a_list_that_is_none(ini, lines, empty_redis):
    empty_redis.client.set(JOBS, "x")
    done = dray("push", "orders", lines(job(1)), "-c", ini())
    assert done.returncode == 1
    assert "WRONGTYPE" in done.stderr.decode()
    assert "0 of 1 jobs were pushed.\nThe rest: --from 1\n" in done.stderr.decode()
    assert empty_redis.client.keys("*") == [JOBS.encode()]


def test_a_terminal_sees_a_bar(ini, lines, empty_redis):
    path = lines(*[job(n) for n in range(1200)])
    config = ini()
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(DRAY, [DRAY, "push", "orders", str(path), "-c", str(config)], clean_env())
    seen = b""
    try:
        while piece := os.read(fd, 4096):
            seen += piece
    except OSError:  # the terminal's other side is gone
        pass
    os.close(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert b"checking [" in seen and b"pushing [" in seen
    assert b"pushed 1200 jobs" in seen
