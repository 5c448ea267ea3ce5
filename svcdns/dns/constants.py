"""Registered numbers of the DNS, as far as svcdns names them.

Unknown numbers are ordinary integers everywhere, so these are, too.  They are no enums: a member of
one costs three times as much to look up in Python 3.11, and a query looks up some thirty.

Spec: IANA "Domain Name System (DNS) Parameters".
"""

from typing import Final


class RRType:
    """Resource record types."""

    A: Final = 1
    NS: Final = 2
    MD: Final = 3
    MF: Final = 4
    CNAME: Final = 5
    SOA: Final = 6
    MB: Final = 7
    MG: Final = 8
    MR: Final = 9
    NULL: Final = 10
    WKS: Final = 11
    PTR: Final = 12
    HINFO: Final = 13
    MINFO: Final = 14
    MX: Final = 15
    TXT: Final = 16
    RP: Final = 17
    AFSDB: Final = 18
    X25: Final = 19
    ISDN: Final = 20
    RT: Final = 21
    SIG: Final = 24
    KEY: Final = 25
    PX: Final = 26
    GPOS: Final = 27
    AAAA: Final = 28
    LOC: Final = 29
    NXT: Final = 30
    SRV: Final = 33
    NAPTR: Final = 35
    KX: Final = 36
    CERT: Final = 37
    DNAME: Final = 39
    OPT: Final = 41
    APL: Final = 42
    DS: Final = 43
    SSHFP: Final = 44
    IPSECKEY: Final = 45
    RRSIG: Final = 46
    NSEC: Final = 47
    DNSKEY: Final = 48
    DHCID: Final = 49
    NSEC3: Final = 50
    NSEC3PARAM: Final = 51
    TLSA: Final = 52
    SMIMEA: Final = 53
    HIP: Final = 55
    CDS: Final = 59
    CDNSKEY: Final = 60
    OPENPGPKEY: Final = 61
    CSYNC: Final = 62
    ZONEMD: Final = 63
    SVCB: Final = 64
    HTTPS: Final = 65
    SPF: Final = 99
    NID: Final = 104
    L32: Final = 105
    L64: Final = 106
    LP: Final = 107
    EUI48: Final = 108
    EUI64: Final = 109
    TKEY: Final = 249
    TSIG: Final = 250
    IXFR: Final = 251
    AXFR: Final = 252
    MAILB: Final = 253
    MAILA: Final = 254
    ANY: Final = 255
    URI: Final = 256
    CAA: Final = 257
    AVC: Final = 258
    AMTRELAY: Final = 260
    TA: Final = 32768
    DLV: Final = 32769


class RRClass:
    """Resource record classes."""

    IN: Final = 1
    CH: Final = 3
    HS: Final = 4
    NONE: Final = 254
    ANY: Final = 255


class Opcode:
    """Message opcodes."""

    QUERY: Final = 0
    IQUERY: Final = 1
    STATUS: Final = 2
    NOTIFY: Final = 4
    UPDATE: Final = 5


class Rcode:
    """Response codes; 16 and above need EDNS (RFC 6891 §6.1.3)."""

    NOERROR: Final = 0
    FORMERR: Final = 1
    SERVFAIL: Final = 2
    NXDOMAIN: Final = 3
    NOTIMP: Final = 4
    REFUSED: Final = 5
    YXDOMAIN: Final = 6
    YXRRSET: Final = 7
    NXRRSET: Final = 8
    NOTAUTH: Final = 9
    NOTZONE: Final = 10
    BADVERS: Final = 16


class EdnsOption:
    """EDNS option codes."""

    NSID: Final = 3
    ECS: Final = 8
    EXPIRE: Final = 9
    COOKIE: Final = 10
    TCP_KEEPALIVE: Final = 11
    PADDING: Final = 12


QR = 0x8000
AA = 0x0400
TC = 0x0200
RD = 0x0100
RA = 0x0080
Z = 0x0040
AD = 0x0020
CD = 0x0010
"""Flag bits of the second header word (RFC 1035 §4.1.1, RFC 2535 §6.1)."""

DO = 0x8000
"""DNSSEC OK, in the TTL field of OPT (RFC 3225)."""

MAX_UDP_PLAIN = 512
"""Octets of a UDP message without EDNS (RFC 1035 §4.2.1)."""

MAX_MESSAGE = 65535
"""Octets of a message over TCP (RFC 1035 §4.2.2)."""


def _numbers(names: type) -> dict[str, int]:
    return {name: number for name, number in vars(names).items() if isinstance(number, int)}


_TYPES = _numbers(RRType)
_CLASSES = _numbers(RRClass)
_TYPE_TEXTS = {number: name for name, number in _TYPES.items()}
_CLASS_TEXTS = {number: name for name, number in _CLASSES.items()}
_RCODES = _numbers(Rcode)
_RCODE_TEXTS = {number: name for name, number in _RCODES.items()}


def type_text(rrtype: int) -> str:
    """Give a type's mnemonic, or ``TYPEnnn`` (RFC 3597 §5)."""
    return _TYPE_TEXTS.get(rrtype) or f"TYPE{rrtype}"


def class_text(rrclass: int) -> str:
    """Give a class's mnemonic, or ``CLASSnnn`` (RFC 3597 §5)."""
    return _CLASS_TEXTS.get(rrclass) or f"CLASS{rrclass}"


def rcode_text(rcode: int) -> str:
    """Give a response code's mnemonic, or its number (as CoreDNS's log does)."""
    return _RCODE_TEXTS.get(rcode) or str(rcode)


def rcode_number(text: str) -> int | None:
    """Read a response code's mnemonic, in any case; ``None`` when it is none."""
    return _RCODES.get(text.upper())


def class_number(text: str) -> int | None:
    """Read a class mnemonic or ``CLASSnnn``, in any case; ``None`` when it is neither."""
    upper = text.upper()
    found = _CLASSES.get(upper)
    return _numbered(upper, "CLASS") if found is None else found


def type_number(text: str) -> int | None:
    """Read a type mnemonic or ``TYPEnnn``, in any case; ``None`` when it is neither."""
    upper = text.upper()
    found = _TYPES.get(upper)
    return _numbered(upper, "TYPE") if found is None else found


def _numbered(upper: str, prefix: str) -> int | None:
    digits = upper.removeprefix(prefix)
    if digits == upper or not (digits.isascii() and digits.isdigit() and len(digits) <= 5):
        return None
    number = int(digits)
    return number if number <= 0xFFFF else None
