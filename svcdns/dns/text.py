r"""Records as zone text, both ways, for ``template``, ``hosts`` and ``file``, logs and ``explain``.

The types of every day are described by their fields below; rarer ones go through
:mod:`svcdns.dns.rare`, unknown ones through ``\# length hex``.  Reading refuses what it does not
understand; writing always finds a form, which reads back as the same octets.

Spec: RFC 1035 §5.1, RFC 3597 §5 (unknown types), RFC 8659 §4 (CAA).
"""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from svcdns.dns import rare
from svcdns.dns.constants import RRClass, RRType, class_number, class_text, type_number, type_text
from svcdns.dns.name import MAX_NAME, ROOT, from_text, from_wire, to_text
from svcdns.dns.rdata import MAX_STRING
from svcdns.dns.response import Record
from svcdns.dns.tokens import Token, octets, quoted, split

DEFAULT_TTL: Final = 3600
"""Seconds when the text gives none (miekg/dns ``NewRR``)."""

MAX_TTL: Final = 0x7FFFFFFF
"""Seconds (RFC 2181 §8)."""

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

_FIELDS: Final[dict[int, str]] = {
    RRType.A: "4",
    RRType.NS: "n",
    RRType.MD: "n",
    RRType.MF: "n",
    RRType.CNAME: "n",
    RRType.SOA: "nnLtttt",
    RRType.MB: "n",
    RRType.MG: "n",
    RRType.MR: "n",
    RRType.PTR: "n",
    RRType.HINFO: "ss",
    RRType.MINFO: "nn",
    RRType.MX: "Hn",
    RRType.TXT: "S",
    RRType.RP: "nn",
    RRType.AFSDB: "Hn",
    RRType.RT: "Hn",
    RRType.AAAA: "6",
    RRType.SRV: "HHHn",
    RRType.NAPTR: "HHsssn",
    RRType.KX: "Hn",
    RRType.DNAME: "n",
    RRType.SPF: "S",
    RRType.URI: "HHr",
    RRType.CAA: "Bkr",
}
"""Fields of each type: B, H, L unsigned numbers of 1, 2, 4 octets; t a duration of 4 octets;
4 and 6 addresses; n a name; s a string; S one or more strings; k a bare word with its length
before it; r a string that takes the rest."""

_NOT_CLASSES: Final = (None, RRClass.ANY, RRClass.NONE)
"""Nothing, and the classes that only questions and updates have."""

_NUMBERS: Final = {"B": 1, "H": 2, "L": 4, "t": 4}


def record_to_text(record: Record) -> str:
    """Write a record: owner, TTL, class, type, data, one blank between each."""
    return (
        f"{to_text(record.owner)} {record.ttl} {class_text(record.rrclass)} "
        f"{type_text(record.rrtype)} {rdata_to_text(record.rrtype, record.rdata)}"
    )


def record_from_text(text: str, *, origin: bytes = ROOT, ttl: int = DEFAULT_TTL) -> Record:
    """Read a record: owner, then TTL and class in any order and as you like, type, data.

    Args:
        text: One record, without ``$`` directives.  TTLs may have units (``1h30m``).
        origin: Wire name that ends relative names and that ``@`` stands for.
        ttl: Seconds when the text gives none.

    Raises:
        ValueError: It is no record; the message says what is wrong.
    """
    words = split(text)
    if len(words) < 2:
        raise ValueError(f"no record in {text[:80]!r}: expected OWNER [TTL] [CLASS] TYPE DATA")
    owner = _name(words.pop(0), origin)
    given: int | None = None
    rrclass: int | None = None
    while words:
        word = words.pop(0).text
        if given is None and _duration_or_none(word) is not None:
            given = duration(word)
        elif rrclass is None and (number := class_number(word)) not in _NOT_CLASSES:
            rrclass = number
        elif (rrtype := type_number(word)) is not None:
            rdata = _read(rrtype, words, origin)
            seconds = ttl if given is None else given
            return Record(owner, rrtype, seconds, rdata, RRClass.IN if rrclass is None else rrclass)
        else:
            raise ValueError(f"{word!r} is neither a TTL, a class nor a record type")
    raise ValueError(f"no record type in {text[:80]!r}")


def rdata_to_text(rrtype: int, rdata: bytes) -> str:
    r"""Write record data; data that does not fit its type comes out as ``\# length hex``."""
    try:
        if rrtype in _FIELDS:
            return _write(_FIELDS[rrtype], rdata)
        if rrtype in rare.CLASSES:
            return rare.text(rrtype, rdata)
    except (ValueError, IndexError):
        pass  # it is foreign, and shall be seen as it is
    return f"\\# {len(rdata)} {rdata.hex()}".rstrip()


def rdata_from_text(rrtype: int, text: str, *, origin: bytes = ROOT) -> bytes:
    """Read record data.

    Raises:
        ValueError: It does not fit the type, or the type has no text form of its own here.
    """
    return _read(rrtype, split(text), origin)


def duration(text: str) -> int:
    """Read seconds, or a sum with units: ``3600``, ``1h30m`` (miekg/dns, BIND).

    Raises:
        ValueError: It is neither, or over 31 bits.
    """
    found = _duration_or_none(text)
    if found is None:
        raise ValueError(f"{text!r} is no number of seconds")
    if found > MAX_TTL:
        raise ValueError(f"{text!r} is over {MAX_TTL} seconds")
    return found


def _duration_or_none(text: str) -> int | None:
    total, digits = 0, ""
    for char in text.lower():
        if "0" <= char <= "9":
            digits += char
        elif char in _UNITS and digits:
            total += int(digits) * _UNITS[char]
            digits = ""
        else:
            return None
    return total + int(digits or 0) if text else None


