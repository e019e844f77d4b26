"""Redis on several servers of a test's own: a cluster, and a primary with replicas and sentinels."""

import threading
import time

import redis
import redis.cluster

from .redis_server import RedisServer, free_port
from .wait import wait_until

SLOTS = 16384


def slot_of(key):
    """CRC-16/XMODEM of the key's hash tag."""
    key = key.encode() if isinstance(key, str) else key
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1:end]
    crc = 0
    for byte in key:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xffff
    return crc % SLOTS


class RedisCluster:
    """Masters that share the slots in equal parts, without replicas. Usable as a context manager."""

    def __init__(self, nodes=3, **options):
        self._client = None
        self.nodes = [RedisServer(cluster_enabled="yes", cluster_port=str(free_port()), cluster_node_timeout="2000",
                                  **options) for _ in range(nodes)]

    def __enter__(self):
        try:
            return self._start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self._client is not None:
            self._client.close()
        for node in self.nodes:
            node.close()

    @property
    def url(self):
        return self.nodes[0].tcp_url

    @property
    def client(self):
        """Finds the node of each key by itself."""
        if self._client is None:
            self._client = redis.cluster.RedisCluster(host="127.0.0.1", port=self.nodes[0].port, socket_timeout=15)
        return self._client

    def _start(self):
        for i, node in enumerate(self.nodes):
            node.start()
            first, end = i * SLOTS // len(self.nodes), (i + 1) * SLOTS // len(self.nodes)
            node.client.execute_command("CLUSTER ADDSLOTSRANGE", first, end - 1)
            node.client.execute_command("CLUSTER SET-CONFIG-EPOCH", i + 1)
            node.id = node.client.execute_command("CLUSTER MYID").decode()
        for node in self.nodes[1:]:
            node.client.execute_command("CLUSTER MEET", "127.0.0.1", self.nodes[0].port,
                                        self.nodes[0].options["cluster-port"])
        wait_until(self._is_well, 20, "the cluster to be well")
        return self

    def _is_well(self):
        for node in self.nodes:
            info = self.info(node)
            if info["cluster_state"] != "ok" or info["cluster_known_nodes"] != str(len(self.nodes)):
                return False
        return True

    @staticmethod
    def info(node):
        raw = node.client.execute_command("CLUSTER INFO")
        if isinstance(raw, dict):
            return {str(k): str(v) for k, v in raw.items()}
        return dict(line.split(":", 1) for line in raw.decode().split() if ":" in line)

    def node_of(self, slot):
        """The one that says it serves the slot."""
        for node in self.nodes:
            for first, last, master in self._ranges(node):
                if first <= slot <= last and master == node.id:
                    return node
        raise AssertionError(f"nobody serves slot {slot}")

    @staticmethod
    def _ranges(node):
        raw = redis.Redis.execute_command(node.client, "CLUSTER SHARDS")
        for shard in raw:
            fields = dict(zip(shard[::2], shard[1::2])) if isinstance(shard, list) else shard
            slots, nodes = fields[b"slots"], fields[b"nodes"]
            for member in nodes:
                member = dict(zip(member[::2], member[1::2])) if isinstance(member, list) else member
                if member[b"role"] == b"master":
                    for first, last in zip(slots[::2], slots[1::2]):
                        yield int(first), int(last), member[b"id"].decode()

    def client_of(self, key):
        return self.node_of(slot_of(key)).client

    def migrate(self, slot, to, pause=0.0):
        """Moves a slot, key by key as redis-cli does it, while clients go on."""
        source = self.node_of(slot)
        assert source is not to
        to.client.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", source.id)
        source.client.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", to.id)
        while True:
            keys = source.client.execute_command("CLUSTER GETKEYSINSLOT", slot, 20)
            if not keys:
                break
            source.client.execute_command("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
            time.sleep(pause)
        for node in (to, source, *self.nodes):
            try:
                node.client.execute_command("CLUSTER SETSLOT", slot, "NODE", to.id)
            except redis.exceptions.ResponseError as error:  # keys were written meanwhile: once more
                if "still hold" not in str(error):
                    raise


class ReplicatedRedis:
    """A primary, replicas, and sentinels that watch it under the name "main"."""

    def __init__(self, replicas=2, sentinels=0, **options):
        self.primary = RedisServer(repl_diskless_sync_delay="0", repl_ping_replica_period="1", **options)
        self.replicas = [RedisServer(repl_diskless_sync_delay="0", repl_ping_replica_period="1", **options)
                         for _ in range(replicas)]
        self.sentinels = [RedisServer() for _ in range(sentinels)]

    def __enter__(self):
        try:
            self.primary.start()
            for replica in self.replicas:
                replica.start()
                replica.client.replicaof("127.0.0.1", self.primary.port)
            wait_until(self._are_linked, 20, "the replicas to be in step")
            for sentinel in self.sentinels:
                self._start_sentinel(sentinel)
            if self.sentinels:
                wait_until(self._sentinels_agree, 20, "the sentinels to know each other")
            return self
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    def close(self):
        for server in [self.primary, *self.replicas, *self.sentinels]:
            server.close()

    def _are_linked(self):
        info = self.primary.client.info("replication")
        online = info["connected_slaves"] == len(self.replicas) and all(
            info[f"slave{i}"]["state"] == "online" for i in range(len(self.replicas)))
        if not online:
            return False
        self.primary.client.set("in-step", 1)  # a replica that is online may not have acknowledged yet
        return self.primary.client.wait(len(self.replicas), 1000) == len(self.replicas) and \
            self.primary.client.delete("in-step")

    def _start_sentinel(self, sentinel):
        path = sentinel.dir + "/sentinel.conf"
        quorum = len(self.sentinels) // 2 + 1
        sentinel.as_sentinel(path, (
            f"sentinel monitor main 127.0.0.1 {self.primary.port} {quorum}\n"
            "sentinel down-after-milliseconds main 3000\nsentinel failover-timeout main 5000\n"))

    def _sentinels_agree(self):
        for sentinel in self.sentinels:
            state = sentinel.client.execute_command("SENTINEL MASTER", "main")
            fields = state if isinstance(state, dict) else dict(zip(state[::2], state[1::2]))
            fields = {(k.decode() if isinstance(k, bytes) else k): v for k, v in fields.items()}
            if int(fields["num-other-sentinels"]) != len(self.sentinels) - 1 or \
               int(fields["num-slaves"]) != len(self.replicas):
                return False
        return True

    def current(self):
        """The server that is master now and takes writes, or None."""
        for server in [self.primary, *self.replicas]:
            if server.process is None or not server.process.running:
                continue
            try:
                if server.client.role()[0] == b"master":
                    return server
            except redis.exceptions.RedisError:
                continue
        return None


class InBackground(threading.Thread):
    """Runs a function; join() raises what it raised."""

    def __init__(self, function, *args, **kwargs):
        super().__init__(daemon=True)
        self._call, self._error = (lambda: function(*args, **kwargs)), None
        self.start()

    def run(self):
        try:
            self._call()
        except BaseException as error:  # handed on by join()
            self._error = error

    def join(self, timeout=60):
        super().join(timeout)
        assert not self.is_alive(), "the background work hangs"
        if self._error is not None:
            raise self._error
