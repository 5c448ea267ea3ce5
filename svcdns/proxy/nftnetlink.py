"""What the kernel says of a table of nftables (netlink), as octets, and in the words that we write.

Read this way, and not from ``nft -j list table``, because that takes 9 s and 650 MB for 230,000
elements where this takes one second and nothing to speak of; because the words of nft differ
between its versions (kubernetes#136786), and between hosts with and without ``/etc/protocols``;
and because rules are known by their comments (:func:`svcdns.proxy.nft.digest`), so that nothing
of them needs to be understood.

Spec: Linux ``include/uapi/linux/netfilter/nf_tables.h``, ``nfnetlink.h``, ``netlink.h``; the
numbers of data types are nft's (``include/datatype.h``), which keeps them in the kernel.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum, IntFlag
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from msgspec import Struct

from svcdns.proxy.nft import Table

_SUBSYSTEM = 10 << 8


class Kind(IntEnum):
    """Types of messages."""

    ERROR = 2
    DONE = 3
    TABLE = _SUBSYSTEM | 0
    GET_TABLE = _SUBSYSTEM | 1
    CHAIN = _SUBSYSTEM | 3
    GET_CHAIN = _SUBSYSTEM | 4
    RULE = _SUBSYSTEM | 6
    GET_RULE = _SUBSYSTEM | 7
    SET = _SUBSYSTEM | 9
    GET_SET = _SUBSYSTEM | 10
    ELEMENTS = _SUBSYSTEM | 12
    GET_ELEMENTS = _SUBSYSTEM | 13
    GENERATION = _SUBSYSTEM | 15
    "Ends what the kernel tells of a transaction."


class SetFlag(IntFlag):
    """Flags of a set."""

    ANONYMOUS = 0x1
    INTERVAL = 0x4
    MAP = 0x8
    EVAL = 0x20
    "Filled by packets."
    CONCAT = 0x80


INTERRUPTED = 0x10
"""Flag of a message: the ruleset changed while it was listed."""

_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_MESSAGE = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_HOST_INTEGER = struct.Struct("=I")
_NUMBER_MASK = 0x3FFF
_FAMILIES = {4: 2, 6: 10}

_TABLE, _NAME, _FLAGS, _KEY_TYPE, _DATA_TYPE = 1, 2, 3, 4, 6
_CHAIN_NAME = 3
_RULE_CHAIN, _RULE_USERDATA = 2, 7
_ELEMENTS, _KEY, _DATA, _ELEMENT_FLAGS, _KEY_END = 3, 1, 2, 3, 10
_VALUE, _VERDICT, _CODE, _TARGET = 1, 2, 1, 2
_INTERVAL_END = 1
_HEAD = 8
_COMMENT = 0
_VERDICT_TYPE = 0xFFFFFF00


def request(kind: Kind, table: Table, sequence: int, *, name: str = "") -> bytes:
    """Ask for what a table has of a kind; of :attr:`Kind.GET_TABLE` for the table itself.

    Args:
        kind: One of those that begin with ``GET``.
        table: The table.
        sequence: A number that the answer repeats.
        name: The set whose elements are wanted.
    """
    body = _text(_TABLE, table.name) + (_text(_NAME, name) if name else b"")
    flags = _REQUEST | (_ACK if kind is Kind.GET_TABLE else _DUMP)
    size = _MESSAGE.size + 4 + len(body)
    head = _MESSAGE.pack(size, kind, flags, sequence, 0)
    return head + bytes((_FAMILIES[table.family], 0, 0, 0)) + body


def _text(number: int, text: str) -> bytes:
    octets = text.encode() + b"\0"
    size = _ATTRIBUTE.size + len(octets)
    return _ATTRIBUTE.pack(size, number) + octets + bytes(-size % 4)


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Split what was received into messages: type, flags and content; a torn one ends it."""
    at = 0
    while at + _MESSAGE.size <= len(data):
        size, kind, flags, _, _ = _MESSAGE.unpack_from(data, at)
        if size < _MESSAGE.size or at + size > len(data):
            return
        yield kind, flags, data[at + _MESSAGE.size : at + size]
        at += (size + 3) & ~3


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Split attributes: number and content; a torn one ends it."""
    at, end, unpack = 0, len(data), _ATTRIBUTE.unpack_from
    while at + 4 <= end:
        size, number = unpack(data, at)
        if size < 4 or at + size > end:
            return
        yield number & _NUMBER_MASK, data[at + 4 : at + size]
        at += (size + 3) & ~3


def _words(data: bytes) -> str:
    return data.rstrip(b"\0").decode(errors="replace")


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


class Batches:
    """Counts the transactions that touch some tables, from what the kernel tells of all."""

    def __init__(self, tables: Iterable[Table]) -> None:
        # Whatever a message is about, its first attribute is the name of the table.
        self._heads = tuple(
            (bytes((_FAMILIES[one.family],)), _text(_TABLE, one.name)) for one in tables
        )
        self._touched = False
        self.count = 0

    def feed(self, data: bytes) -> None:
        """Take in what was received."""
        for kind, _, content in messages(data):
            if kind == Kind.GENERATION:
                self.count += self._touched
                self._touched = False
            elif not self._touched:
                self._touched = any(
                    content[:1] == family and content.startswith(name, 4)
                    for family, name in self._heads
                )


def chain(content: bytes, table: Table) -> str | None:
    """Read a CHAIN message: the chain's name; ``None`` when it is another table's."""
    found = dict(_attributes(content[4:]))
    mine = _words(found.get(_TABLE, b"")) == table.name
    return _words(found.get(_CHAIN_NAME, b"")) if mine else None


def rule(content: bytes, table: Table) -> tuple[str, str] | None:
    """Read a RULE message: the name of its chain, and its comment or empty text."""
    found = dict(_attributes(content[4:]))
    if _words(found.get(_TABLE, b"")) != table.name:
        return None
    return _words(found.get(_RULE_CHAIN, b"")), _comment(found.get(_RULE_USERDATA, b""))


def _comment(userdata: bytes) -> str:
    """Find the comment in what nft keeps with a rule: an octet of type, one of size, content."""
    at = 0
    while at + 2 <= len(userdata):
        kind, size = userdata[at], userdata[at + 1]
        if kind == _COMMENT:
            return _words(userdata[at + 2 : at + 2 + size])
        at += 2 + size
    return ""


class KernelSet(Struct, frozen=True):
    """A set or map as the kernel has it."""

    name: str
    flags: SetFlag
    key: tuple[int, ...]
    "Types of the parts of a key."
    value: tuple[int, ...]
    "Of a value; empty for verdicts, and for a set."

    @property
    def word(self) -> str:
        """What nft calls it."""
        return "map" if SetFlag.MAP in self.flags else "set"


def kernel_set(content: bytes, table: Table) -> KernelSet | None:
    """Read a SET message; ``None`` when the set is another table's or a rule's own."""
    found = dict(_attributes(content[4:]))
    flags = SetFlag(_big(found.get(_FLAGS, b"")))
    if _words(found.get(_TABLE, b"")) != table.name or SetFlag.ANONYMOUS in flags:
        return None
    value = _big(found.get(_DATA_TYPE, b""))
    return KernelSet(
        _words(found.get(_NAME, b"")),
        flags,
        _types(_big(found.get(_KEY_TYPE, b""))),
        () if value == _VERDICT_TYPE else _types(value),
    )


def _types(number: int) -> tuple[int, ...]:
    """Take a concatenation of types apart: six bits each."""
    found: list[int] = []
    while number:
        found.append(number & 0x3F)
        number >>= 6
    return tuple(found[::-1])


# Spelling of values.


def _four(octets: bytes) -> str:
    return f"{octets[0]}.{octets[1]}.{octets[2]}.{octets[3]}"


@lru_cache(4096)
def _six(octets: bytes) -> str:
    return str(IPv6Address(octets))


_PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp"}


def _protocol(octets: bytes) -> str:
    return _PROTOCOLS.get(octets[0]) or str(octets[0])


def _port(octets: bytes) -> str:
    return str(octets[0] << 8 | octets[1])


def _mark(octets: bytes) -> str:
    return str(_HOST_INTEGER.unpack(octets)[0])


def _class_id(octets: bytes) -> str:
    return f"{_HOST_INTEGER.unpack(octets)[0]:#010x}"


_Speller = Callable[[bytes], str]
_SPELLERS: dict[int, tuple[int, _Speller]] = {
    7: (4, _four),
    8: (16, _six),
    12: (1, _protocol),
    13: (2, _port),
    19: (4, _mark),
    23: (4, _class_id),
}
"""Size in octets and speller, by nft's number of the type."""