def _read(rrtype: int, words: list[Token], origin: bytes) -> bytes:
    try:
        rdata = _read_any(rrtype, words, origin)
    except (ValueError, IndexError) as error:
        raise ValueError(f"{type_text(rrtype)}: {error}") from error
    if len(rdata) > 0xFFFF:
        raise ValueError(f"{type_text(rrtype)}: {len(rdata)} octets are too many")
    return rdata


def _read_any(rrtype: int, words: list[Token], origin: bytes) -> bytes:
    if words and words[0] == Token("\\#"):
        return _read_generic(words[1:])
    if rrtype in _FIELDS:
        return _read_fields(_FIELDS[rrtype], words, origin)
    if rrtype in rare.CLASSES:
        return _read_rare(rrtype, words, origin)
    raise ValueError("no text form known, expected \\# LENGTH HEX (RFC 3597)")


def _read_generic(words: list[Token]) -> bytes:
    if not words:
        raise ValueError("expected \\# LENGTH HEX")
    size, data = int(words[0].text), bytes.fromhex("".join(word.text for word in words[1:]))
    if size != len(data):
        raise ValueError(f"{len(data)} octets where {size} are announced")
    return data


def _read_rare(rrtype: int, words: list[Token], origin: bytes) -> bytes:
    at = rare.NAME_WORD.get(rrtype)
    target = None
    if at is not None:
        if len(words) <= at:
            raise ValueError("too few fields")
        target = _name(words[at], origin)
    return rare.pack(rrtype, [word.text for word in words], target)


def _read_fields(fields: str, words: list[Token], origin: bytes) -> bytes:
    if "S" in fields:
        if not words:
            raise ValueError("expected a string")
        return b"".join([_string(word) for word in words])
    if len(words) != len(fields):
        raise ValueError(f"{len(words)} fields where {len(fields)} are expected")
    out = bytearray()
    for field, word in zip(fields, words, strict=True):
        if field == "n":
            out += _name(word, origin)
        else:
            out += _READERS[field](word)
    return bytes(out)


def _name(word: Token, origin: bytes) -> bytes:
    """Read a name; without a final dot it is relative to the origin (RFC 1035 §5.1)."""
    if word.text == "@" and not word.quoted:
        return origin
    name = from_text(word.text)
    if _is_absolute(word.text) or origin == ROOT:
        return name
    if len(name) + len(origin) - 1 > MAX_NAME:
        raise ValueError(f"name over {MAX_NAME} octets: {word.text[:80]!r} below {to_text(origin)}")
    return name[:-1] + origin


def _is_absolute(text: str) -> bool:
    if not text.endswith("."):
        return False
    # A dot behind an odd number of backslashes is part of the label.
    stem = text[:-1]
    return (len(stem) - len(stem.rstrip("\\"))) % 2 == 0


def _number(size: int) -> Callable[[Token], bytes]:
    def read(word: Token) -> bytes:
        if not (word.text.isascii() and word.text.isdigit()):
            raise ValueError(f"{word.text!r} is no number")
        number = int(word.text)
        if number >= 1 << 8 * size:
            raise ValueError(f"{number} does not fit {size} octets")
        return number.to_bytes(size, "big")

    return read


def _string(word: Token) -> bytes:
    data = octets(word.text)
    if len(data) > MAX_STRING:
        raise ValueError(f"string over {MAX_STRING} octets")
    return bytes((len(data),)) + data


def _ipv6(word: Token) -> bytes:
    address = IPv6Address(word.text)
    if address.scope_id is not None:
        raise ValueError(f"{word.text!r}: a record cannot hold an interface")
    return address.packed


def _tag(word: Token) -> bytes:
    if not (word.text.isascii() and word.text.isalnum()):
        raise ValueError(f"{word.text!r} is no property tag")
    return _string(word)


_READERS: Final[dict[str, Callable[[Token], bytes]]] = {
    "B": _number(1),
    "H": _number(2),
    "L": _number(4),
    "t": lambda word: duration(word.text).to_bytes(4, "big"),
    "4": lambda word: IPv4Address(word.text).packed,
    "6": _ipv6,
    "s": _string,
    "k": _tag,
    "r": lambda word: octets(word.text),
}


def _write(fields: str, rdata: bytes) -> str:
    out = []
    at = 0
    for field in fields:
        text, at = _write_field(field, rdata, at)
        out.append(text)
    if at != len(rdata):
        raise ValueError("octets behind the last field")
    return " ".join(out)


def _write_field(field: str, rdata: bytes, at: int) -> tuple[str, int]:
    match field:
        case "n":
            name, end = from_wire(rdata, at)
            return to_text(name), end
        case "4":
            return str(IPv4Address(rdata[at : at + 4])), at + 4
        case "6":
            return str(IPv6Address(rdata[at : at + 16])), at + 16
        case "s" | "k":
            data, end = _counted(rdata, at)
            if field == "s":
                return quoted(data), end
            if not data.isalnum():
                raise ValueError("no property tag")
            return data.decode(), end
        case "S":
            strings: list[str] = []
            while at < len(rdata) or not strings:
                data, at = _counted(rdata, at)
                strings.append(quoted(data))
            return " ".join(strings), at
        case "r":
            return quoted(rdata[at:]), len(rdata)
        case _:
            end = at + _NUMBERS[field]
            if end > len(rdata):
                raise ValueError("a number runs out of the record")
            return str(int.from_bytes(rdata[at:end], "big")), end


def _counted(rdata: bytes, at: int) -> tuple[bytes, int]:
    end = at + 1 + rdata[at]
    if end > len(rdata):
        raise ValueError("a string runs out of the record")
    return rdata[at + 1 : end], end
