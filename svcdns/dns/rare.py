"""Text of the record types that dnslib reads and writes well enough.

dnslib has defects that decide what it is used for: names with escaped dots or octets outside
UTF-8 come out as other names, strings lose their escapes, and its exceptions are of many kinds.
So it never sees a name here, the types of every day are in :mod:`svcdns.dns.text`, and what it
writes is read back before it is believed.

It is imported at first use: a server that only answers does not pay its 12 MiB.
"""

from typing import Any, Final

from svcdns.dns.constants import RRType
from svcdns.dns.name import ROOT, to_text
from svcdns.dns.rdata import map_names, names_in
from svcdns.dns.tokens import split

CLASSES: Final[dict[int, str]] = {
    RRType.LOC: "LOC",
    RRType.DS: "DS",
    RRType.CDS: "DS",
    RRType.SSHFP: "SSHFP",
    RRType.RRSIG: "RRSIG",
    RRType.NSEC: "NSEC",
    RRType.DNSKEY: "DNSKEY",
    RRType.CDNSKEY: "DNSKEY",
    RRType.TLSA: "TLSA",
    RRType.SMIMEA: "TLSA",
    RRType.SVCB: "HTTPS",
    RRType.HTTPS: "HTTPS",
}
"""Types read and written here, and dnslib's class for each."""

NAME_WORD: Final[dict[int, int]] = {
    RRType.RRSIG: 7,
    RRType.NSEC: 0,
    RRType.SVCB: 1,
    RRType.HTTPS: 1,
}
"""Which word of the text is the name, counted from 0."""

_SERVICE = frozenset({RRType.SVCB, RRType.HTTPS})


def pack(rrtype: int, words: list[str], target: bytes | None) -> bytes:
    """Make rdata from the words of its text.

    Args:
        rrtype: A key of :data:`CLASSES`.
        words: The text in words.
        target: Wire name that stands for the word :data:`NAME_WORD`.

    Raises:
        ValueError: dnslib cannot read it.
    """
    words = list(words)
    if target is not None:
        words[NAME_WORD[rrtype]] = "."
    if rrtype in _SERVICE:
        # dnslib keeps the name that ECH had in drafts of RFC 9460.
        words = [_renamed(word, "ech", "echconfig") for word in words]
        if any(word.startswith("key") and "\\" in word for word in words):
            raise ValueError("escapes in parameters without a name cannot be read")
    from dnslib.label import DNSBuffer

    try:
        buffer = DNSBuffer()
        _class(rrtype).fromZone(words).pack(buffer)
        wire = bytes(buffer.data)
    except Exception as error:  # BufferError, struct.error, KeyError, UnicodeError, ...
        raise ValueError(f"{error}" or type(error).__name__) from error
    if rrtype in _SERVICE:
        wire = _with_sorted_parameters(wire)
    return wire if target is None else map_names(rrtype, wire, lambda _: target)


def text(rrtype: int, rdata: bytes) -> str:
    """Write rdata as text.

    Raises:
        ValueError: dnslib cannot, or what it writes means something else.
    """
    names = names_in(rrtype, rdata)
    target = names[0] if names else None
    bare = map_names(rrtype, rdata, lambda _: ROOT)
    from dnslib.label import DNSBuffer

    try:
        words = repr(_class(rrtype).parse(DNSBuffer(bare), len(bare))).split(" ")
    except Exception as error:  # as above
        raise ValueError(f"{error}" or type(error).__name__) from error
    if rrtype in _SERVICE:
        words = [_renamed(word, "echconfig", "ech") for word in words]
    read_back = [token.text for token in split(" ".join(words))]
    if pack(rrtype, read_back, target) != rdata:
        raise ValueError("dnslib does not read back what it wrote")
    if target is not None:
        words[NAME_WORD[rrtype]] = to_text(target)
    return " ".join(words)


def _class(rrtype: int) -> Any:
    import dnslib

    return getattr(dnslib, CLASSES[rrtype])


def _renamed(word: str, old: str, new: str) -> str:
    key, equals, value = word.partition("=")
    return new + equals + value if key == old else word


def _with_sorted_parameters(wire: bytes) -> bytes:
    """Put SvcParams into the order that receivers insist on (RFC 9460 §2.2)."""
    parameters = []
    at = 3  # behind the priority and the root that stands for the target
    while at < len(wire):
        size = int.from_bytes(wire[at + 2 : at + 4], "big")
        parameters.append(wire[at : at + 4 + size])
        at += 4 + size
    keys = [parameter[:2] for parameter in parameters]
    if len(set(keys)) != len(keys):
        raise ValueError("a service parameter is given twice")
    return wire[:3] + b"".join(sorted(parameters))
