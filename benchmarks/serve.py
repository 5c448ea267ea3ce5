"""``svcdns dns`` with its cluster from files: ``python -m benchmarks.serve FOLDER FLAGS...``.

Everything is the product but the transport: FOLDER holds the body of each collection's list, as the
API server would send it.  So no API server takes part in what is measured.
"""

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from svcdns import cli
from svcdns.cli import dns
from svcdns.kube.decode import Garbage, Malformed, read_object, read_page
from svcdns.kube.objects import Kind
from svcdns.kube.source import ApiSource
from svcdns.kube.store import Store
from svcdns.metrics import Registry

BATCH = 500
"""Objects applied between two turns of the loop."""


def feeding(folder: Path) -> Callable[[ApiSource, Store, Registry], Coroutine[Any, Any, None]]:
    """Give a feed that applies the lists in *folder* and then has nothing to say any more."""

    async def feed(source: ApiSource, store: Store, registry: Registry) -> None:
        kinds = [Kind.NAMESPACE, Kind.SERVICE, Kind.ENDPOINT_SLICE]
        store.wanted.update(kinds)
        for kind in kinds:
            page = read_page((folder / f"{kind}.json").read_bytes())
            if isinstance(page, Garbage):
                raise ValueError(page.problem)
            keys = []
            for number, raw in enumerate(page.items):
                found = read_object(kind, raw)
                if isinstance(found, Malformed):
                    raise ValueError(str(found))
                store.apply(found)
                keys.append(found.key)
                if number % BATCH == 0:
                    await asyncio.sleep(0)
            store.replace(kind, keys)
            del page, raw  # a list is not kept, as it is not by who reads it from the API
        gc.freeze()  # as who reads the lists from the API does
        await asyncio.Event().wait()

    return feed


if __name__ == "__main__":
    dns._feed = feeding(Path(sys.argv[1]))  # type: ignore[assignment]  # stands in for the API
    sys.exit(cli.main(["dns", *sys.argv[2:]]))
