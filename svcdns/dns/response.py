"""An answer as values: records in sections, before it becomes bytes.

Records hold whole names and uncompressed rdata; sections never mix with bytes.
:mod:`svcdns.dns.render` makes the message, with the size limit of the client.
"""

from msgspec import Struct

from svcdns.dns.constants import Rcode, RRClass


class Record(Struct, frozen=True, gc=False):
    """One resource record."""

    owner: bytes
    "Wire name, in the case that the client shall see."
    rrtype: int
    ttl: int
    "Seconds."
    rdata: bytes
    "Wire form without compression, without its length."
    rrclass: int = RRClass.IN


class Response(Struct, frozen=True, gc=False):
    """What to answer; header bits that follow from the query (ID, QR, RD, CD) are not here."""

    rcode: int = Rcode.NOERROR
    answer: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    "Without OPT: that belongs to the hop and is made when rendering."
    aa: bool = False
    tc: bool = False
    ra: bool = False
    ad: bool = False
    cd: bool | None = None
    "``None``: as in the query; an upstream's answer keeps its own."
    rd: bool | None = None
    "``None``: as in the query (``header``)."
    nsid: bytes | None = None
    "Data for an NSID option, when the client asked and a plugin gives one (RFC 5001)."
    options: tuple[tuple[int, bytes], ...] = ()
    "EDNS options of ours to add when the client spoke EDNS, extended errors for one (RFC 8914)."
