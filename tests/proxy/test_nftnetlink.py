"""The kernel's words about a table; the octets are what Linux 6 sends."""

import struct
import sys
from ipaddress import ip_address

import pytest

from svcdns.proxy.nft import Table
from svcdns.proxy.nftnetlink import (
    INTERRUPTED,
    Batches,
    KernelSet,
    Kind,
    SetFlag,
    Spelling,
    chain,
    kernel_set,
    messages,
    request,
    rule,
)

TABLE = Table(4, "svcdns-proxy")
HEAD = bytes((2, 0, 0, 0))


def attr(number: int, content: bytes) -> bytes:
    size = 4 + len(content)
    return struct.pack("=HH", size, number) + content + bytes(-size % 4)


def text(number: int, words: str) -> bytes:
    return attr(number, words.encode() + b"\0")


def host(number: int) -> bytes:
    return number.to_bytes(4, sys.byteorder)


def key(address: str, protocol: int, port: int, *more: bytes) -> bytes:
    octets = ip_address(address).packed + bytes((protocol, 0, 0, 0)) + port.to_bytes(2) + bytes(2)
    return octets + b"".join(more)


def element(key: bytes, value: bytes = b"", *more: bytes) -> bytes:
    data = attr(2, attr(1, value)) if value else b""
    return attr(1, attr(1, attr(1, key)) + data + b"".join(more))


def elements(*found: bytes) -> bytes:
    listed = attr(3, b"".join(found))
    return HEAD + text(1, TABLE.name) + text(2, "some") + listed


def spell(one: KernelSet, *contents: bytes) -> list[tuple[str, str]]:
    spelling = Spelling(one)
    found = [pair for content in contents for pair in spelling.elements(content)]
    return [*found, *spelling.rest()]


def described(*, flags: SetFlag, key: int, value: int | None = None, table: str = "") -> bytes:
    more = attr(6, value.to_bytes(4)) if value is not None else b""
    return (
        HEAD
        + text(1, table or TABLE.name)
        + text(2, "some")
        + attr(3, flags.to_bytes(4))
        + attr(4, key.to_bytes(4))
        + more
    )


def test_a_request_names_the_table_and_the_set() -> None:
    asked = request(Kind.GET_ELEMENTS, Table(6, "t"), 7, name="some")
    assert len(asked) == int.from_bytes(asked[:4], sys.byteorder) == 20 + 8 + 12
    assert asked[4:6] == (10 << 8 | 13).to_bytes(2, sys.byteorder)
    assert asked[16:] == bytes((10, 0, 0, 0)) + text(1, "t") + text(2, "some")


def test_sets_say_what_their_elements_are_made_of() -> None:
    packed = (7 << 18) | (12 << 12) | (13 << 6) | 23
    found = kernel_set(
        described(flags=SetFlag.MAP | SetFlag.CONCAT, key=packed, value=(7 << 6) | 13), TABLE
    )
    assert found == KernelSet("some", SetFlag.MAP | SetFlag.CONCAT, (7, 12, 13, 23), (7, 13))
    assert found.word == "map"
    verdicts = kernel_set(described(flags=SetFlag.MAP, key=23, value=0xFFFFFF00), TABLE)
    assert verdicts == KernelSet("some", SetFlag.MAP, (23,), ())
    assert kernel_set(described(flags=SetFlag.ANONYMOUS, key=7), TABLE) is None
    assert kernel_set(described(flags=SetFlag(0), key=7, table="theirs"), TABLE) is None


@pytest.mark.parametrize("more", [b"", attr(6, b"\0\x05hello")], ids=["plain", "with a comment"])
def test_elements_are_spelled_as_we_write_them(more: bytes) -> None:
    slots = KernelSet("slots", SetFlag.MAP | SetFlag.CONCAT, (7, 12, 13, 23), (7, 13))
    content = elements(
        element(key("10.0.0.1", 6, 80, host(0xD0000001)), key("10.1.1.1", 0, 0)[:4] + b"\x1f\x90\0\0", more),
        element(key("10.0.0.1", 132, 81, host(0x41)), key("255.255.0.1", 0, 0)[:4] + b"\0\x01\0\0", more),
    )  # fmt: skip
    assert spell(slots, content) == [
        ("10.0.0.1 . tcp . 80 . 0xd0000001", "10.1.1.1 . 8080"),
        ("10.0.0.1 . sctp . 81 . 0x00000041", "255.255.0.1 . 1"),
    ]
    leads = KernelSet("services", SetFlag.MAP | SetFlag.CONCAT, (8, 12, 13), (23,))
    content = elements(element(key("fd00::1", 17, 53), host(0xD0000002), more))
    assert spell(leads, content) == [("fd00::1 . udp . 53", "0xd0000002")]
    live = KernelSet("live", SetFlag.CONCAT, (19, 23), ())
    content = elements(element(host(4277009103) + host(0xD1234567), b"", more))
    assert spell(live, content) == [("4277009103 . 0xd1234567", "")]


