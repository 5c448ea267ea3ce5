"""Hosts in a chain: what is answered, what falls through, what a changed file does."""

from collections.abc import Iterable
from pathlib import Path

import dns.flags
import pytest
from msgspec.structs import replace

from svcdns.aio.files import FileWatcher
from svcdns.dns.response import Record, Response
from svcdns.errors import CorefileError
from svcdns.plugins import hosts
from svcdns.plugins.base import Ask, Failed, Rendered, Reply, Storable, WatchFile
from svcdns.plugins.commands import Transport
from svcdns.plugins.hosts import Hosts
from svcdns.plugins.server import Server
from tests.support.corefile import Outside, directives, set_up
from tests.support.records import wire_name
from tests.support.serving import (
    CLIENT,
    TCP_CLIENT,
    always,
    answer,
    asking,
    question,
    rows,
    server_of,
)

FILE = b"10.0.0.1 a.test alias.test\n10.0.0.2 a.test\nfd00::1 a.test\n192.0.2.7 only4.test\n"


class Bench:
    """A hosts plugin with its file, and a forwarding plugin behind it."""

    def __init__(self, text: str = "hosts", zones: tuple[str, ...] = (".",)) -> None:
        self.outside = Outside({"/etc/hosts": FILE}, zones=zones)
        self.dropped: list[object] = []
        context = replace(self.outside.context(), changed=self._changed, wall=lambda: 1234.5)
        self.plugin: Hosts = hosts.setup(directives(text), context)
        self.behind = always(
            Reply(
                Response(answer=(Record(wire_name("up.test"), 1, 9, bytes((203, 0, 113, 9))),)),
                "forward",
                Storable(("upstream",)),
            )
        )
        self.server: Server = server_of([self.plugin, self.behind], registry=self.outside.registry)

    def _changed(self, owners: Iterable[str]) -> None:
        self.dropped += owners
        self.server.drop(owners)

    @property
    def need(self) -> WatchFile:
        (need,) = self.plugin.needs
        assert isinstance(need, WatchFile)
        return need

    def filled(self) -> "Bench":
        self.take(FILE)
        return self

    def take(self, content: bytes | None) -> int:
        """Have the plugin take a file, in slices, and give their number."""
        return len(list(self.need.changed(content) or ()))

    def rows(self, text: str) -> tuple[str, str, list[str], list[str], list[str]]:
        return rows(answer(self.server, text))

    @property
    def stored(self) -> int:
        return len(self.server.table(Transport.UDP, "1").entries)

    def value(self, name: str) -> float:
        (cell,) = self.outside.registry.families[name].cells.values()
        return cell.value


A = ["a.test. 3600 IN A 10.0.0.1", "a.test. 3600 IN A 10.0.0.2"]
UP = ["up.test. 9 IN A 203.0.113.9"]
FALL = "hosts {\nfallthrough\n}"

