import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml

from svcdns.aio import connection as module
from svcdns.aio import credentials
from svcdns.aio.apiserver import ClientMetrics
from svcdns.aio.connection import Connection
from svcdns.errors import ApiError, ApiUnavailable, CredentialsError
from svcdns.kube.source import ApiSource
from svcdns.metrics import Registry
from tests.support.apiserver import FakeApiServer
from tests.support.feeding import Lines, recording

SERVICES = "/api/v1/services"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RELOAD_SECONDS", 0.0)


@asynccontextmanager
async def connection(kubeconfig: Path) -> AsyncIterator[tuple[Connection, Lines]]:
    log, lines = recording()
    made = Connection(
        ApiSource(kinds=(), kubeconfig=str(kubeconfig)),
        ClientMetrics(Registry(), ""),
        log,
        time.monotonic,
        {},
        Path("/nonexistent"),
    )
    try:
        yield made, lines
    finally:
        await made.close()


def write(directory: Path, url: str, token: str) -> Path:
    named = {"name": "x"}
    path = directory / "config"
    path.write_text(yaml.safe_dump({
        "current-context": "x",
        "contexts": [{**named, "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{**named, "cluster": {"server": url}}],
        "users": [{**named, "user": {"token": token}}],
    }))  # fmt: skip
    return path


async def ask(made: Connection) -> bytes:
    async with made.get(SERVICES, (), lambda: time.monotonic() + 10) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_reloading_uses_what_the_files_hold_now(tmp_path: Path) -> None:
    async with FakeApiServer() as fake:
        fake.tokens = {"new"}
        async with connection(write(tmp_path, fake.url, "old")) as (made, lines):
            await made.open()
            assert made.url == fake.url
            with pytest.raises(ApiError, match="401 Unauthorized"):
                await ask(made)
            write(tmp_path, fake.url, "new")
            await made.reload()
            assert b"ServiceList" in await ask(made)
            assert lines.lines == []


async def test_a_stream_outlives_the_credentials_it_began_with(tmp_path: Path) -> None:
    async with FakeApiServer() as fake, connection(write(tmp_path, fake.url, "t")) as (made, _):
        await made.open()
        watching = (("watch", "true"), ("resourceVersion", "100"))
        async with made.get(SERVICES, watching, lambda: time.monotonic() + 10) as chunks:
            await made.reload()
            fake.send(b"line\n")
            assert await anext(chunks) == b"line\n"


async def test_credentials_that_cannot_be_reloaded_stay(tmp_path: Path) -> None:
    async with FakeApiServer() as fake:
        path = write(tmp_path, fake.url, "t")
        async with connection(path) as (made, lines):
            await made.open()
            path.write_text("broken: [")
            await made.reload()
            assert b"ServiceList" in await ask(made)
            (line,) = lines.lines
            assert line.startswith("ERROR credentials cannot be read again, the old ones stay: ")


async def test_at_start_they_end_everything(tmp_path: Path) -> None:
    async with connection(tmp_path / "none") as (made, _):
        with pytest.raises(CredentialsError, match="no such file"):
            await made.open()
        with pytest.raises(ApiUnavailable, match="the connection is closed"):
            await ask(made)


async def test_the_wishes_of_several_kinds_are_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RELOAD_SECONDS", 60.0)
    loads: list[ApiSource] = []
    load = credentials.load

    async def counting(source: ApiSource, *rest: object, **more: object) -> object:
        loads.append(source)
        return await load(source, *rest, **more)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(module, "load", counting)
    async with connection(write(tmp_path, "http://127.0.0.1:1", "t")) as (made, _):
        await made.open()
        made._loaded -= 61
        await asyncio.gather(made.reload(), made.reload(), made.reload())
    assert len(loads) == 2
