"""Zones to and from Knot DNS, and primaries that break off, say nothing or never end."""

import asyncio
import contextlib
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import dns.message
import dns.rcode
import dns.rrset
import pytest

from tests.support.nameservers import ZONE, knot, knotc, needs_knot, until_web, web
from tests.support.ports import free_port
from tests.support.process import running


@needs_knot
async def test_a_zone_comes_from_knot_and_again_when_it_is_edited(tmp_path: Path) -> None:
    theirs = free_port()
    corefile = tmp_path / "Corefile"
    corefile.write_text(
        f"example.org {{\n secondary {{\n  transfer from 127.0.0.1:{theirs}\n }}\n}}\n"
    )
    folder = tmp_path / "knot"
    folder.mkdir()
    (folder / "zone").write_text(ZONE.format(serial=7))
    async with running(corefile) as server, knot(folder, theirs, server.port, "notify: ours"):
        await until_web(server.port, "10.0.0.7")
        (folder / "zone").write_text(ZONE.format(serial=8))
        await knotc(folder, "zone-reload", "example.org")
        await until_web(server.port, "10.0.0.8")
        await server.says("Notify from 127.0.0.1 for example.org.: checking transfer")
        await knotc(folder, "zone-notify", "example.org")
        await server.says("Notify from 127.0.0.1 for example.org.: no SOA serial increase seen")


@needs_knot
async def test_knot_takes_our_zone_and_hears_when_it_changes(tmp_path: Path) -> None:
    """It asks with IXFR first, and is answered with the whole zone (rule H3)."""
    theirs = free_port()
    zone = tmp_path / "zone"
    zone.write_text(ZONE.format(serial=7))
    corefile = tmp_path / "Corefile"
    corefile.write_text(
        f"example.org {{\n file {zone} {{\n  reload 100ms\n }}\n"
        f" transfer {{\n  to 127.0.0.1:{theirs}\n }}\n}}\n"
    )
    async with (
        running(corefile) as server,
        knot(tmp_path / "knot", theirs, server.port, "master: ours"),
    ):
        await until_web(theirs, "10.0.0.7")
        zone.write_text(ZONE.format(serial=8))
        await until_web(theirs, "10.0.0.8")


async def test_a_zone_goes_on_to_the_next_secondary_with_a_notify(tmp_path: Path) -> None:
    """From a file to a secondary to a secondary of that, all of them svcdns."""
    zone = tmp_path / "zone"
    zone.write_text(ZONE.format(serial=7))
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    second_port, third_port = free_port(), free_port()
    first.write_text(
        f"example.org {{\n file {zone} {{\n  reload 100ms\n }}\n"
        f" transfer {{\n  to 127.0.0.1:{second_port}\n }}\n}}\n"
    )
    async with running(first) as one:
        second.write_text(
            f"example.org:{second_port} {{\n secondary {{\n  transfer from 127.0.0.1:{one.port}\n"
            f" }}\n transfer {{\n  to 127.0.0.1:{third_port}\n }}\n}}\n"
        )
        third.write_text(
            f"example.org:{third_port} {{\n secondary {{\n"
            f"  transfer from 127.0.0.1:{second_port}\n }}\n}}\n"
        )
        async with running(second), running(third):
            await until_web(third_port, "10.0.0.7")
            zone.write_text(ZONE.format(serial=8))
            await until_web(third_port, "10.0.0.8")


Talk = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
SOA = "example.org. 60 IN SOA ns.example.org. host.example.org. 7 3600 600 86400 60"


def framed(query: bytes, *lines: str) -> bytes:
    """One message of a transfer, as dnspython writes it."""
    answer = dns.message.make_response(dns.message.from_wire(query))
    for line in lines:
        owner, ttl, cls, rrtype, rdata = line.split(maxsplit=4)
        answer.answer.append(dns.rrset.from_text(owner, int(ttl), cls, rrtype, rdata))
    wire = answer.to_wire()
    return struct.pack("!H", len(wire)) + wire


async def broken_off(query: bytes, writer: asyncio.StreamWriter) -> None:
    whole = framed(query, SOA, "web.example.org. 60 IN A 10.0.0.7", SOA)
    writer.write(whole[: len(whole) // 2])


async def another_id(query: bytes, writer: asyncio.StreamWriter) -> None:
    whole = framed(query, SOA, "web.example.org. 60 IN A 10.0.0.7", SOA)
    writer.write(whole[:2] + bytes([whole[2] ^ 1]) + whole[3:])


async def no_last_soa(query: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(framed(query, SOA, "web.example.org. 60 IN A 10.0.0.7"))


async def nothing(_query: bytes, _writer: asyncio.StreamWriter) -> None:
    return


async def without_end(query: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(framed(query, SOA))
    number = 0
    while not writer.is_closing():
        number += 1
        many = [f"n{number}-{one}.example.org. 60 IN TXT {'x' * 200}" for one in range(50)]
        writer.write(framed(query, *many))
        await writer.drain()


@pytest.mark.parametrize("talk", [broken_off, another_id, no_last_soa, nothing])
async def test_a_primary_that_does_not_send_a_zone_is_passed_over(
    tmp_path: Path, talk: Talk
) -> None:
    async def hostile(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2), "big")
        await talk(await reader.readexactly(size), writer)
        writer.close()

    zone = tmp_path / "zone"
    zone.write_text(ZONE.format(serial=7))
    honest = tmp_path / "honest"
    honest.write_text(f"example.org {{\n file {zone}\n transfer {{\n  to *\n }}\n}}\n")
    listener = await asyncio.start_server(hostile, "127.0.0.1", 0)
    bad = listener.sockets[0].getsockname()[1]
    async with listener, running(honest) as good:
        corefile = tmp_path / "Corefile"
        corefile.write_text(
            "example.org {\n secondary {\n"
            f"  transfer from 127.0.0.1:{bad} 127.0.0.1:{good.port}\n }}\n}}\n"
        )
        async with running(corefile) as server:
            await until_web(server.port, "10.0.0.7")
            await server.says(f'Failed to transfer `example.org.\' from "127.0.0.1:{bad}"')


async def test_others_are_answered_while_a_primary_sends_without_end(tmp_path: Path) -> None:
    sending = asyncio.Event()

    async def hostile(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2), "big")
        query = await reader.readexactly(size)
        sending.set()
        with contextlib.suppress(ConnectionError):
            await without_end(query, writer)
        writer.close()

    zone = tmp_path / "zone"
    zone.write_text(ZONE.format(serial=7))
    listener = await asyncio.start_server(hostile, "127.0.0.1", 0)
    bad = listener.sockets[0].getsockname()[1]
    async with listener:
        corefile = tmp_path / "Corefile"
        corefile.write_text(
            f"example.net {{\n secondary {{\n  transfer from 127.0.0.1:{bad}\n }}\n}}\n"
            f"example.org {{\n file {zone}\n}}\n"
        )
        async with running(corefile) as server:
            await asyncio.wait_for(sending.wait(), 30)
            for _ in range(20):
                assert await web(server.port) == "10.0.0.7"
            assert (await server.ask("web.example.net.")).rcode() == dns.rcode.SERVFAIL
