"""Keeps a store equal to an API server, through whatever happens on the way.

One task per kind; all of them share connections, limits and credentials.  While the server is
away the store stays as it was last known (rule I3).
"""

import asyncio
import logging
import os
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from svcdns.aio.apiserver import ClientMetrics
from svcdns.aio.connection import Connection
from svcdns.aio.credentials import SERVICE_ACCOUNT
from svcdns.aio.listwatch import ListWatch
from svcdns.aio.narrator import Narrator
from svcdns.aio.turns import InLine
from svcdns.kube.reflector import Reflector, backoff
from svcdns.kube.source import ApiSource
from svcdns.kube.store import Store
from svcdns.metrics import Registry


async def feed(
    source: ApiSource,
    store: Store,
    *,
    log: logging.Logger,
    registry: Registry,
    clock: Callable[[], float] = time.monotonic,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
    prefix: str = "coredns_kubernetes_",
) -> None:
    """Run until cancelled.

    Args:
        source: Which server, and what of it.
        store: What to keep equal; nobody else writes the source's kinds.
        log: For what an operator should know.
        registry: Of the client's metrics, and of the age of each kind's copy.
        clock: Gives monotonic seconds.
        environ: The environment variables.
        service_account: Directory of the pod's token and authority.
        prefix: Of the client's metrics; CoreDNS's unless told otherwise, kube-proxy has none.

    Raises:
        CredentialsError: At start, when there is no usable way to a server.  Later on, credentials
            that cannot be read are logged and tried again.
    """
    store.wanted |= set(source.kinds)
    metrics = ClientMetrics(registry, prefix)
    connection = Connection(source, metrics, log, clock, environ, service_account)
    await connection.open()
    reflectors = [Reflector(kind, store, delay=_delay, now=clock()) for kind in source.kinds]
    report = Narrator(store, connection.url, reflectors, log, registry, clock)
    line = InLine()
    works = [ListWatch(one, source, connection, report, clock, line) for one in reflectors]
    for work in works:
        work.others = [one for one in works if one is not work]
    try:
        async with asyncio.TaskGroup() as tasks:
            for reflector, work in zip(reflectors, works, strict=True):
                tasks.create_task(work.run(), name=f"reflector {reflector.kind}")
            tasks.create_task(report.watch_ages(), name="age of the copies")
    finally:
        report.close()
        await connection.close()


def _delay(failures: int) -> float:
    return backoff(failures, random.random())
