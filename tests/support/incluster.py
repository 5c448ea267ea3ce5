"""The fake API server as a Pod meets it: TLS by the cluster's authority, a bearer token.

``python -m tests.support.incluster DIRECTORY PORT OBJECTS.yaml`` makes the files of a service
account in ``DIRECTORY/serviceaccount`` and serves the objects until it is ended.
"""

import asyncio
import shutil
import sys
from pathlib import Path

from svcdns.kube.objects import Kind
from tests.support.apiserver import FakeApiServer, read_objects
from tests.support.certificates import authority

TOKEN = "a-service-accounts-token"


async def serve(directory: Path, port: int, objects: Path) -> None:
    found = authority(directory, "kubernetes")
    account = directory / "serviceaccount"
    account.mkdir(exist_ok=True)
    shutil.copy(found.authority, account / "ca.crt")
    (account / "token").write_text(TOKEN)
    (account / "namespace").write_text("kube-system")
    server = FakeApiServer(context=found.server_context())
    server.port = port
    server.tokens = {TOKEN}
    for one in read_objects(objects):
        if one["kind"] in set(Kind):
            server.state.put(one)
    async with server:
        (directory / "serving").touch()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