ANSWERS = [
    ("J20 hit", "hosts", "a.test A", "NOERROR", A),
    ("J20 hit AAAA", "hosts", "a.test AAAA", "NOERROR", ["a.test. 3600 IN AAAA fd00::1"]),
    ("J20 alias", "hosts", "alias.test A", "NOERROR", ["alias.test. 3600 IN A 10.0.0.1"]),
    ("A7 case", "hosts", "A.Test AAAA", "NOERROR", ["A.Test. 3600 IN AAAA fd00::1"]),
    ("J20 other family", "hosts", "only4.test AAAA", "NOERROR", []),
    ("J20 other type", "hosts", "a.test TXT", "NOERROR", []),
    ("J20 other type", FALL, "a.test TXT", "NOERROR", []),
    ("J20 other family", FALL, "only4.test AAAA", "NOERROR", []),
    ("K14 miss", "hosts", "nope.test A", "SERVFAIL", []),
    ("K14 miss, other type", "hosts", "nope.test TXT", "SERVFAIL", []),
    ("G5 fallthrough", FALL, "nope.test A", "NOERROR", UP),
    ("G5 in its zones", "hosts {\nfallthrough test\n}", "nope.test A", "NOERROR", UP),
    ("G5 not in its zones", "hosts {\nfallthrough example\n}", "nope.test A", "SERVFAIL", []),
    ("G5 unsupported", FALL[:-2] + "\nfallthrough_unsupported\n}", "a.test TXT", "NOERROR", UP),
    ("G5 supported", FALL[:-2] + "\nfallthrough_unsupported\n}", "only4.test AAAA", "NOERROR", []),
    ("G5 unsupported, other zone", "hosts {\nfallthrough_unsupported\nfallthrough example\n}",
     "a.test TXT", "NOERROR", []),
    ("J20 PTR", "hosts", "1.0.0.10.in-addr.arpa PTR", "NOERROR",
     ["1.0.0.10.in-addr.arpa. 3600 IN PTR a.test.", "1.0.0.10.in-addr.arpa. 3600 IN PTR alias.test."]),
    ("J20 PTR miss falls through", "hosts", "9.9.9.9.in-addr.arpa PTR", "NOERROR", UP),
    ("J20 no_reverse", "hosts {\nno_reverse\n}", "1.0.0.10.in-addr.arpa PTR", "NOERROR", UP),
    ("ttl", "hosts {\nttl 60\n}", "only4.test A", "NOERROR", ["only4.test. 60 IN A 192.0.2.7"]),
    ("inline after the file", "hosts {\n10.0.0.9 a.test\n}", "a.test A", "NOERROR",
     [*A, "a.test. 3600 IN A 10.0.0.9"]),
    ("inline alone", "hosts {\n10.0.0.9 new.test\n}", "new.test A", "NOERROR",
     ["new.test. 3600 IN A 10.0.0.9"]),
    ("wildcard", "hosts {\n10.0.0.9 *.w.test\n}", "x.w.test A", "NOERROR",
     ["x.w.test. 3600 IN A 10.0.0.9"]),
    ("zones", "hosts /etc/hosts other.test", "a.test A", "NOERROR", UP),
    ("zones do not bind PTR", "hosts /etc/hosts test", "2.0.0.10.in-addr.arpa PTR", "NOERROR",
     ["2.0.0.10.in-addr.arpa. 3600 IN PTR a.test."]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text", "asked", "rcode", "found"), ANSWERS)
def test_questions_get_what_coredns_answers(
    rule: str, text: str, asked: str, rcode: str, found: list[str]
) -> None:
    result = Bench(text).filled().rows(asked)

    assert (result[0], result[2]) == (rcode, found), rule
    assert result[3] == [], f"{rule}: there is no SOA"


def test_answers_are_authoritative() -> None:
    """J20."""
    bench = Bench().filled()

    assert bench.rows("a.test A")[1] == "qr aa rd"
    assert bench.rows("a.test MX")[1] == "qr aa rd"


def test_the_names_of_a_block_list_do_not_all_become_records() -> None:
    bench = Bench()
    bench.take(b"".join(b"0.0.0.0 ad%d.test\n" % number for number in range(20_000)))
    message = answer(bench.server, "0.0.0.0.in-addr.arpa PTR", TCP_CLIENT)

    assert message.flags & dns.flags.TC
    assert 3000 < sum(len(rrset) for rrset in message.answer) < 6000


def test_the_zones_of_the_block_are_the_default() -> None:
    bench = Bench(zones=("example.net",)).filled()

    assert bench.rows("a.test A")[2] == UP
    assert bench.rows("nope.example.net A")[0] == "SERVFAIL"


def test_a_changed_file_ends_stored_answers_and_those_that_fell_through() -> None:
    bench = Bench(FALL).filled()
    bench.rows("a.test A")
    bench.rows("new.test A")
    assert bench.stored == 2

    bench.take(b"10.0.0.5 a.test new.test\n")
    assert bench.stored == 0
    assert bench.rows("a.test A")[2] == ["a.test. 3600 IN A 10.0.0.5"]
    assert bench.rows("new.test A")[2] == ["new.test. 3600 IN A 10.0.0.5"]


def test_other_zones_answers_do_not_depend_on_the_file() -> None:
    bench = Bench("hosts /etc/hosts other.test").filled()
    bench.rows("a.test A")
    bench.take(b"")

    assert bench.stored == 1


def test_an_answer_that_a_change_overtook_is_not_stored() -> None:
    bench = Bench(FALL).filled()
    late = Reply(Response(), "forward", Storable(("upstream",)))
    server = server_of([bench.plugin, asking(lambda result: late)])
    for change in (False, True):
        asked = server.respond(question("new.test A"), CLIENT, 0.0)
        assert isinstance(asked, Ask)
        if change:
            bench.take(b"10.0.0.5 new.test\n")
        assert isinstance(asked.resume(None, 1.0), Rendered)
        assert len(server.table(Transport.UDP, "1").entries) == (0 if change else 1)
        server.forget()


def test_what_is_for_one_client_stays_so() -> None:
    plugin = Bench(FALL).filled().plugin
    for outcome in (Reply(Response(), "forward"), Failed(5)):
        server = server_of([plugin, always(outcome)])
        answer(server, "new.test A")
        assert not server.table(Transport.UDP, "1").entries


def test_a_file_that_is_gone_leaves_what_was_read_last() -> None:
    bench = Bench().filled()
    bench.take(None)

    assert bench.rows("a.test A")[2] == A


def test_before_the_file_is_there_inline_lines_are_served() -> None:
    bench = Bench("hosts missing.hosts {\n10.0.0.9 b.test\n}")
    bench.take(None)

    assert bench.rows("b.test A")[2] == ["b.test. 3600 IN A 10.0.0.9"]
    assert bench.outside.warnings == ["plugin/hosts: missing.hosts: No such file or directory"]


def test_metrics_have_coredns_names() -> None:
    bench = Bench("hosts {\n10.0.0.9 b.test\n}")
    assert bench.value("coredns_hosts_entries") == 2
    bench.take(b"10.0.0.1 a.test\n")

    assert bench.value("coredns_hosts_entries") == 4
    assert bench.value("coredns_hosts_reload_timestamp_seconds") == 1234.5


OPTIONS = [
    ("hosts", "/etc/hosts", 5.0),
    ("hosts {\n}", "/etc/hosts", 5.0),
    ("hosts /etc/coredns/NodeHosts {\nttl 60\nreload 15s\nfallthrough\n}", "/etc/coredns/NodeHosts", 15.0),
    ("hosts {\nreload 0s\n}", "/etc/hosts", 0.0),
    ("hosts example.hosts a.test b.test", "example.hosts", 5.0),
    ("hosts {\nno_recursive\n10.0.0.1 a\nfallthrough\n}", "/etc/hosts", 5.0),
    ("hosts {\nttl 60 seconds\n}", "/etc/hosts", 5.0),
]  # fmt: skip


@pytest.mark.parametrize(("text", "path", "interval"), OPTIONS)
def test_options_are_read(text: str, path: str, interval: float) -> None:
    need = Bench(text).need

    assert (need.path, need.interval) == (path, interval)


def test_relative_paths_start_at_root() -> None:
    context = replace(Outside().context(), root="/etc/coredns")
    (need,) = hosts.setup(directives("hosts example.hosts"), context).needs

    assert isinstance(need, WatchFile)
    assert need.path == "/etc/coredns/example.hosts"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hosts\nhosts", "this plugin can only be used once per Server Block"),
        ("hosts {\nttl\n}", "Wrong argument count"),
        ("hosts {\nttl 0\n}", "ttl must be between 1 and 65535"),
        ("hosts {\nttl 65536\n}", "ttl must be between 1 and 65535"),
        ("hosts {\nttl x\n}", "invalid number"),
        ("hosts {\nreload\n}", "Wrong argument count"),
        ("hosts {\nreload -5s\n}", "reload must be at least 0s"),
        ("hosts {\nreload soon\n}", "duration"),
        ("hosts {\nfallthrough\n10.0.0.1 a.test\n}", "unknown property '10.0.0.1'"),
        ("hosts {\nfallthrough\nnope\n}", "unknown property 'nope'"),
        ("hosts {\nfallthrough_unsupported\n}", "fallthrough_unsupported requires fallthrough"),
        ("hosts {\nno_reverse now\n}", "Wrong argument count"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message):
        set_up(hosts.setup, text)


@pytest.mark.parametrize(
    ("error", "warned"), [(IsADirectoryError, True), (PermissionError, True), (NotADirectoryError, False)]
)  # fmt: skip
def test_only_a_path_that_can_never_be_a_file_stops_the_start(
    error: type[OSError], warned: bool
) -> None:
    outside = Outside()

    def read(path: str) -> bytes:
        raise error(1, "so it is", path)

    context = replace(outside.context(), read=read)
    if warned:
        hosts.setup(directives("hosts /a/b"), context)
        assert outside.warnings == ["plugin/hosts: /a/b: so it is"]
    else:
        with pytest.raises(error):
            hosts.setup(directives("hosts /a/b"), context)


async def test_a_file_that_kubelet_swaps_is_answered_after_the_next_look(tmp_path: Path) -> None:
    for name, text in (("one", b"10.0.0.1 a.test\n"), ("two", b"10.0.0.2 a.test\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "NodeHosts").write_bytes(text)
    (tmp_path / "data").symlink_to(tmp_path / "one")
    bench = Bench(f"hosts {tmp_path}/data/NodeHosts")
    failures: list[object] = []
    watcher = FileWatcher(bench.need, lambda path, error: failures.append(error))
    assert await watcher.look()
    assert bench.rows("a.test A")[2] == ["a.test. 3600 IN A 10.0.0.1"]

    (tmp_path / "next").symlink_to(tmp_path / "two")
    (tmp_path / "next").replace(tmp_path / "data")
    assert bench.rows("a.test A")[2] == ["a.test. 3600 IN A 10.0.0.1"]
    assert await watcher.look()
    assert bench.rows("a.test A")[2] == ["a.test. 3600 IN A 10.0.0.2"]
    assert not await watcher.look()
    assert not failures


def test_a_large_file_is_taken_in_slices_and_serves_the_old_names_until_the_end() -> None:
    bench = Bench("hosts {\nfallthrough\n}")
    work = bench.need.changed(b"".join(b"10.0.0.9 n%d.test\n" % n for n in range(5000)))
    assert work is not None
    next(work)
    assert bench.plugin._hosts.find(wire_name("n1.test")) is None
    assert len(list(work)) == 9

    assert bench.plugin._hosts.find(wire_name("n1.test")) is not None