_ADDRESSES = {7: IPv4Address, 8: IPv6Address}


class Spelling:
    """How the elements of one set are spelled."""

    def __init__(self, one: KernelSet) -> None:
        """Prepare.

        Raises:
            ValueError: The set has parts of a type that we never write.
        """
        self._key = _parts(one.key)
        self._value = _parts(one.value)
        self._last = one.key[-1] if one.key else 0
        self._flags = one.flags
        self._bounds: list[tuple[int, bool]] = []
        # Nearly all elements are a key and a value and nothing else: these are read in place.
        size = _size(self._key)
        self._heads = _head(_KEY, size), _head(_DATA, _size(self._value))
        self._data_at = _HEAD + size
        self._plain_key = _moved(self._key, _HEAD)
        self._plain_value = _moved(self._value, self._data_at + _HEAD)

    def elements(self, content: bytes) -> Iterator[tuple[str, str]]:
        """Read an ELEMENTS message: key and value of each; a set's have the value ``""``."""
        for number, body in _attributes(content[4:]):
            if number == _ELEMENTS:
                for _, element in _attributes(body):
                    if self._plain(element):
                        yield _spell(element, self._plain_key), _spell(element, self._plain_value)
                    else:
                        yield from self._element(dict(_attributes(element)))

    def _plain(self, element: bytes) -> bool:
        key, data, at = *self._heads, self._data_at
        return element.startswith(key) and element[at : at + _HEAD] == data

    def rest(self) -> Iterator[tuple[str, str]]:
        """Give the ranges of a set of single addresses, once all messages have been read.

        The kernel keeps them as bounds: the first address of a range, and the first one behind it.
        """
        self._bounds.sort(key=lambda bound: (bound[0], not bound[1]))
        bits = 8 * self._key[0][1] if self._key else 0
        for index, (first, end) in enumerate(self._bounds):
            if not end:
                behind = next((b for b, is_end in self._bounds[index + 1 :] if is_end), 1 << bits)
                yield self._range(first, behind - 1), ""

    def _element(self, found: dict[int, bytes]) -> Iterator[tuple[str, str]]:
        key = _value(found.get(_KEY, b""))
        if SetFlag.INTERVAL not in self._flags:
            yield _spell(key, self._key), self._data(found.get(_DATA, b""))
        elif SetFlag.CONCAT in self._flags:
            offset, size, _ = self._key[-1]
            end = _value(found.get(_KEY_END, b"")) or key
            last = self._range(_big(key[offset:][:size]), _big(end[offset:][:size]))
            yield " . ".join((_spell(key, self._key[:-1]), last)), ""
        else:
            end_flag = _big(found.get(_ELEMENT_FLAGS, b"")) & _INTERVAL_END
            self._bounds.append((_big(key), bool(end_flag)))

    def _data(self, data: bytes) -> str:
        if self._value:
            return _spell(_value(data), self._value)
        verdict = dict(_attributes(data)).get(_VERDICT)
        if verdict is None:
            return ""
        parts = dict(_attributes(verdict))
        code, target = _big(parts.get(_CODE, b"")), _words(parts.get(_TARGET, b""))
        return _VERDICTS.get(code, "something else").format(target)

    def _range(self, first: int, last: int) -> str:
        """Spell a range of addresses as a prefix where it is one."""
        address = _ADDRESSES[self._last]
        size = last - first + 1
        if size == 1:
            return str(address(first))
        if size & (size - 1) or first % size:
            return f"{address(first)}-{address(last)}"
        return f"{address(first)}/{self._key[-1][1] * 8 - size.bit_length() + 1}"


