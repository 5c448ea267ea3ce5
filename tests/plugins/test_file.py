"""Zones from files, as clients see them."""

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from svcdns.dns.response import Record, Response
from svcdns.errors import CorefileError
from svcdns.plugins.base import Context, Failed, Handler, Outcome, Reply, Request, WatchFile
from svcdns.plugins.commands import Transport
from svcdns.plugins.file import File, setup
from svcdns.plugins.slices import finish
from tests.support.examplezone import FILES, TEXT
from tests.support.records import wire_name
from tests.support.serving import Scripted, answer, rows, server_of
from tests.support.setups import context, directives

NS = ["example.org. 60 IN NS ns.example.net.", "example.org. 60 IN NS ns.example.org."]
SOA = ["example.org. 60 IN SOA ns.example.org. hostmaster.example.org. 7 7200 1800 86400 60"]


def make(text: str = "file /db example.org", around: Context | None = None) -> File:
    return finish(setup(directives(text), around or context(files=FILES)))


def elsewhere(request: Request, proceed: Handler) -> Outcome:
    match request.query.name:
        case name if name == wire_name("www.example.net"):
            return Reply(Response(answer=(Record(name, 1, 9, bytes((10, 9, 9, 9))),)))
        case _:
            return Failed(5)


ROWS = [
    ("web.example.org A", "NOERROR", "qr aa rd", ["web.example.org. 60 IN A 10.0.0.3"], NS),
    ("nope.example.org A", "NXDOMAIN", "qr aa rd", [], SOA),
    ("web.example.org MX", "NOERROR", "qr aa rd", [], SOA),
    ("www.example.org MX", "NOERROR", "qr aa rd", ["www.example.org. 60 IN CNAME web.example.org."], SOA),
    ("example.org NS", "NOERROR", "qr aa rd", NS, []),
    ("example.org SOA", "NOERROR", "qr aa rd", SOA, NS),
    ("x.cut.example.org A", "NOERROR", "qr rd", [], ["cut.example.org. 60 IN NS ns.cut.example.org.", "cut.example.org. 60 IN NS ns.example.org."]),
    ("out.example.org A", "NOERROR", "qr aa rd", ["out.example.org. 60 IN CNAME www.example.net.", "www.example.net. 9 IN A 10.9.9.9"], NS),
    ("gone.example.org A", "NXDOMAIN", "qr aa rd", ["gone.example.org. 60 IN CNAME nowhere.example.org."], NS),
    ("example.org AXFR", "REFUSED", "qr rd", [], []),
    ("example.com A", "REFUSED", "qr rd", [], []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rcode", "flags", "found", "authority"), ROWS)
def test_answers(text: str, rcode: str, flags: str, found: list[str], authority: list[str]) -> None:
    got = rows(answer(server_of([make(), Scripted(elsewhere)]), text))

    assert got[:4] == (rcode, flags, found, authority)


def test_missing_names_fall_through_and_names_without_data_do_not() -> None:
    server = server_of([make("file /db example.org {\nfallthrough\n}"), Scripted(elsewhere)])

    assert rows(answer(server, "nope.example.org A"))[0] == "REFUSED"
    assert rows(answer(server, "deep.example.org A"))[0] == "NOERROR"


def test_the_longest_zone_answers_and_blocks_give_their_zones() -> None:
    files = {"/db": TEXT, "/sub": b"$TTL 1\n@ SOA a b 1 2 3 4 5\nx A 10.0.0.99\n"}
    text = "file /db\nfile /sub cut.example.org"
    server = server_of([make(text, context("example.org", files=files))])

    assert rows(answer(server, "x.cut.example.org A"))[2] == ["x.cut.example.org. 1 IN A 10.0.0.99"]
    assert rows(answer(server, "web.example.org A"))[0] == "NOERROR"


def _changed(plugin: File, text: bytes) -> None:
    (need,) = plugin.needs
    _slices(need, text)


def _slices(need: object, text: bytes | None) -> int:
    """Tell a plugin of a file's content; count the slices in which it takes it."""
    assert isinstance(need, WatchFile)
    return len(list(need.changed(text) or ()))


def test_a_new_serial_puts_a_file_in_force_and_ends_stored_answers() -> None:
    said: list[str] = []
    dropped: list[object] = []

    def changed(owners: Iterable[object]) -> None:
        for owner in owners:
            dropped.append(owner)
            server.drop([owner])

    server = server_of([])
    around = replace(context(files=FILES), write=said.append, changed=changed)
    plugin = make(around=around)
    server = server_of([plugin])
    dropped.clear()

    def address() -> list[str]:
        return rows(answer(server, "web.example.org A"))[2]

    assert address() == ["web.example.org. 60 IN A 10.0.0.3"]
    assert len(server.table(Transport.UDP, "1").entries) == 1
    _changed(plugin, TEXT.replace(b"10.0.0.3", b"10.0.0.33"))
    assert address() == ["web.example.org. 60 IN A 10.0.0.3"]
    _changed(
        plugin, TEXT.replace(b"10.0.0.3", b"10.0.0.33").replace(b"hostmaster 7", b"hostmaster 8")
    )
    assert address() == ["web.example.org. 60 IN A 10.0.0.33"]
    _changed(plugin, b"nonsense")
    _changed(plugin, None)  # type: ignore[arg-type]
    assert address() == ["web.example.org. 60 IN A 10.0.0.33"]
    assert len(dropped) == 1
    assert (
        said[0]
        == '[INFO] plugin/file: Successfully reloaded zone "example.org." in "/db" with 8 SOA serial'
    )
    assert said[1].startswith("[ERROR] plugin/file: parsing zone 'example.org.': /db:")


def test_by_mtime_every_change_counts() -> None:
    plugin = make("file /db example.org {\nreload_by_mtime\n}")
    _changed(plugin, TEXT.replace(b"10.0.0.3", b"10.0.0.33"))

    assert rows(answer(server_of([plugin]), "web.example.org A"))[2] == [
        "web.example.org. 60 IN A 10.0.0.33"
    ]


def test_a_missing_file_is_waited_for() -> None:
    warned: list[str] = []
    plugin = make("file /later example.org", context(files=FILES, warn=warned.append))
    server = server_of([plugin])

    assert rows(answer(server, "web.example.org A"))[0] == "SERVFAIL"
    assert "trying again in 60s" in warned[0]
    _changed(plugin, TEXT)
    assert rows(answer(server, "web.example.org A"))[0] == "NOERROR"


def test_paths_start_at_root_and_reload_can_be_off() -> None:
    around = replace(context(files=FILES), root="/zones")
    plugin = make("file db example.org {\nreload 0\n}", around)

    assert plugin.needs == ()
    with pytest.raises(FileNotFoundError):
        make("file later example.org {\nreload 0\n}", around)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file", "Wrong argument count"),
        ("file /bad example.org", "/bad:1"),
        ("file /empty", "0 SOA records"),
        ("file /db example.org {\nnope\n}", "unknown property"),
        ("file /db example.org {\nreload x\n}", "duration"),
    ],
)
def test_what_cannot_be_used_is_refused(text: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message):
        make(text, context(files={**FILES, "/empty": b"", "/bad": b"a b c d\n"}))


