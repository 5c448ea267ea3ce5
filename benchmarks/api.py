"""The tests' API server with a generated cluster: ``python -m benchmarks.api SERVICES``.

Writes its URL when it listens.  Then each line of its input is an order, answered with a line:
``add N`` creates Service N, ``churn R`` changes R slices a second from now on.
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.cluster import Cluster
from benchmarks.load import CLIENT_CORE, pinned
from svcdns.kube.objects import Kind
from tests.support.apiserver import FakeApiServer
from tests.support.apistate import ApiState

TICK = 0.02
"""Seconds between two bursts of changes."""


class ApiProcess:
    """This module as a process beside the caller's."""

    def __init__(self, services: int) -> None:
        self._process = subprocess.Popen(
            pinned(CLIENT_CORE, [sys.executable, "-m", "benchmarks.api", str(services)]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

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


class Api:
    """A server and what is asked of it."""

    def __init__(self, services: int) -> None:
        self._cluster = Cluster(services)
        self._server = FakeApiServer(ApiState(window=100_000))
        self._changes = 0
        self._lists: dict[str, list[dict[str, Any]]] = {}
        for kind, body in self._cluster.lists().items():
            self._lists[kind] = json.loads(body)["items"]
            for found in self._lists[kind]:
                self._server.state.put({"kind": kind, **found})

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        async with self._server:
            _say(self._server.url)
            while line := await loop.run_in_executor(None, sys.stdin.readline):
                order, number = line.split()
                if order == "add":
                    self._add(int(number))
                else:
                    churn = asyncio.create_task(self._churn(int(number)))
                    churn.add_done_callback(lambda task: task.exception())
                _say("done")

    def _add(self, number: int) -> None:
        cluster = Cluster(number + 1)
        self._server.state.put({"kind": str(Kind.SERVICE), **cluster.service(number)})

    async def _churn(self, rate: int) -> None:
        slices = self._lists[str(Kind.ENDPOINT_SLICE)]
        while True:
            for _ in range(int(rate * TICK)):
                self._changes += 1
                piece = slices[self._changes % len(slices)]
                piece["endpoints"][0]["conditions"]["ready"] = self._changes % 2 == 0
                self._server.state.put({"kind": str(Kind.ENDPOINT_SLICE), **piece})
            await asyncio.sleep(TICK)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(Api(int(sys.argv[1])).run())
