"""Zone files, good and bad."""

import sys
from collections.abc import Mapping

import pytest

from svcdns.dns.response import Record
from svcdns.plugins.slices import finish
from svcdns.plugins.zonefile import MAX_INCLUDES, ZoneFile, parse
from svcdns.plugins.zonetext import SLICE
from tests.support.records import wire_name, zone_text, zone_texts

ORIGIN = wire_name("example.org")

TEXT = b"""$ORIGIN example.org.
$TTL 1h
@   IN SOA ns hostmaster ( 2024 7200 1800 86400 60 ) ; a comment
    NS ns
ns  300 A 10.0.0.1
$GENERATE 1-2 host$ A 10.0.1.$
txt TXT "a;b" "c\\"d"
far.example.net. A 10.0.0.9
"""


def _read(content: bytes, files: Mapping[str, bytes] | None = None) -> tuple[Record, ...]:
    def read(path: str) -> bytes:
        if path not in (files or {}):
            raise FileNotFoundError(2, "No such file or directory", path)
        return (files or {})[path]

    return finish(parse(content, ORIGIN, "zones/db", read)).records


def test_records_are_read_with_their_ttls_and_strangers_left_out() -> None:
    assert zone_texts(_read(TEXT)) == [
        "example.org. 3600 NS ns.example.org.",
        "example.org. 3600 SOA ns.example.org. hostmaster.example.org. 2024 7200 1800 86400 60",
        "host1.example.org. 3600 A 10.0.1.1",
        "host2.example.org. 3600 A 10.0.1.2",
        "ns.example.org. 300 A 10.0.0.1",
        'txt.example.org. 3600 TXT "a;b" "c\\"d"',
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a A 10.0.0.1 10.0.0.2\n", r"db:1: expected EOL"),
        (b"$TTL 1\na A 10.0.0\n", r"db:2: "),
        (b"\xff\xfe 5 NOPE", r"db:1: "),
        (b"$TTL 1\n\na NOSUCH 10.0.0.1\n", r"db:3: unknown rdatatype 'NOSUCH'"),
        (b"$TTL 1\na CH A 10.0.0.1\n", r"db:2: RR class"),
        (b"$NOSUCH 1\n", r"db:1: "),
        (b"a A 10.0.0.1\n", r"db:1: Missing default TTL"),
        (b'$TTL 1\na TXT "x\n\ny"\nb A 10.0.0 x\n', r"db:5: "),
        (b'$TTL 1\na TXT "x\ny"\n$GENERATE 1-2 ${ A 10.0.0.1\n', r"db:4: bad modifier"),
        (b"$TTL 1\n\n$GENERATE 1-2 h$ A 10.0.0\n", r"db:3: "),
        (b"$GENERATE\t1-2\n", r"db:1: \$GENERATE START-STOP"),
    ],
)
def test_what_cannot_be_read_is_told_with_path_and_line(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        _read(content)

    assert str(caught.value).startswith("zones/db:")


def test_without_dnspython_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "dns.zonefile", None)

    with pytest.raises(ValueError, match=r"pip install 'svcdns\[zones\]'"):
        _read(TEXT)


