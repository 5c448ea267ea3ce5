"""What this process lends to a configuration."""

import logging
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path

from svcdns.aio.interfaces import interfaces
from svcdns.aio.processors import processors
from svcdns.metrics import Registry
from svcdns.plugins.base import Ask
from svcdns.plugins.build import Environment
from svcdns.plugins.clusters import Clusters

log = logging.getLogger(__name__)


def environment(
    registry: Registry,
    clusters: Clusters,
    *,
    write: Callable[[str], None],
    spawn: Callable[[Ask], None],
    kin: str = "",
    warn: Callable[[str], None] | None = None,
    alike: Callable[[str], None] | None = None,
) -> Environment:
    """Make the environment of a server in this process.

    Args:
        registry: Counts.
        clusters: Outlive the configuration.
        write: Puts one line into the log.
        spawn: Carries out what nobody waits for.
        kin: Random text that only the processes of this server know.
        warn: Takes what is odd about the configuration; by default the log.
        alike: Takes lines that every process of this server has to say; by default *write*.
    """
    return Environment(
        registry=registry,
        clusters=clusters,
        read=lambda path: Path(path).read_bytes(),
        random=random.random,
        clock=time.monotonic,
        wall=time.time,
        warn=warn or _warn,
        write=write,
        panic=_panic,
        spawn=spawn,
        interfaces=interfaces(),
        hostname=socket.gethostname(),
        processors=processors(),
        kin=kin,
        alike=alike,
    )


def _warn(text: str) -> None:
    log.warning("%s", text)


def _panic(question: str, error: Exception) -> None:
    log.error("a plugin failed over %s", question, exc_info=error)
