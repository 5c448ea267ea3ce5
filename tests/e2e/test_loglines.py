"""Log lines as CoreDNS writes them, byte for byte but for the duration (corefile-features f)."""

import re
import socket
from pathlib import Path

import dns.asyncquery
import dns.message
import pytest

from tests.support.ports import free_port
from tests.support.process import Running, running
from tests.support.resolver import Resolver, Step

DURATION = re.compile(r" \d+(\.\d{1,9})?s$")
"""Go's strconv.FormatFloat(…, 'f', -1, 64)."""

COREFILE = """\
. {{
    log{log}
    errors
    hosts {{
        192.0.2.7 a.example b.Example
        2001:db8::7 a.example
    }}
}}
"""


async def line_of(
    server: Running, query: dns.message.Message, *, tcp: bool = False, six: bool = False
) -> str:
    """Ask from a known port; give the line with its duration checked and taken off."""
    host = "::1" if six else "127.0.0.1"
    port = free_port()
    exchange = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    await exchange(query, host, port=server.port, source=host, source_port=port, timeout=30)
    shown = f"[{host}]:{port}" if six else f"{host}:{port}"
    await server.says(shown)
    (line,) = [line for line in server.lines if shown in line]
    assert DURATION.search(line), line
    return DURATION.sub("", line).replace(shown, "CLIENT")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, '[INFO] CLIENT - 4711 "A IN a.example. udp 27 false 512" NOERROR qr,aa,rd 52'),
        ({"tcp": True}, '[INFO] CLIENT - 4711 "A IN a.example. tcp 27 false 65535" NOERROR qr,aa,rd 52'),
        ({"six": True}, '[INFO] CLIENT - 4711 "A IN a.example. udp 27 false 512" NOERROR qr,aa,rd 52'),
        (
            {"use_edns": 0, "payload": 1400, "want_dnssec": True},
            '[INFO] CLIENT - 4711 "A IN a.example. udp 38 true 1400" NOERROR qr,aa,rd 52',
        ),
        ({"name": "B.eXample"}, '[INFO] CLIENT - 4711 "A IN b.example. udp 27 false 512" NOERROR qr,aa,rd 52'),
        ({"rrtype": "AAAA"}, '[INFO] CLIENT - 4711 "AAAA IN a.example. udp 27 false 512" NOERROR qr,aa,rd 64'),
        ({"rrtype": "TYPE65400"}, '[INFO] CLIENT - 4711 "TYPE65400 IN a.example. udp 27 false 512" NOERROR qr,aa,rd 27'),
    ],
)  # fmt: skip
async def test_queries_are_lines_in_the_common_format(
    tmp_path: Path, settings: dict[str, object], expected: str
) -> None:
    (tmp_path / "Corefile").write_text(COREFILE.format(log=""))
    how = dict(settings)
    name, rrtype = how.pop("name", "a.example"), how.pop("rrtype", "A")
    tcp, six = bool(how.pop("tcp", False)), bool(how.pop("six", False))
    query = dns.message.make_query(str(name), str(rrtype), id=4711, **how)  # type: ignore[arg-type]
    async with running(tmp_path / "Corefile") as server:
        assert await line_of(server, query, tcp=tcp, six=six) == expected


async def test_formats_and_classes_are_the_corefiles(tmp_path: Path) -> None:
    form = "{remote} {>opcode} {type}/{class} {name} {>rflags} {unknown} {/meta/none} {proto}"
    rule = f' example. "{form}" {{\n        class error\n    }}'
    (tmp_path / "Corefile").write_text(COREFILE.format(log=rule))
    async with running(tmp_path / "Corefile") as server:
        for name in ("a.example.", "gone.example.", "gone.other."):
            await server.ask(name)
        assert await server.end() == 0

    lines = [line for line in server.lines if line.startswith("[INFO] 127.0.0.1")]
    assert lines == ["[INFO] 127.0.0.1 0 A/IN gone.example. - {unknown} - udp"]


async def test_errors_of_upstreams_are_lines_of_errors(tmp_path: Path) -> None:
    """Corefile-features f: `<rcode-int> <qname> <TYPE>: <message>`."""
    path = tmp_path / "Corefile"
    async with Resolver([Step(drop=True)] * 9) as resolver:
        path.write_text(
            f". {{\n    errors\n    forward . 127.0.0.1:{resolver.port} {{\n"
            "        max_connect_attempts 1\n        read_timeout 200ms\n    }\n}\n"
        )
        async with running(path) as server:
            await server.ask("www.Example.")
            await server.says("[ERROR]")
            (line,) = [line for line in server.lines if line.startswith("[ERROR]")]

    expected = (
        r"\[ERROR\] plugin/errors: 2 www\.[Ee]xample\. A: read udp 127\.0\.0\.1:\d+->"
        rf"127\.0\.0\.1:{resolver.port}: i/o timeout"
    )
    assert re.fullmatch(expected, line), line


async def test_a_refused_connection_is_told_as_go_does(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        (tmp_path / "Corefile").write_text(
            f". {{\n    errors\n    forward . 127.0.0.1:{port} {{\n        force_tcp\n"
            "        max_connect_attempts 1\n    }\n}\n"
        )
        async with running(tmp_path / "Corefile") as server:
            await server.ask("www.example.")
            await server.says(
                "[ERROR] plugin/errors: 2 www.example. A: "
                f"dial tcp 127.0.0.1:{port}: connect: connection refused"
            )
