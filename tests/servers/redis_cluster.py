from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.process import SECONDS_TO_START, free_port
from tests.servers.redis import Redis

if TYPE_CHECKING:
    from typing_extensions import Self

SLOTS = 16384
NODES = 3
NODE_TIMEOUT = 500
"""Milliseconds after which a node that does not answer has failed for the others."""


class ClusterNode(Redis):
    """A primary of a Cluster, which does not know the others yet."""

    def __init__(self, folder: Path) -> None:
        # Without this option it would be the port + 10000, which may be too high, or taken.
        self.bus_port = free_port()
        options = ["--cluster-enabled", "yes", "--cluster-port", str(self.bus_port)]
        options += ["--cluster-node-timeout", str(NODE_TIMEOUT)]
        super().__init__(folder, *options)
        self._command += ["--cluster-config-file", f"nodes-{self.port}.conf"]

    def knows_all(self) -> bool:
        """Whether it takes commands, and knows where every slot is."""
        info = dict(line.split(":") for line in self.execute("CLUSTER", "INFO").splitlines())
        state = info["cluster_state"], int(info["cluster_known_nodes"]), int(info["cluster_slots_ok"])
        return state == ("ok", NODES, SLOTS)


class RedisCluster:
    """A Redis Cluster of three primaries, each with a third of the slots."""

    def __init__(self, folder: Path) -> None:
        self.nodes = [ClusterNode(folder) for _ in range(NODES)]
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def __enter__(self) -> Self:
        for node in self.nodes:
            node.start()
        bounds = [SLOTS * number // NODES for number in range(NODES + 1)]
        for number, node in enumerate(self.nodes):
            node.execute("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            node.execute("CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
        first, *others = self.nodes
        for node in others:
            first.execute("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus_port)
        self.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()

    def wait(self) -> None:
        """Until all nodes take commands."""
        deadline = time.monotonic() + SECONDS_TO_START
        while not all(node.knows_all() for node in self.nodes):
            assert time.monotonic() < deadline, "the Cluster was not ready in time"
            time.sleep(0.05)

    def flush(self) -> None:
        for node in self.nodes:
            node.execute("FLUSHALL")

    def node_of(self, key: str) -> ClusterNode:
        """The node that has this key."""
        slot = int(self.nodes[0].execute("CLUSTER", "KEYSLOT", key))
        return self.nodes[slot * NODES // SLOTS]
