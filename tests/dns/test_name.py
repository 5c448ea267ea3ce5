"""Names in wire form and text, against dnspython."""

import dns.exception
import dns.name
import dns.wire
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svcdns.dns import name
from tests.support.wire import wire_name

LABELS = st.lists(st.binary(min_size=1, max_size=63), max_size=8).filter(
    lambda labels: sum(map(len, labels)) + len(labels) < 255
)


@given(LABELS)
def test_text_leads_back_to_the_name(labels: list[bytes]) -> None:
    wire = name.join(labels)
    assert name.from_text(name.to_text(wire)) == wire
    assert name.labels(wire) == tuple(labels)
    assert dns.name.from_text(name.to_text(wire)).to_wire() == wire


@given(LABELS)
def test_dnspythons_text_is_read(labels: list[bytes]) -> None:
    wire = name.join(labels)
    assert name.from_text(dns.name.Name([*labels, b""]).to_text()) == wire


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        (".", b"\x00"),
        ("", b"\x00"),
        ("a", b"\x01a\x00"),
        ("a.", b"\x01a\x00"),
        ("a\\.b.c", b"\x03a.b\x01c\x00"),
        ("a\\.", b"\x02a.\x00"),
        ("\\065\\000", b"\x02A\x00\x00"),
        ("é", b"\x02\xc3\xa9\x00"),
        ("*.a", b"\x01*\x01a\x00"),
    ],
)
def test_text_is_read(text: str, wire: bytes) -> None:
    assert name.from_text(text) == wire


@pytest.mark.parametrize(
    "text", ["..", "a..b", ".a", "a" * 64, "\\256", "\\25", "a\\", ".".join(["a" * 63] * 4) + ".a"]
)
def test_text_that_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        name.from_text(text)


def test_the_longest_name_is_255_octets() -> None:
    text = ".".join(["a" * 63] * 3 + ["a" * 61])
    assert len(name.from_text(text)) == 255
    with pytest.raises(ValueError, match="over 255"):
        name.from_text(text + "a")


@pytest.mark.parametrize(
    ("child", "parent", "below"),
    [
        ("a.b.c", "b.c", True),
        ("b.c", "b.c", True),
        ("c", "b.c", False),
        ("xb.c", "b.c", False),
        ("a.b.c", ".", True),
        (".", ".", True),
        (".", "a", False),
        # The octets of b.c are inside one label here.
        ("x\\001b\\001c", "b.c", False),
    ],
)
def test_subdomains_end_at_a_label(child: str, parent: str, below: bool) -> None:
    assert name.is_subdomain(wire_name(child), wire_name(parent)) is below


MESSAGE = b"\x00" * 12 + b"\x01a\x01b\x00" + b"\x01c\xc0\x0e" + b"\xc0\x11" + b"\xc0\x0c"
"a.b. at 12, c.b. at 17, pointers to c.b. at 21 and to a.b. at 23."


@pytest.mark.parametrize(
    ("at", "text", "end"), [(12, "a.b.", 17), (17, "c.b.", 21), (21, "c.b.", 23), (23, "a.b.", 25)]
)
@pytest.mark.parametrize("known", [None, {}])
def test_a_compressed_name_is_written_out(
    at: int, text: str, end: int, known: dict[int, bytes] | None
) -> None:
    assert name.from_wire(MESSAGE, at, known) == (wire_name(text), end)


@pytest.mark.parametrize(
    ("why", "wire", "at"),
    [
        ("nothing", b"", 0),
        ("behind the end", b"\x00", 1),
        ("label cut off", b"\x03ab", 0),
        ("no root", b"\x01a", 0),
        ("pointer cut off", b"\x00\xc0", 1),
        ("pointer to itself", b"\xc0\x00", 0),
        ("pointer to its own labels", b"\x01a\xc0\x00", 0),
        ("pointer ahead", b"\xc0\x02\x00", 0),
        ("two that point at each other", b"\x01a\xc0\x04\x01b\xc0\x00", 4),
        ("extended label type", b"\x41a\x00", 0),
        ("label type 0x80", b"\x80\x00", 0),
    ],
)
def test_a_malformed_name_is_refused(why: str, wire: bytes, at: int) -> None:
    with pytest.raises(ValueError):
        name.from_wire(wire, at)


def test_a_name_of_255_octets_is_read_and_one_of_256_is_not() -> None:
    longest = wire_name(".".join(["a" * 63] * 3 + ["a" * 61]))
    assert name.from_wire(longest, 0) == (longest, 255)
    with pytest.raises(ValueError, match="over 255"):
        name.from_wire((b"\x3f" + b"a" * 63) * 3 + b"\x3e" + b"a" * 62 + b"\x00", 0)


def test_a_name_over_255_octets_by_pointers_is_refused() -> None:
    wire = wire_name(".".join(["a" * 63] * 3)) + b"\x3f" + b"b" * 63 + b"\xc0\x00"
    for known in (None, {0: wire_name(".".join(["a" * 63] * 3))}):
        with pytest.raises(ValueError, match="over 255"):
            name.from_wire(wire, 193, known)


def test_a_chain_of_pointers_has_an_end() -> None:
    wire = b"\x00" + b"".join(
        (0xC000 | max(at - 2, 0)).to_bytes(2, "big") for at in range(1, 999, 2)
    )
    assert name.from_wire(wire, 1 + 2 * 100) == (b"\x00", 203)
    with pytest.raises(ValueError, match="pointer"):
        name.from_wire(wire, 1 + 2 * 200)


def test_half_a_pointer_at_the_end_is_refused_whatever_is_known() -> None:
    with pytest.raises(ValueError, match="runs out"):
        name.from_wire(bytes(300) + b"\xc0", 300, {0xC0: b"\x01a\x00"})


def test_a_pointer_ahead_is_refused_whatever_is_known() -> None:
    with pytest.raises(ValueError, match="pointer"):
        name.from_wire(b"\xc0\x02\x01a\x00", 0, {2: b"\x01a\x00"})


@settings(max_examples=1000)
@given(st.binary(max_size=80), st.integers(0, 79))
def test_what_is_read_dnspython_reads_the_same(wire: bytes, at: int) -> None:
    """Never raises anything but ValueError, and agrees on name and end."""
    try:
        ours, end = name.from_wire(wire, at)
    except ValueError:
        if at < len(wire):
            with pytest.raises(dns.exception.DNSException):
                dns.name.from_wire(wire, at)
        return
    theirs, used = dns.name.from_wire(wire, at)
    assert (theirs.to_wire(), at + used) == (ours, end)


@given(
    st.lists(
        st.sampled_from([b"\x01a", b"\x01B", b"\x00", b"\xc0\x00", b"\xc0\x02", b"\xc0\x05"]),
        max_size=20,
    )
)
def test_remembered_names_change_nothing(pieces: list[bytes]) -> None:
    wire = b"".join(pieces)
    known: dict[int, bytes] = {}
    for at in range(len(wire)):
        try:
            plain = name.from_wire(wire, at)
        except ValueError:
            with pytest.raises(ValueError):
                name.from_wire(wire, at, known)
        else:
            assert name.from_wire(wire, at, known) == plain
