"""Redis fails under load in every way it can: at the end each id has one fate, no order was sent twice,
and the books balance."""

import signal
import threading
import time

import pytest
import redis as redis_py

from lib.fates import none_doubled, posts_by_key, wait_for_all
from lib.peer import Answer
from lib.process import dray
from lib.redis_cluster import InBackground, RedisCluster, slot_of
from lib.redis_cutter import RedisCutter
from lib.redis_server import RedisServer
from lib.scripts import CALLS
from lib.wait import stays_true, wait_until
from lib.world import QUEUE, World

JOBS = 150
LEASE = {"lease": "3s"}


@pytest.fixture
def server(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    with RedisServer(appendonly=True, dir=str(data)) as one:
        one.data = data
        yield one


def world_of(redis, peer, **more):
    world = World(redis, peer, worker={**LEASE, **more.pop("worker", {})}, **more)
    peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=0.02)
    return world


def push_all(world, db, count=JOBS, pause=0.004, at_once=1):
    """As a producer that tries again until Redis has taken the jobs (and knows by its marker)."""
    script = ("if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 1 then return end "
              "redis.call('LPUSH', KEYS[1], unpack(ARGV, 2)) redis.call('SADD', KEYS[2], ARGV[1])")
    for n in range(0, count, at_once):
        jobs = [world.job(f"job-{i}", f"K-{i}") for i in range(n, n + at_once)]
        end = time.monotonic() + 60
        while True:
            try:
                db.eval(script, 2, world.key("jobs"), world.key("pushed"), f"job-{n}", *jobs)
                break
            except redis_py.exceptions.RedisError:
                assert time.monotonic() < end
                time.sleep(0.05)
        time.sleep(pause)


def all_created(world, db, peer, count=JOBS):
    ids = [f"job-{n}" for n in range(count)]
    assert wait_for_all(db, QUEUE, ids, what=world.daemon.process.tail) == {"created": count}
    assert len(posts_by_key(peer)) == count
    none_doubled(peer)
    audit = dray("audit", "-c", world.daemon.path)
    assert audit.returncode == 0, audit.stdout + audit.stderr


def under_load(world, server, peer, fault):
    """`fault` runs while orders flow."""
    pushing = InBackground(push_all, world, server.client)
    wait_until(lambda: len(peer.posts) >= 20, 20, world.state)
    fault()
    pushing.join()
    all_created(world, server.client, peer)
    world.alive()


def no_order_leaves(peer, seconds):
    """What was let go before the fault may still arrive; then nothing more."""
    time.sleep(0.3)
    seen = len(peer.posts)
    stays_true(lambda: len(peer.posts) == seen, seconds, "the number of POSTs")


# --- the connection -----------------------------------------------------------------------------------

@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("script", ["claim", "begin", "settle", "beat", "limits"])
def test_the_connection_is_lost_at_a_script(server, peer, script, when):
    """`after`: Redis has run it, and its answer is lost."""
    with RedisCutter(server.port) as cutter:
        with world_of(server, peer, config_redis={"url": cutter.url}) as world:
            pushing = InBackground(push_all, world, server.client, pause=0.02, at_once=5)  # a lone job is picked up, not begun
            for nth in (1, 1, 2, 3) if script != "beat" else (1, 1):
                word = CALLS[script]
                if script == "limits" and not world.daemon.events_named("redis_down"):
                    word = CALLS["settle"]  # limits are sent after a reconnect
                cutter.was_cut.clear()
                cutter.cut(word, nth, when)
                if not cutter.was_cut.wait(8):
                    break  # all is done
            cutter.cut(None)
            pushing.join()
            all_created(world, server.client, peer)
            assert world.daemon.events_named("redis_down")
            world.alive()


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_connection_is_lost_at_a_lone_job(server, peer, when):
    """An idle worker claims and begins in one step."""
    with RedisCutter(server.port) as cutter:
        with world_of(server, peer, config_redis={"url": cutter.url}) as world:
            for n in range(4):
                world.send(f"job-{n}", f"K-{n}")
                wait_until(lambda n=n: server.client.llen(world.key("results")) == n + 1, 20, world.state)
                cutter.was_cut.clear()
                cutter.cut(CALLS["pick"], 1, when)
                time.sleep(0.05)  # it is idle again: blocked
            assert world.daemon.events_named("redis_down")
            all_created(world, server.client, peer, 4)


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_connection_is_lost_while_recovering(server, peer, when):
    """The heir of a dead worker's orders loses the answer to `recover`, and asks again."""
    with world_of(server, peer, worker={"lease": "1s"}) as dead:
        peer.default = lambda request: Answer(200, dead.provider.answer(request.json), delay=60)
        for n in range(5):
            dead.send(f"job-{n}", f"K-{n}")
        peer.wait_posts(5)
        dead.daemon.kill()
        with RedisCutter(server.port).cut(CALLS["recover"], 1, when) as cutter:
            with world_of(server, peer, worker={"lease": "1s"}, config_redis={"url": cutter.url}) as heir:
                fates = wait_for_all(server.client, QUEUE, [f"job-{n}" for n in range(5)], what=heir.state)
                assert cutter.was_cut.is_set()
                assert fates == {"unknown_outcome": 5}
                none_doubled(peer)


