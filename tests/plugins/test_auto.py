"""Directories of zone files."""

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from svcdns.dns.constants import Rcode
from svcdns.errors import CorefileError
from svcdns.plugins.auto import Auto, setup
from svcdns.plugins.base import Failed, WatchDirectory
from svcdns.plugins.server import Server
from tests.support.serving import always, answer, rows, server_of
from tests.support.setups import context, directives


def db(serial: int, address: str) -> bytes:
    return f"$TTL 60\n@ SOA ns host {serial} 2 3 4 5\nwww A {address}\n".encode()


class Bench:
    def __init__(self, text: str = "directory /zones", zones: str = "") -> None:
        self.said: list[str] = []
        around = replace(context(), write=self.said.append)
        self.plugin: Auto = setup(directives(f"auto {zones} {{\n{text}\n}}"), around)
        self.server: Server = server_of([self.plugin, always(Failed(Rcode.REFUSED))])

    @property
    def need(self) -> WatchDirectory:
        (need,) = self.plugin.needs
        assert isinstance(need, WatchDirectory)
        return need

    def take(self, files: Mapping[str, bytes]) -> None:
        wanted = {path: content for path, content in files.items() if self.need.wanted(path)}
        for _ in self.need.changed(wanted) or ():
            pass

    def address(self, name: str = "www.example.org") -> str:
        rcode, _, found, *_ = rows(answer(self.server, f"{name} A"))
        return found[0].split()[-1] if found else rcode


def test_zones_come_change_by_serial_and_go() -> None:
    bench = Bench()
    assert bench.address() == "REFUSED"
    bench.take(
        {
            "/zones/db.example.org": db(1, "10.0.0.1"),
            "/zones/sub/db.Example.com": db(1, "10.0.0.9"),
            "/zones/x": b"?",
        }
    )
    assert (bench.address(), bench.address("www.example.com")) == ("10.0.0.1", "10.0.0.9")
    bench.take({"/zones/db.example.org": db(1, "10.0.0.2")})
    assert (bench.address(), bench.address("www.example.com")) == ("10.0.0.1", "REFUSED")
    bench.take({"/zones/db.example.org": db(2, "10.0.0.2")})
    assert bench.address() == "10.0.0.2"
    bench.take({"/zones/db.example.org": b"nonsense"})
    assert bench.address() == "10.0.0.2"
    assert [line.split(":")[1].split()[0] for line in bench.said] == [
        "Inserting", "Inserting", "Deleting", "Reloading", "Parse",
    ]  # fmt: skip


def test_names_and_templates_say_which_files_count() -> None:
    bench = Bench(r"directory /zones (.*)\.zone$ {1}.org" + "\nreload 5s")
    bench.take({"/zones/example.zone": db(1, "10.0.0.1"), "/zones/a..b.zone": db(1, "10.0.0.1")})

    assert bench.address() == "10.0.0.1"
    assert (bench.need.path, bench.need.interval) == ("/zones", 5)


def test_only_names_of_the_zones_are_answered_and_zones_can_be_transferred() -> None:
    bench = Bench(zones="example.com")
    bench.take({"/zones/db.example.org": db(1, "10.0.0.1")})

    assert bench.address() == "REFUSED"
    assert len(bench.plugin.zone_records(b"\x07example\x03org\x00") or ()) == 2
    assert bench.plugin.zone_records(b"\x03org\x00") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("directory", "Wrong argument count"),
        ("directory /a (.*)", "Wrong argument count"),
        ("directory /a ( {1}", "error parsing regexp"),
        ("directory /a .* x", "needs a group"),
        ("directory /a\nreload x", "duration"),
        ("nope", "unknown property"),
    ],
)
def test_what_cannot_be_used_is_refused(text: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message):
        Bench(text)


def test_a_fixed_template_makes_one_zone_of_all_files() -> None:
    bench = Bench("directory /zones (.*) example.org")
    bench.take({"/zones/a": db(1, "10.0.0.1"), "/zones/b": db(1, "10.0.0.2")})

    assert bench.address().startswith("10.0.0.")


def test_without_a_directory_there_are_no_zones_and_a_warning() -> None:
    said: list[str] = []
    plugin = setup(directives("auto"), context(warn=said.append))

    assert plugin.needs == ()
    assert rows(answer(server_of([plugin, always(Failed(Rcode.REFUSED))]), "a. A"))[0] == "REFUSED"
    assert "no `directory`" in said[0]
