"""The fake API server as a program of its own, for a network namespace.

Prints its URL; each line on standard input is ``{"put": [objects], "delete": ["Kind/ns/name"]}`` and
is answered by an empty line once every watch has been told.
"""

import asyncio
import json
import sys

from svcdns.kube.objects import Kind
from tests.support.apiserver import FakeApiServer


async def main() -> None:
    loop = asyncio.get_running_loop()
    async with FakeApiServer() as server:
        print(server.url, flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            wanted = json.loads(line)
            for text in wanted.get("delete", ()):
                kind, namespace, name = text.split("/")
                server.state.delete(Kind(kind), namespace, name)
            for one in wanted.get("put", ()):
                server.state.put(one)
            print(flush=True)


asyncio.run(main())
