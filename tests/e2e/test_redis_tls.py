"""rediss://: refused where it is configured if this build has no TLS (Debian 12); where it has, orders go through it, and the
files it names are read again at the next connection."""

import functools
import os
import subprocess

import pytest

from lib.daemon import ini
from lib.fates import none_doubled
from lib.process import dray
from lib.redis_server import RedisServer, free_port
from lib.wait import wait_until
from lib.world import QUEUE, World, created

SCRIPT = """set -e
exec 2>/dev/null
for n in 1 2; do
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority$n -keyout ca$n.key -out ca$n.crt
    openssl req -newkey rsa:2048 -nodes -subj /CN=server -keyout server$n.key -out server$n.csr
    echo subjectAltName=DNS:localhost,IP:127.0.0.1 >ext
    openssl x509 -req -in server$n.csr -CA ca$n.crt -CAkey ca$n.key -CAcreateserial -days 2 -extfile ext -out server$n.crt
done
"""


def check(path, **redis):
    path.write_text(ini({"redis": redis, "account shop": {"provider": "kakaclo-v2", "queue": QUEUE, "token": "t"}}))
    return dray("config", "check", "-c", path)


@functools.cache
def has_tls():
    return dray("config", "check", "-c", "/dev/stdin", input=b"[redis]\nurl = rediss://localhost\n[account a]\nprovider = kakaclo-v2\n"
                b"queue = q\ntoken = t\n").returncode == 0


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two authorities (ca1.crt, ca2.crt), a certificate of each for this machine (server1.crt, server1.key, …)."""
    if not has_tls():
        pytest.skip("this build has no TLS to Redis: hiredis is too old")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["sh", "-c", SCRIPT], cwd=folder, check=True)
    return folder


def test_a_build_without_tls_says_so_before_it_starts(tmp_path):
    done = check(tmp_path / "dray.ini", url="rediss://localhost:6379")
    if has_tls():
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 2 and b"[redis] url: rediss:// needs hiredis" in done.stdout, done
    ran = dray("run", "-c", tmp_path / "dray.ini")
    assert ran.returncode == 2 and b"hiredis" in ran.stderr


def server_with(files, n):
    return RedisServer(port=False, tls_port=free_port(), tls_cert_file=files / f"server{n}.crt", tls_key_file=files / f"server{n}.key",
                       tls_ca_cert_file=files / f"ca{n}.crt", tls_auth_clients="no")


def world_of(server, peer, trusted):
    url = f"rediss://localhost:{server.options['tls-port']}"
    world = World(server, peer, config_redis={"url": url, "tls_ca": trusted}, worker={"lease": "6s"})
    peer.default = lambda request: created(world.provider, request)
    return world


def trust(path, *authorities):
    text = b"".join(a.read_bytes() for a in authorities)
    path.with_suffix(".new").write_bytes(text)
    os.rename(path.with_suffix(".new"), path)


def certify(server, files, n):
    """From now on the server shows this certificate."""
    server.client.execute_command("CONFIG", "SET", "tls-ca-cert-file", str(files / f"ca{n}.crt"), "tls-cert-file",
                                  str(files / f"server{n}.crt"), "tls-key-file", str(files / f"server{n}.key"))


def cut_all(server):
    for c in server.client.client_list():
        if c["name"]:
            server.client.client_kill_filter(_id=c["id"])


def test_the_authority_is_changed_first(files, peer, tmp_path):
    trusted = tmp_path / "trusted.crt"
    trust(trusted, files / "ca1.crt")
    with server_with(files, 1) as server, world_of(server, peer, trusted) as world:
        world.alive()
        trust(trusted, files / "ca1.crt", files / "ca2.crt")
        world.daemon.wait_event("reloaded")
        certify(server, files, 2)
        cut_all(server)
        for _ in range(3):
            world.alive()
        assert not [e for e in world.daemon.events if "certificate" in str(e)]
        none_doubled(peer)


def test_the_authority_comes_late(files, peer, tmp_path):
    """The server has its new certificate first: it is refused until the file knows its authority; nothing is to be restarted."""
    trusted = tmp_path / "trusted.crt"
    trust(trusted, files / "ca1.crt")
    with server_with(files, 1) as server, world_of(server, peer, trusted) as world:
        world.alive()
        certify(server, files, 2)
        cut_all(server)
        wait_until(lambda: [e for e in world.daemon.events_named("redis_down") if "certificate" in e["message"]], 15, "the refusal")
        world.send("waits")
        trust(trusted, files / "ca2.crt")
        assert world.result()["id"] == "waits"
        none_doubled(peer)
