"""NSD and Knot DNS as processes, with one zone each to transfer from or to them."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode
import pytest

from tests.support.waiting import eventually

PLACES = "/usr/sbin:/sbin"
NSD = shutil.which("nsd") or shutil.which("nsd", path=PLACES)
KNOTD = shutil.which("knotd") or shutil.which("knotd", path=PLACES)
KNOTC = shutil.which("knotc") or shutil.which("knotc", path=PLACES)
needs_nsd = pytest.mark.skipif(not NSD, reason="nsd is not installed")
needs_knot = pytest.mark.skipif(not KNOTD or not KNOTC, reason="knot is not installed")

ZONE = """\
$ORIGIN example.org.
$TTL 60
@ SOA ns hostmaster {serial} 3600 600 86400 60
@ NS ns
ns A 10.0.0.1
web A 10.0.0.{serial}
"""

NSD_CONF = """\
server:
    ip-address: 127.0.0.1@{port}
    username: ""
    chroot: ""
    server-count: 1
    zonesdir: {folder}
    database: ""
    pidfile: {folder}/nsd.pid
    xfrdfile: {folder}/xfrd
    zonelistfile: {folder}/zones
    xfrdir: {folder}
    logfile: {folder}/log
    rrl-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: example.org
    zonefile: {folder}/zone
    {more}
"""


KNOT_CONF = """\
server:
    listen: 127.0.0.1@{port}
    rundir: {folder}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {folder}
log:
  - target: {folder}/log
    any: info
remote:
  - id: ours
    address: 127.0.0.1@{ours}
acl:
  - id: anybody
    address: 127.0.0.1
    action: [transfer, notify]
template:
  - id: default
    storage: {folder}
zone:
  - domain: example.org
    file: zone
    acl: anybody
    {more}
"""


def _configured(folder: Path, conf: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "conf"
    path.write_text(conf)
    return path


@contextlib.asynccontextmanager
async def _running(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 60)


@contextlib.asynccontextmanager
async def nsd(folder: Path, port: int, *more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run NSD with ``folder/zone``, and *more* lines about it."""
    conf = NSD_CONF.format(port=port, folder=folder, more="\n    ".join(more))
    async with _running(str(NSD), "-d", "-c", str(_configured(folder, conf))) as process:
        yield process


@contextlib.asynccontextmanager
async def knot(folder: Path, port: int, ours: int, more: str) -> AsyncIterator[None]:
    """Run Knot DNS with ``folder/zone``; the remote ``ours`` is our server's port."""
    conf = KNOT_CONF.format(folder=folder, port=port, ours=ours, more=more)
    async with _running(str(KNOTD), "-c", str(_configured(folder, conf))):
        yield


async def knotc(folder: Path, *words: str) -> None:
    process = await asyncio.create_subprocess_exec(
        str(KNOTC), "-c", str(folder / "conf"), *words,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await asyncio.wait_for(process.wait(), 60) == 0, words


async def web(port: int, seconds: float = 30.0) -> str:
    """Ask for the one name; empty when there is no such answer."""
    query = dns.message.make_query("web.example.org", "A")
    try:
        found = await dns.asyncquery.udp(query, "127.0.0.1", port=port, timeout=seconds)
    except (OSError, dns.exception.Timeout):
        return ""
    if found.rcode() != dns.rcode.NOERROR or not found.answer:
        return ""
    return str(found.answer[0][0])


async def until_web(port: int, address: str) -> None:
    async def is_so() -> bool:
        return await web(port, 1.0) == address

    await eventually(is_so, 60)
