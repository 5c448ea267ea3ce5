"""Zones to and from NSD: transferred, announced, and transferred again."""

import asyncio
import signal
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode

from tests.support.nameservers import ZONE, needs_nsd, nsd, until_web, web
from tests.support.ports import free_port
from tests.support.process import running

pytestmark = needs_nsd


async def test_a_zone_comes_from_nsd_and_comes_again_when_nsd_says_so(tmp_path: Path) -> None:
    theirs = free_port()
    corefile = tmp_path / "Corefile"
    corefile.write_text(
        f"example.org {{\n secondary {{\n  transfer from 127.0.0.1:{theirs}\n }}\n}}\n"
    )
    folder = tmp_path / "nsd"
    folder.mkdir()
    (folder / "zone").write_text(ZONE.format(serial=7))
    async with running(corefile) as server:
        assert (await server.ask("web.example.org.")).rcode() == dns.rcode.SERVFAIL
        more = (
            "provide-xfr: 127.0.0.1 NOKEY",
            f"notify: 127.0.0.1@{server.port} NOKEY",
        )
        async with nsd(folder, theirs, *more):
            await until_web(server.port, "10.0.0.7")
            await server.says("Transferred: example.org. from 127.0.0.1")
        assert await web(server.port) == "10.0.0.7", "without its primary"
        (folder / "zone").write_text(ZONE.format(serial=8))
        # NSD announces its zones when it starts.
        async with nsd(folder, theirs, *more):
            await until_web(server.port, "10.0.0.8")
            await server.says("Notify from 127.0.0.1 for example.org.: checking transfer")


async def test_nsd_takes_our_zone_and_hears_when_it_changes(tmp_path: Path) -> None:
    theirs = free_port()
    zone = tmp_path / "zone"
    zone.write_text(ZONE.format(serial=7))
    corefile = tmp_path / "Corefile"
    corefile.write_text(
        f"example.org {{\n file {zone} {{\n  reload 100ms\n }}\n"
        f" transfer {{\n  to 127.0.0.1:{theirs}\n }}\n}}\n"
    )
    async with running(corefile) as server:
        more = (
            f"request-xfr: AXFR 127.0.0.1@{server.port} NOKEY",
            "allow-notify: 127.0.0.1 NOKEY",
        )
        async with nsd(tmp_path / "nsd", theirs, *more):
            await until_web(theirs, "10.0.0.7")
            zone.write_text(ZONE.format(serial=8))
            await until_web(theirs, "10.0.0.8")
        await server.says('Sent notifies for zone "example.org." to [127.0.0.1:')


async def test_no_query_is_lost_when_the_configuration_changes_and_the_primary_is_gone(
    tmp_path: Path,
) -> None:
    zone, primary, corefile = (tmp_path / name for name in ("zone", "primary", "Corefile"))
    zone.write_text(ZONE.format(serial=7))
    primary.write_text(f"example.org {{\n file {zone}\n transfer {{\n  to *\n }}\n}}\n")
    async with running(primary) as theirs:
        text = f"example.org {{\n secondary {{\n  transfer from 127.0.0.1:{theirs.port}\n }}\n}}\n"
        corefile.write_text(text)
        async with running(corefile) as server:
            await until_web(server.port, "10.0.0.7")
            await theirs.end()
            corefile.write_text(text + "example.net {\n whoami\n}\n")
            server.process.send_signal(signal.SIGUSR1)
            async with asyncio.timeout(30):
                while not any("Reloading complete" in line for line in server.lines):
                    assert await web(server.port) == "10.0.0.7"
            for _ in range(20):
                assert await web(server.port) == "10.0.0.7"