_VERDICTS = {0: "drop", 1: "accept", 0xFFFFFFFD: "jump {}", 0xFFFFFFFC: "goto {}"}


def _parts(types: Iterable[int]) -> tuple[tuple[int, int, _Speller], ...]:
    """Give place, size and speller of each part; parts begin at multiples of four octets."""
    found, at = [], 0
    for number in types:
        if number not in _SPELLERS:
            raise ValueError(f"a set with parts of type {number}")
        size, spell = _SPELLERS[number]
        found.append((at, size, spell))
        at += (size + 3) & ~3
    return tuple(found)


def _size(parts: tuple[tuple[int, int, _Speller], ...]) -> int:
    return parts[-1][0] + ((parts[-1][1] + 3) & ~3) if parts else 0


def _moved(
    parts: tuple[tuple[int, int, _Speller], ...], offset: int
) -> tuple[tuple[int, int, _Speller], ...]:
    return tuple((at + offset, size, spell) for at, size, spell in parts)


def _head(number: int, size: int) -> bytes:
    """Give the octets in front of a value of a size, within an attribute of a number."""
    return _ATTRIBUTE.pack(size + 8, number) + _ATTRIBUTE.pack(size + 4, _VALUE)


def _spell(octets: bytes, parts: tuple[tuple[int, int, _Speller], ...]) -> str:
    return " . ".join([spell(octets[at : at + size]) for at, size, spell in parts])


def _value(data: bytes) -> bytes:
    """Unwrap a value, which is the only attribute of what holds it."""
    return dict(_attributes(data)).get(_VALUE, b"")
