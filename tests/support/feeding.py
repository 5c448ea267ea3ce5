"""A feed under test: its store, its log, its metrics."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from svcdns.aio.feed import feed
from svcdns.kube.objects import Kind
from svcdns.kube.source import ApiSource
from svcdns.kube.store import Store
from svcdns.metrics import Registry
from tests.support.waiting import until


class Lines(logging.Handler):
    """Log lines as ``LEVEL text``."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")

    def having(self, *texts: str) -> list[str]:
        return [line for line in self.lines if all(text in line for text in texts)]


def recording() -> tuple[logging.Logger, Lines]:
    """Make a logger that nobody else hears."""
    log, lines = logging.Logger("test"), Lines()
    log.addHandler(lines)
    return log, lines


class Feeding:
    def __init__(self, source: ApiSource) -> None:
        self.source = source
        self.store = Store()
        self.store.wanted = set(source.kinds)
        self.registry = Registry()
        log, self.log = recording()
        self.logger = log
        self.task: asyncio.Task[None] | None = None

    def names(self, kind: Kind = Kind.SERVICE) -> set[str]:
        objects = self.store.services if kind is Kind.SERVICE else self.store.namespaces
        return {name for _, name in objects}

    def value(self, metric: str, *labels: str) -> float:
        (family,) = (one for one in self.registry.collect() if one.name == metric)
        return sum(
            cell.value for key, cell in family.cells.items() if set(labels) <= set(map(str, key))
        )

    async def synced(self) -> None:
        await self.until(lambda: self.store.synced)

    async def until(self, condition: object) -> None:
        """Wait for a condition; a feed that ended is a failure at once."""
        assert callable(condition)
        task = self.task
        await until(lambda: condition() or (task and task.done()))
        if task and task.done():
            task.result()
        assert condition()


def source_of(url: str, *kinds: Kind, **more: object) -> ApiSource:
    return ApiSource(kinds=kinds or (Kind.SERVICE,), endpoint=url, **more)  # type: ignore[arg-type]  # keywords of tests


@asynccontextmanager
async def feeding(
    source: ApiSource,
    *,
    environ: Mapping[str, str] | None = None,
    service_account: Path = Path("/nonexistent"),
) -> AsyncIterator[Feeding]:
    """Run a feed; it is cancelled at the end."""
    under_test = Feeding(source)
    under_test.task = asyncio.create_task(
        feed(
            source,
            under_test.store,
            log=under_test.logger,
            registry=under_test.registry,
            environ=environ or {},
            service_account=service_account,
        )
    )
    try:
        yield under_test
    finally:
        under_test.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await under_test.task