@pytest.mark.parametrize(
    ("code", "target", "expected"),
    [
        (0, "", "drop"),
        (1, "", "accept"),
        (0xFFFFFFFC, "forward-2", "goto forward-2"),
        (0xFFFFFFFD, "theirs", "jump theirs"),
        (0xFFFFFFFB, "", "something else"),
    ],
)
def test_verdicts_are_spelled(code: int, target: str, expected: str) -> None:
    verdict = attr(1, code.to_bytes(4)) + (text(2, target) if target else b"")
    content = elements(
        attr(1, attr(1, attr(1, host(0xD0000001))) + attr(2, attr(2, verdict))),
    )
    leads = KernelSet("leads", SetFlag.MAP, (23,), ())
    assert spell(leads, content) == [("0xd0000001", expected)]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("10.0.0.0", "10.255.255.255", "10.0.0.0/8"),
        ("0.0.0.0", "255.255.255.255", "0.0.0.0/0"),
        ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
        ("192.0.2.1", "192.0.2.9", "192.0.2.1-192.0.2.9"),
        ("192.0.2.1", "192.0.2.2", "192.0.2.1-192.0.2.2"),
    ],
)
def test_ranges_behind_other_parts_are_spelled_as_prefixes(
    first: str, last: str, expected: str
) -> None:
    admitted = KernelSet("admitted", SetFlag.INTERVAL | SetFlag.CONCAT, (7, 12, 13, 7), ())
    own = key("203.0.113.1", 6, 80)
    end = attr(10, attr(1, own + ip_address(last).packed))
    content = elements(element(own + ip_address(first).packed, b"", end))
    assert spell(admitted, content) == [(f"203.0.113.1 . tcp . 80 . {expected}", "")]


def bound(address: str, *, end: bool = False) -> bytes:
    flags = attr(3, (1).to_bytes(4)) if end else b""
    return element(ip_address(address).packed, b"", flags)


def test_ranges_are_put_together_from_bounds_in_any_order() -> None:
    cidrs = KernelSet("service-cidrs", SetFlag.INTERVAL, (7,), ())
    first = elements(bound("255.0.0.0"), bound("10.112.0.0", end=True), bound("10.96.0.0"))
    second = elements(bound("0.0.0.0", end=True), bound("10.96.0.0", end=True), bound("10.0.0.0"))
    assert spell(cidrs, first, second) == [
        ("10.0.0.0-10.95.255.255", ""),
        ("10.96.0.0/12", ""),
        ("255.0.0.0/8", ""),
    ]
    six = KernelSet("service-cidrs", SetFlag.INTERVAL, (8,), ())
    content = elements(bound("fd00::"), bound("fd00:0:0:1::", end=True), bound("ffff::"))
    assert spell(six, content) == [("fd00::/64", ""), ("ffff::/16", "")]


def test_a_set_of_other_types_is_refused() -> None:
    with pytest.raises(ValueError, match="type 9"):
        Spelling(KernelSet("ethernet", SetFlag(0), (9,), ()))


def test_chains_and_rules_are_those_of_the_table() -> None:
    named = HEAD + text(1, TABLE.name) + text(3, "refuse")
    assert chain(named, TABLE) == "refuse"
    assert chain(HEAD + text(1, "theirs") + text(3, "refuse"), TABLE) is None
    comment = b"svcdns 01234567\0"
    userdata = bytes((1, 2, 9, 9, 0, len(comment))) + comment
    ours = HEAD + text(1, TABLE.name) + text(2, "refuse") + attr(4, bytes(40)) + attr(7, userdata)
    assert rule(ours, TABLE) == ("refuse", "svcdns 01234567")
    assert rule(HEAD + text(1, TABLE.name) + text(2, "refuse"), TABLE) == ("refuse", "")
    assert rule(HEAD + text(1, "theirs") + text(2, "refuse"), TABLE) is None


def test_what_is_torn_at_any_octet_is_read_as_far_as_it_goes() -> None:
    slots = KernelSet("slots", SetFlag.MAP | SetFlag.CONCAT, (7, 12, 13, 23), (7, 13))
    value = ip_address("10.1.1.1").packed + b"\x1f\x90\0\0"
    content = elements(element(key("10.0.0.1", 6, 80, host(0xD0000001)), value))
    for size in range(len(content)):
        assert list(Spelling(slots).elements(content[:size])) == []
    described_set = described(flags=SetFlag.MAP, key=23, value=23)
    for size in range(4, len(described_set)):
        kernel_set(described_set[:size], TABLE)
        rule(described_set[:size], TABLE)
        chain(described_set[:size], TABLE)


def test_a_transaction_counts_when_it_touches_a_table_of_ours_r108() -> None:
    def told(kind: int, content: bytes) -> bytes:
        return struct.pack("=IHHII", 16 + len(content), kind, 0, 1, 0) + content

    def about(table: Table, *more: bytes) -> bytes:
        head = bytes((2 if table.family == 4 else 10, 0, 1, 2))
        return head + text(1, table.name) + b"".join(more)

    batches = Batches([TABLE, Table(6, "svcdns-proxy")])
    end = told(Kind.GENERATION, bytes(4))
    ours = told(Kind.ELEMENTS, about(TABLE, text(2, "slots")))
    for other in (Table(4, "svcdns"), Table(4, "svcdns-proxy-2"), Table(6, "kube-proxy")):
        batches.feed(told(Kind.SET, about(other)) + end)
    assert batches.count == 0
    batches.feed(told(Kind.CHAIN, about(Table(6, "kube-proxy"))) + ours + ours)
    assert batches.count == 0, "it is not over yet"
    batches.feed(end)
    batches.feed(end + told(Kind.RULE, about(Table(6, "svcdns-proxy"))) + end)
    assert batches.count == 2


def test_messages_are_split_and_a_torn_one_ends_it() -> None:
    def message(kind: int, flags: int, content: bytes) -> bytes:
        head = struct.pack("=IHHII", 16 + len(content), kind, flags, 1, 0)
        return head + content + bytes(-len(content) % 4)

    both = message(Kind.SET, 2, b"abcde") + message(Kind.DONE, 2 | INTERRUPTED, b"1234")
    assert list(messages(both)) == [(Kind.SET, 2, b"abcde"), (Kind.DONE, 18, b"1234")]
    assert list(messages(both[:-1])) == [(Kind.SET, 2, b"abcde")]
    assert list(messages(bytes(16))) == []