def test_the_connection_is_cut_again_and_again(server, peer):
    """At whatever byte that happens to be."""
    with RedisCutter(server.port) as cutter:
        with world_of(server, peer, config_redis={"url": cutter.url}) as world:
            ends = threading.Event()

            def kill_clients():
                while not ends.wait(0.15):
                    for client in server.client.client_list():
                        if client["name"] == world.config["worker"].get("name", client["name"]) and client["name"]:
                            try:
                                server.client.client_kill_filter(_id=client["id"])
                            except redis_py.exceptions.ResponseError:
                                pass
            killing = InBackground(kill_clients)
            push_all(world, server.client)
            ends.set()
            killing.join()
            all_created(world, server.client, peer)
            assert len(world.daemon.events_named("redis_down")) > 2


# --- the server ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("kill", [True, False])
def test_redis_restarts(server, peer, kill):
    """appendfsync is always: nothing it answered is lost. The scripts are."""
    with world_of(server, peer) as world:
        under_load(world, server, peer, lambda: server.restart(kill=kill))


def test_the_scripts_are_flushed_again_and_again(server, peer):
    def flush():
        for _ in range(30):
            server.client.script_flush()
            time.sleep(0.01)
    with world_of(server, peer) as world:
        under_load(world, server, peer, flush)
        assert not world.daemon.events_named("redis_error")


def test_nothing_leaves_while_redis_is_away_and_answers_are_kept(server, peer):
    with world_of(server, peer) as world:
        peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=1.0)
        for n in range(30):
            world.send(f"job-{n}", f"K-{n}")
        peer.wait_posts(10)
        server.kill()
        no_order_leaves(peer, 2)
        server.start()
        all_created(world, server.client, peer, 30)


def test_redis_hangs_for_longer_than_the_lease(server, peer):
    def hang():
        server.sigstop()
        no_order_leaves(peer, 4)
        server.sigcont()
    with world_of(server, peer) as world:
        under_load(world, server, peer, hang)


def test_redis_is_loading(peer, tmp_path):
    """A long load answers LOADING to all; then work goes on."""
    with RedisServer() as server:
        with world_of(server, peer) as world:
            server.client.execute_command("DEBUG", "POPULATE", 2000)
            server.client.save()
            server.kill()
            server.options.update({"key-load-delay": "1000", "loading-process-events-interval-bytes": "1024"})
            server.start()  # returns when it has loaded
            assert any("LOADING" in e["message"] for e in world.daemon.events_named("redis_down"))
            push_all(world, server.client, 20)
            all_created(world, server.client, peer, 20)


def refused(server, world, peer, begin, end, word):
    """Redis refuses between begin() and end(): said so in its own words, and nothing leaves meanwhile."""
    def fault():
        begin()
        wait_until(lambda: any(word in e.get("message", "") for e in world.daemon.events), 15, world.daemon.process.tail)
        no_order_leaves(peer, 1)
        end()
    under_load(world, server, peer, fault)


def test_redis_becomes_a_replica(server, peer):
    """READONLY, and with no stale reads MASTERDOWN."""
    with world_of(server, peer) as world:
        refused(server, world, peer, lambda: server.client.replicaof("127.0.0.1", "1"),
                lambda: server.client.replicaof("NO", "ONE"), "READONLY")


def test_redis_is_a_replica_that_lost_its_master(server, peer):
    def begin():
        server.client.config_set("replica-serve-stale-data", "no")
        server.client.replicaof("127.0.0.1", "1")
    with world_of(server, peer) as world:
        refused(server, world, peer, begin, lambda: server.client.replicaof("NO", "ONE"), "MASTERDOWN")


def test_redis_is_out_of_memory(server, peer):
    """What ends work passes; what begins it does not."""
    with world_of(server, peer) as world:
        refused(server, world, peer, lambda: server.client.config_set("maxmemory", "1"),
                lambda: server.client.config_set("maxmemory", "0"), "OOM")


def test_a_redis_that_is_full_is_asked_less_and_less(server, peer):
    """Its refusal comes within an answer, and counts as a failure all the same: the pauses between claims grow."""
    with world_of(server, peer) as world:
        db = server.client
        with db.pipeline() as both:
            both.lpush(world.key("jobs"), world.job("one", "KEY-1")).config_set("maxmemory", "1").execute()
        wait_until(lambda: world.daemon.events_named("redis_error"), 15, world.state)
        before = db.info("commandstats")["cmdstat_evalsha"]["calls"]
        stays_true(lambda: not peer.posts, 6, "no POST")
        calls = db.info("commandstats")["cmdstat_evalsha"]["calls"] - before
        assert calls < 24, calls  # a pause that does not grow makes it 30
        db.config_set("maxmemory", "0")
        assert world.result(20)["status"] == "created"


