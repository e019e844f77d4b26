"""Redis's password in a file that is changed while the worker runs: read again, and used from the next connection on."""

import contextlib
import os
import signal

from lib.fates import none_doubled
from lib.redis_server import RedisServer
from lib.wait import wait_until
from lib.world import World, created


def rotate(path, text):
    with open(path + ".new", "w") as f:
        f.write(text)
    os.rename(path + ".new", path)


def cut_all(server):
    for c in server.client.client_list():
        if c["name"]:
            server.client.client_kill_filter(_id=c["id"])


@contextlib.contextmanager
def a_user(peer, **secret):
    """A Redis that knows the user `dray` by the password `old`, and a worker that is this user."""
    with RedisServer() as server:
        acl = server.client.execute_command
        acl("ACL", "SETUSER", "dray", "on", ">old", "~*", "&*", "+@all")
        with World(server, peer, config_redis={"username": "dray", **secret}, worker={"lease": "6s"}) as world:
            peer.default = lambda request: created(world.provider, request)
            yield server, acl, world


def test_the_password_file_is_rotated(peer, tmp_path):
    """Old and new are valid for a while, as when users are rotated; then the connections are cut and the old one is gone."""
    path = str(tmp_path / "password")
    rotate(path, "old\n")
    with a_user(peer, password_file=path) as (server, acl, world):
        world.alive()
        acl("ACL", "SETUSER", "dray", ">new")
        rotate(path, "new\n")
        world.daemon.wait_event("reloaded")
        assert not world.daemon.events_named("restart_needed")
        acl("ACL", "SETUSER", "dray", "<old")
        cut_all(server)
        for _ in range(3):
            world.alive()
        assert not [e for e in world.daemon.events if "WRONGPASS" in str(e)]
        wait_until(lambda: any(c["cmd"] == "blmove" and c["user"] == "dray" for c in server.client.client_list()), 10,
                   "the pick-up's connection, with the new password")
        none_doubled(peer)


def test_the_new_password_comes_late(peer, tmp_path):
    """Redis has the new one first: refused, until the file has it; nothing is to be restarted."""
    path = str(tmp_path / "password")
    rotate(path, "old\n")
    with a_user(peer, password_file=path) as (server, acl, world):
        acl("ACL", "SETUSER", "dray", "<old", ">new")
        cut_all(server)
        wait_until(lambda: [e for e in world.daemon.events_named("redis_down") if "WRONGPASS" in e["message"]], 15,
                   "the refusal")
        world.send("waits")
        rotate(path, "new\n")
        assert world.result()["id"] == "waits"
        none_doubled(peer)


def test_a_password_in_the_file_itself_and_hup(peer):
    with a_user(peer, password="old") as (server, acl, world):
        acl("ACL", "SETUSER", "other", "on", ">new", "~*", "&*", "+@all")
        world.config["redis"].update(username="other", password="new")
        world.daemon.set_config(world.config)
        world.daemon.send(signal.SIGHUP)
        world.daemon.wait_event("reloaded")
        acl("ACL", "DELUSER", "dray")  # which cuts its connections
        world.alive()
        assert {c["user"] for c in server.client.client_list() if c["name"]} == {"other"}
        none_doubled(peer)
