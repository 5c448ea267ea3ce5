"""The tests' API server with a generated cluster: ``python -m benchmarks.api SERVICES``.

Writes its URL when it listens.  Then each line of its input is an order, answered with a line:
``add N`` creates Service N, ``serve N`` creates it with its slice, ``swap N K`` gives it the new
endpoint K in place of one it has, ``churn R`` changes R slices a second from now on, ``stir R``
swaps R endpoints a second from now on, ``relist 0`` has every client list everything again.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cluster import Balanced, Cluster
from benchmarks.load import CLIENT_CORE, pinned
from svcdns.kube.objects import Kind
from tests.support.apiserver import FakeApiServer
from tests.support.apistate import ApiState

TICK = 0.02
"""Seconds between two bursts of changes."""

LEFT_ALONE = 20
"""Services that ``stir`` does not touch: a swap there is not overtaken by the next one."""

BURST = 50
"""Changes of ``stir`` between two looks at what else is asked."""

BUNCH = 100
"""Objects that are written at once."""

STIRRED_FROM = 100_000
"""Number of the first endpoint that ``stir`` makes."""


class ApiProcess:
    """This module as a process beside the caller's."""

    def __init__(self, services: int, *, enter: Sequence[str] = (), balanced: bool = False) -> None:
        """Start it.

        Args:
            services: Size of the cluster.
            enter: Command prefix, for another network namespace.
            balanced: Whether every Service has a cluster IP.
        """
        command = [*enter, sys.executable, "-m", "benchmarks.api", str(services)]
        self._process = subprocess.Popen(
            pinned(CLIENT_CORE, [*command, "balanced"] if balanced else command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    @property
    def pid(self) -> int:
        return self._process.pid

    def order(self, text: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()
        self._process.stdout.readline()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class _Ready(ApiState):
    """Has the beginning of a stream at hand, as octets.

    A server in Go on a machine of its own sends a cluster in tenths of a second.  Writing its JSON
    anew would take seconds here, of a processor that whoever asks for names needs as well.
    """

    def __init__(self) -> None:
        super().__init__(window=100_000)
        self._beginnings: dict[tuple[str, str], tuple[int, list[bytes]]] = {}

    def initial(self, kind: Kind, query: Mapping[str, str]) -> list[bytes]:
        key = (str(kind), query.get("labelSelector", ""))
        version, pieces = self._beginnings.get(key, (0, []))
        if version != self.version:
            lines = super().initial(kind, query)
            bunches = range(0, len(lines) - 1, BUNCH)
            pieces = [b"".join(lines[at : min(at + BUNCH, len(lines) - 1)]) for at in bunches]
            pieces.append(lines[-1])
            self._beginnings[key] = (self.version, pieces)
        return pieces


class Api:
    """A server and what is asked of it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._server = FakeApiServer(_Ready())
        self._changes = 0
        self._lists: dict[str, list[dict[str, Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        for kind, body in self._cluster.lists().items():
            self._lists[kind] = json.loads(body)["items"]
            for found in self._lists[kind]:
                self._server.state.put({"kind": kind, **found})

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        async with self._server:
            _say(self._server.url)
            while line := await loop.run_in_executor(None, sys.stdin.readline):
                order, *numbers = line.split()
                match order, [int(one) for one in numbers]:
                    case "add", [number]:
                        self._put(Kind.SERVICE, self._cluster.service(number))
                    case "serve", [number]:
                        self._put(Kind.ENDPOINT_SLICE, self._cluster.slice(number))
                        self._put(Kind.SERVICE, self._cluster.service(number))
                    case "swap", [number, new]:
                        self._swap(number, new)
                    case "churn", [rate]:
                        self._background(self._churn(rate))
                    case "stir", [rate]:
                        self._background(self._stir(rate))
                    case "relist", [0]:
                        self._server.gone()
                    case _:
                        raise ValueError(f"no such order: {line}")
                _say("done")

    def _put(self, kind: Kind, found: dict[str, Any]) -> None:
        self._server.state.put({"kind": str(kind), **found})

    def _swap(self, number: int, new: int) -> None:
        piece = self._lists[str(Kind.ENDPOINT_SLICE)][number]
        endpoints = piece["endpoints"]
        at = self._changes % len(endpoints)
        self._changes += 1
        endpoints[at] = {**endpoints[at], "addresses": [Cluster.newcomer(new)]}
        self._put(Kind.ENDPOINT_SLICE, piece)

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(lambda done: done.exception())

    async def _stir(self, rate: int) -> None:
        loop = asyncio.get_running_loop()
        busy = len(self._lists[str(Kind.ENDPOINT_SLICE)]) - LEFT_ALONE
        began, done = loop.time(), 0
        while True:
            while done < rate * (loop.time() - began):
                done += 1
                self._swap(LEFT_ALONE + done % busy, STIRRED_FROM + done)
                if done % BURST == 0:
                    await asyncio.sleep(0)
            await asyncio.sleep(TICK)

    async def _churn(self, rate: int) -> None:
        slices = self._lists[str(Kind.ENDPOINT_SLICE)]
        while True:
            for _ in range(int(rate * TICK)):
                self._changes += 1
                piece = slices[self._changes % len(slices)]
                piece["endpoints"][0]["conditions"]["ready"] = self._changes % 2 == 0
                self._put(Kind.ENDPOINT_SLICE, piece)
            await asyncio.sleep(TICK)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    size = int(sys.argv[1])
    asyncio.run(Api(Balanced(size) if sys.argv[2:] else Cluster(size)).run())