ROWS = [
    ("TTL units (miekg/dns)", b"a 1h30m A 10.0.0.1\nb 1w2D A 10.0.0.1", ["a 5400 A 10.0.0.1", "b 777600 A 10.0.0.1"]),
    ("class before TTL", b"a IN 5 A 10.0.0.1", ["a 5 A 10.0.0.1"]),
    ("TTL before class", b"a 5 in a 10.0.0.1", ["a 5 A 10.0.0.1"]),
    ("each record has its own TTL", b"a 5 A 10.0.0.1\na 6 A 10.0.0.2", ["a 5 A 10.0.0.1", "a 6 A 10.0.0.2"]),
    ("parentheses over lines and comments", b'a 5 TXT ( "x;" ; y )\n "z" )', ['a 5 TXT "x;" "z"']),
    ("RFC 1035 escapes", b'a\\.b 5 TXT \\065\\"c', ['a\\.b 5 TXT "A\\"c"']),
    ("RFC 3597 type", b"a 5 TYPE65280 \\# 2 abcd", ["a 5 TYPE65280 \\# 2 abcd"]),
    ("RFC 3597 type with a name", b"a 5 CLASS1 TYPE1 \\# 4 0a000001", ["a 5 A 10.0.0.1"]),
    ("RFC 9460", b"a 5 HTTPS 1 . alpn=h2", ['a 5 HTTPS 1 . alpn="h2"']),
    ("other types", b'a 5 CAA 0 issue "ca.example"\na 5 SPF "v=spf1"', ['a 5 CAA 0 issue "ca.example"', 'a 5 SPF "v=spf1"']),
    ("$GENERATE with modifiers", b"$GENERATE 1-3/2 h${0,2,d} 5 A 10.0.0.$", ["h01 5 A 10.0.0.1", "h03 5 A 10.0.0.3"]),
    ("a relative $ORIGIN", b"$ORIGIN sub\na 5 A 10.0.0.1", ["a.sub 5 A 10.0.0.1"]),
    ("a CNAME beside other records", b"a 5 CNAME b\na 5 A 10.0.0.1", ["a 5 A 10.0.0.1", "a 5 CNAME b.example.org."][::-1]),
    ("CRLF and a byte order mark", b"\xef\xbb\xbfa 5 A 10.0.0.1\r\nb 5 A 10.0.0.2\r\n", ["a 5 A 10.0.0.1", "b 5 A 10.0.0.2"]),
    ("a comment that is no UTF-8", b"; caf\xe9\na 5 TXT caf\xe9", ['a 5 TXT "caf\\233"']),
    ("UTF-8", "a 5 TXT é".encode(), ['a 5 TXT "\\195\\169"']),
    ("a long string is several", b'a 5 TXT "' + b"x" * 255 + b'\\"y"', ['a 5 TXT "' + "x" * 255 + '" "\\"y"']),
    ("an escape counts as one octet", b'a 5 TXT "' + b"\\120" * 255 + b'y"', ['a 5 TXT "' + "x" * 255 + '" "y"']),
    ("a long word is several", b"a 5 TXT k=" + b"x" * 254 + b" z", ['a 5 TXT "k=' + "x" * 253 + '" "x" "z"']),
    ("a line end in a text", b'a 5 TXT "one\ntwo" "x\r\n;(y"\nb 5 A 10.0.0.1', ['a 5 TXT "one\\010two" "x\\013\\010;(y"', "b 5 A 10.0.0.1"]),
    ("$GENERATE of data with several fields", b'$GENERATE 1-2 h$ 5 MX 10 m$ ; why\n$GENERATE 3-3 t TXT "no $"', ["h1 5 MX 10 m1.example.org.", "h2 5 MX 10 m2.example.org.", 't 3600 TXT "no 3"']),
    ("$GENERATE leaves the owner and takes $TTL", b"$TTL 7\na A 10.0.0.1\n$GENERATE 2-2 b A 10.0.0.$\n A 10.0.0.3", ["a 7 A 10.0.0.1", "b 7 A 10.0.0.2", "a 7 A 10.0.0.3"]),
    ("no final line end", b"a 5 A 10.0.0.1", ["a 5 A 10.0.0.1"]),
    ("the last of several SOA counts", b"@ 5 SOA a b 1 2 3 4 5\n@ 5 SOA a b 2 2 3 4 5", ["example.org. 5 SOA a b.example.org. 2 2 3 4 5"]),
]  # fmt: skip


@pytest.mark.parametrize(("content", "found"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_what_people_write_is_read(content: bytes, found: list[str]) -> None:
    got = [line.replace(".example.org. ", " ", 1) for line in map(zone_text, _read(content))]

    assert got == found


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_a_large_generate_gives_what_it_says_and_pauses_now_and_then(step: int) -> None:
    """Nobody waits for the 65,536 records of one line."""
    content = f"$TTL 5\n$generate 7-1206/{step} h$ A 10.0.0.1\nz A 10.0.0.1\n".encode()
    work = parse(content, wire_name("example.org."), "zones/db", lambda path: b"")
    pauses = 0
    zone: ZoneFile | None = None
    while zone is None:
        try:
            next(work)
            pauses += 1
        except StopIteration as done:
            zone = done.value
    owners = [zone_text(record).split(".")[0] for record in zone.records]

    assert owners == [*(f"h{number}" for number in range(7, 1207, step)), "z"]
    assert pauses >= len(owners) // SLICE


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"$GENERATE 0-65536 h$ A 10.0.0.1", "GENERATE: more than 65,536 numbers"),
        (b"$GENERATE 1-2000000000 h$ A 10.0.0.1", "GENERATE: more than 65,536 numbers"),
        (b"$GENERATE 5-1 h$ A 10.0.0.1", ""),
        (b"$GENERATE 1-5/0 h$ A 10.0.0.1", ""),
        (b"a LOC 52 22 23.000 N 4 53 32.000 E 99999999999.00m", ""),
    ],
)
def test_what_would_take_all_memory_or_ends_dnspython_is_told_with_its_line(
    line: bytes, message: str
) -> None:
    with pytest.raises(ValueError, match=rf"^zones/db:2: .*{message}"):
        _read(b"$TTL 5\n" + line + b"\n")