def test_redis_cannot_save(server, peer):
    """MISCONF: a background save failed, and writes are refused until somebody has looked."""
    with world_of(server, peer) as world:
        server.client.config_set("save", "3600 100000")

        def fail_to_save():
            in_the_way = server.data / "dump.rdb"  # a directory that is not empty can't be replaced
            in_the_way.mkdir()
            (in_the_way / "x").write_text("")
            server.client.bgsave()
            wait_until(lambda: server.client.info("persistence")["rdb_last_bgsave_status"] == "err", 10, "a failed save")
        refused(server, world, peer, fail_to_save,
                lambda: server.client.config_set("stop-writes-on-bgsave-error", "no"), "MISCONF")


def drop_clients(server):
    for client in server.client.client_list():
        if client["name"]:
            server.client.client_kill_filter(_id=client["id"])


def test_the_password_changes_while_it_runs(server, peer):
    """NOAUTH at the next connection; nothing is lost when the password is put right."""
    with world_of(server, peer) as world:
        def begin():
            server.client.config_set("requirepass", "s3cret-one")
            drop_clients(server)

        def end():  # the client's own connection may have been dropped too
            redis_py.Redis(unix_socket_path=server.socket, password="s3cret-one").config_set("requirepass", "")
        refused(server, world, peer, begin, end, "NOAUTH")
        assert "s3cret-one" not in world.daemon.process.stderr


def test_the_user_may_not_any_more(server, peer):
    """NOPERM."""
    server.client.execute_command("ACL", "SETUSER", "dray", "on", ">word", "~*", "+@all")
    with world_of(server, peer, config_redis={"username": "dray", "password": "word"}) as world:
        refused(server, world, peer, lambda: server.client.execute_command("ACL", "SETUSER", "dray", "-evalsha", "-eval"),
                lambda: server.client.execute_command("ACL", "SETUSER", "dray", "+@all"), "NOPERM")


def test_redis_is_busy_with_somebody_elses_script(server, peer):
    with world_of(server, peer) as world:
        other = redis_py.Redis(unix_socket_path=server.socket, socket_timeout=60)
        server.client.config_set("busy-reply-threshold", "50")

        def spin():
            with pytest.raises(redis_py.exceptions.ResponseError):
                other.eval("while true do end", 0)
        running = []
        refused(server, world, peer, lambda: running.append(InBackground(spin)), server.client.script_kill, "BUSY")
        running[0].join()


def test_the_cluster_is_down(peer):
    """A node dies without a replica: the others refuse (full coverage is wanted) until it is back."""
    with RedisCluster(3, appendonly=True) as cluster:
        home = cluster.node_of(slot_of(f"{{{QUEUE}}}"))
        other = next(n for n in cluster.nodes if n is not home)
        with world_of(cluster, peer, config_redis={"url": home.tcp_url}) as world:
            pushing = InBackground(push_all, world, home.client, pause=0.05)
            wait_until(lambda: len(peer.posts) >= 20, 20, world.daemon.process.tail)
            other.kill()
            wait_until(lambda: any("CLUSTERDOWN" in e.get("message", "") for e in world.daemon.events), 20,
                       world.daemon.process.tail)
            no_order_leaves(peer, 1)
            other.start()
            pushing.join(60)
            wait_until(lambda: cluster.info(home)["cluster_state"] == "ok", 20, "the cluster to be well")
            all_created(world, home.client, peer)


# --- keys of the wrong type ---------------------------------------------------------------------------

KEYS = ["jobs", "results", "dead", "dead:entries", "delayed", "parked", "waiting", "gates", "accounts", "limits", "pauses",
        "workers", "workers:info", "stats", "taken", "claims:"]


@pytest.mark.parametrize("name", KEYS)
def test_a_key_of_the_wrong_type(server, peer, name):
    """Somebody put something else there: the log names the key, and with the key put right all goes on."""
    with world_of(server, peer, worker={"name": "w"}) as world:
        db = server.client
        worker = next(iter(db.hkeys(world.key("workers:info")))).decode()
        key = world.key(name + worker if name.endswith(":") else name)
        swap = ("if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('RENAME', KEYS[1], KEYS[2]) end "
                "redis.call('SET', KEYS[1], 'wrong')")
        back = ("redis.call('DEL', KEYS[1]) "
                "if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('RENAME', KEYS[2], KEYS[1]) end")

        def fault():
            db.eval(swap, 2, key, key + ".aside")
            if name.startswith("dead"):
                world.push("no json")  # only who dies needs it
            if name == "limits":
                world.daemon.send(signal.SIGHUP)  # they are told again; scripts read them only where workers differ
            wait_until(lambda: any(key in e["message"] for e in world.daemon.events_named("redis_error")), 15,
                       world.daemon.process.tail)
            db.eval(back, 2, key, key + ".aside")
            if name.startswith("dead"):
                [letter] = wait_until(lambda: db.hkeys(world.key("dead:entries")), 20, world.state)
                assert dray("dead", "drop", QUEUE, letter.decode(), "-c", world.daemon.path, "--yes").returncode == 0
        under_load(world, server, peer, fault)