def test_a_zone_file_with_an_soa_of_another_name_is_served_with_a_warning() -> None:
    warnings: list[str] = []
    plugin = make("file /db", context(files=FILES, warn=warnings.append))

    assert rows(answer(server_of([plugin]), "nope.example.com A"))[::3] == ("NXDOMAIN", SOA)
    assert warnings == [
        "Corefile:2 - file: /db has the SOA of example.org., not one of .: give the zone behind"
        " the file"
    ]


def test_a_file_that_is_included_is_watched_as_well() -> None:
    files = {
        "/z/db": b"$TTL 9\n$INCLUDE soa\nweb A 10.0.0.1\n",
        "/z/soa": b"@ SOA a b 1 2 3 4 5\n",
    }
    plugin = make("file /z/db example.org", context(files=files))
    own, included = plugin.needs
    assert isinstance(own, WatchFile)
    assert isinstance(included, WatchFile)
    files["/z/soa"] = b"@ SOA a b 2 2 3 4 5\nweb A 10.0.0.2\n"
    _slices(included, files["/z/soa"])
    server = server_of([plugin])

    assert (own.path, included.path) == ("/z/db", "/z/soa")
    assert sorted(rows(answer(server, "web.example.org A"))[2]) == [
        "web.example.org. 9 IN A 10.0.0.1",
        "web.example.org. 9 IN A 10.0.0.2",
    ]
    del files["/z/db"], files["/z/soa"]
    _slices(included, None)
    _slices(included, b"@ SOA a b 3 2 3 4 5\n")
    assert rows(answer(server, "web.example.org A"))[0] == "NOERROR"


def test_a_large_file_is_taken_in_slices_and_only_when_it_is_new() -> None:
    def text(serial: int) -> bytes:
        lines = [f"$TTL 9\n@ SOA a b {serial} 2 3 4 5", *[f"h{i} A 10.0.0.1" for i in range(2000)]]
        return "\n".join(lines).encode()

    plugin = make(around=context(files={"/db": text(1)}))
    (need,) = plugin.needs
    server = server_of([plugin])

    assert _slices(need, text(1)) == 0
    assert _slices(need, text(2)) > 5
    assert _slices(need, text(2)) == 0
    assert rows(answer(server, "h1999.example.org A"))[2] == ["h1999.example.org. 9 IN A 10.0.0.1"]
    assert plugin.zone_serial(wire_name("example.org")) == 2