INCLUDES = [
    ("relative to the file that includes", b"$INCLUDE sub/other\n", {"zones/sub/other": b"$INCLUDE more\n", "zones/sub/more": b"a 5 A 10.0.0.1"}, ["a 5 A 10.0.0.1"]),
    ("absolute", b"$include /other ; why\n", {"/other": b"a 5 A 10.0.0.1"}, ["a 5 A 10.0.0.1"]),
    ("quoted", b'$INCLUDE "an other"\n', {"zones/an other": b"a 5 A 10.0.0.1"}, ["a 5 A 10.0.0.1"]),
    ("with an origin", b"$INCLUDE other sub\nb 5 A 10.0.0.2", {"zones/other": b"a 5 A 10.0.0.1\n@ 5 A 10.0.0.3"}, ["a.sub 5 A 10.0.0.1", "sub 5 A 10.0.0.3", "b 5 A 10.0.0.2"]),
    ("TTL goes in and not out", b"$TTL 7\n$INCLUDE other\nb A 10.0.0.2", {"zones/other": b"a A 10.0.0.1\n$TTL 9\nc A 10.0.0.3"}, ["a 7 A 10.0.0.1", "c 9 A 10.0.0.3", "b 7 A 10.0.0.2"]),
    ("origin does not come out", b"$INCLUDE other\nb 5 A 10.0.0.2", {"zones/other": b"$ORIGIN sub\na 5 A 10.0.0.1"}, ["a.sub 5 A 10.0.0.1", "b 5 A 10.0.0.2"]),
    ("nor does the last owner", b"b 5 A 10.0.0.2\n$INCLUDE other\n  5 A 10.0.0.4", {"zones/other": b"a 5 A 10.0.0.1"}, ["b 5 A 10.0.0.2", "a 5 A 10.0.0.1", "b 5 A 10.0.0.4"]),
    ("not within a text", b'b 5 TXT ( "x;(" ; (\n$INCLUDE z )', {}, ['b 5 TXT "x;(" "$INCLUDE" "z"']),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "files", "found"), [r[1:] for r in INCLUDES], ids=[r[0] for r in INCLUDES]
)
def test_files_include_others(content: bytes, files: dict[str, bytes], found: list[str]) -> None:
    got = [line.replace(".example.org. ", " ", 1) for line in map(zone_text, _read(content, files))]

    assert got == found


@pytest.mark.parametrize(
    ("content", "files", "message"),
    [
        (b"$TTL 5\n$INCLUDE gone\n", {}, r"^zones/db:2: \$INCLUDE gone: No such file"),
        (b"\n$INCLUDE other\n", {"zones/other": b"$TTL 5\na A x\n"}, r"^zones/other:2: "),
        (b"$INCLUDE other\n$TTL 1\na A x\n", {"zones/other": b""}, r"^zones/db:3: "),
        (b"$INCLUDE \n", {}, r"^zones/db:1: \$INCLUDE FILE"),
        (b"$INCLUDE a b c\n", {}, r"^zones/db:1: \$INCLUDE FILE"),
        (b"$INCLUDE a b..c\n", {}, r"^zones/db:1: \$INCLUDE FILE"),
        (
            b"$INCLUDE db\n",
            {"zones/db": b"$INCLUDE db\n"},
            rf"^zones/db:1: .* more than {MAX_INCLUDES} deep",
        ),
    ],
)
def test_a_file_that_cannot_be_included_is_told_with_path_and_line(
    content: bytes, files: dict[str, bytes], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _read(content, files)


def test_the_files_of_a_zone_are_named() -> None:
    files = {"/z/a": b"$INCLUDE b\n", "/z/b": b"a 5 A 10.0.0.1"}
    found = finish(parse(b"$INCLUDE a\n", ORIGIN, "/z/db", files.__getitem__))

    assert found.included == ("/z/a", "/z/b")
    assert found.soa is None


@pytest.mark.parametrize("lines", [SLICE - 1, SLICE, SLICE + 1, 3 * SLICE])
def test_slices_fall_between_records(lines: int) -> None:
    """Owner, TTL and origin go from one slice to the next; so do line numbers."""
    head = b"$TTL 7\n$ORIGIN sub\na A 10.0.0.1\n" + b"; text\n" * (lines - 3)
    tail = b" TXT ( x\n" + b"; in\n" * lines + b"y )\n A 10.0.0.2\n"
    records = _read(head + tail)

    assert [line.replace(".sub.example.org. ", " ", 1) for line in map(zone_text, records)] == [
        "a 7 A 10.0.0.1",
        'a 7 TXT "x" "y"',
        "a 7 A 10.0.0.2",
    ]
    with pytest.raises(ValueError, match=rf"^zones/db:{2 * lines + 4}: unknown rdatatype"):
        _read(head + tail + b"b NOPE x\n")


def test_a_slice_does_not_end_within_a_text() -> None:
    text = (
        b"$TTL 7\n"
        + b";\n" * (SLICE - 2)
        + "a TXT ab\u2028c\x0bd \u0085".encode()
        + b"\nb A 10.0.0.1\n"
    )

    assert [record.rrtype for record in _read(text)] == [16, 1]
