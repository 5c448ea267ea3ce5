"""Registered numbers of the DNS, as far as svcdns names them.

Unknown numbers are ordinary integers everywhere: the enums give names, they do not filter.

Spec: IANA "Domain Name System (DNS) Parameters".
"""

from enum import IntEnum


class RRType(IntEnum):
    """Resource record types."""

    A = 1
    NS = 2
    MD = 3
    MF = 4
    CNAME = 5
    SOA = 6
    MB = 7
    MG = 8
    MR = 9
    NULL = 10
    WKS = 11
    PTR = 12
    HINFO = 13
    MINFO = 14
    MX = 15
    TXT = 16
    RP = 17
    AFSDB = 18
    X25 = 19
    ISDN = 20
    RT = 21
    SIG = 24
    KEY = 25
    PX = 26
    GPOS = 27
    AAAA = 28
    LOC = 29
    NXT = 30
    SRV = 33
    NAPTR = 35
    KX = 36
    CERT = 37
    DNAME = 39
    OPT = 41
    APL = 42
    DS = 43
    SSHFP = 44
    IPSECKEY = 45
    RRSIG = 46
    NSEC = 47
    DNSKEY = 48
    DHCID = 49
    NSEC3 = 50
    NSEC3PARAM = 51
    TLSA = 52
    SMIMEA = 53
    HIP = 55
    CDS = 59
    CDNSKEY = 60
    OPENPGPKEY = 61
    CSYNC = 62
    ZONEMD = 63
    SVCB = 64
    HTTPS = 65
    SPF = 99
    NID = 104
    L32 = 105
    L64 = 106
    LP = 107
    EUI48 = 108
    EUI64 = 109
    TKEY = 249
    TSIG = 250
    IXFR = 251
    AXFR = 252
    MAILB = 253
    MAILA = 254
    ANY = 255
    URI = 256
    CAA = 257
    AVC = 258
    AMTRELAY = 260
    TA = 32768
    DLV = 32769


class RRClass(IntEnum):
    """Resource record classes."""

    IN = 1
    CH = 3
    HS = 4
    NONE = 254
    ANY = 255


class Opcode(IntEnum):
    """Message opcodes."""

    QUERY = 0
    IQUERY = 1
    STATUS = 2
    NOTIFY = 4
    UPDATE = 5


class Rcode(IntEnum):
    """Response codes; 16 and above need EDNS (RFC 6891 §6.1.3)."""

    NOERROR = 0
    FORMERR = 1
    SERVFAIL = 2
    NXDOMAIN = 3
    NOTIMP = 4
    REFUSED = 5
    YXDOMAIN = 6
    YXRRSET = 7
    NXRRSET = 8
    NOTAUTH = 9
    NOTZONE = 10
    BADVERS = 16


class EdnsOption(IntEnum):
    """EDNS option codes."""

    NSID = 3
    ECS = 8
    EXPIRE = 9
    COOKIE = 10
    TCP_KEEPALIVE = 11
    PADDING = 12


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


def type_text(rrtype: int) -> str:
    """Give a type's mnemonic, or ``TYPEnnn`` (RFC 3597 §5)."""
    try:
        return RRType(rrtype).name
    except ValueError:
        return f"TYPE{rrtype}"


def class_text(rrclass: int) -> str:
    """Give a class's mnemonic, or ``CLASSnnn`` (RFC 3597 §5)."""
    try:
        return RRClass(rrclass).name
    except ValueError:
        return f"CLASS{rrclass}"


def rcode_text(rcode: int) -> str:
    """Give a response code's mnemonic, or its number (as CoreDNS's log does)."""
    try:
        return Rcode(rcode).name
    except ValueError:
        return str(rcode)


def class_number(text: str) -> int | None:
    """Read a class mnemonic or ``CLASSnnn``, in any case; ``None`` when it is neither."""
    upper = text.upper()
    if upper in RRClass.__members__:
        return RRClass[upper].value
    return _numbered(upper, "CLASS")


def type_number(text: str) -> int | None:
    """Read a type mnemonic or ``TYPEnnn``, in any case; ``None`` when it is neither."""
    upper = text.upper()
    if upper in RRType.__members__:
        return RRType[upper].value
    return _numbered(upper, "TYPE")


def _numbered(upper: str, prefix: str) -> int | None:
    digits = upper.removeprefix(prefix)
    if digits == upper or not (digits.isascii() and digits.isdigit() and len(digits) <= 5):
        return None
    number = int(digits)
    return number if number <= 0xFFFF else None
