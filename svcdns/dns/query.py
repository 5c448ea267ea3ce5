"""A DNS query from a stranger: bytes in, :class:`Query` or a verdict out.

The only parser of untrusted client bytes.  It never raises, and what it accepts holds exactly one
question whose name is well formed.

Spec: RFC 1035 §4.1, RFC 6891.  Parity: CoreDNS through miekg/dns (rules J1 to J5, J26 of the
behaviour reference).
"""

from msgspec import Struct

from svcdns.dns.constants import MAX_MESSAGE, MAX_UDP_PLAIN, RRClass


class Edns(Struct, frozen=True, gc=False):
    """The OPT record of a query (RFC 6891 §6.1.2)."""

    size: int
    "The client's UDP payload size in octets, as sent."
    version: int = 0
    do: bool = False
    options: tuple[tuple[int, bytes], ...] = ()
    "Option code and data, in the order received."


class Query(Struct, frozen=True, gc=False):
    """One well-formed question.

    A Struct, not a dataclass: one is made for every query that misses the answer table.
    """

    id: int
    flags: int
    "The second header word as received: QR, opcode, flags, rcode."
    qname: bytes
    "Wire form in the client's case (0x20 bits matter: rule A7)."
    qtype: int
    qclass: int = RRClass.IN
    edns: Edns | None = None
    name: bytes = b""
    "*qname* in lower case; every look-up uses this one."
    size: int = 0
    "Octets of the message as received, for metrics and the log."

    @property
    def opcode(self) -> int:
        """The opcode (RFC 1035 §4.1.1)."""
        return (self.flags >> 11) & 0xF

    def limit(self, *, udp: bool) -> int:
        """Octets that an answer to this query may have (RFC 6891 §6.2.3; rule J10)."""
        if not udp:
            return MAX_MESSAGE
        return max(MAX_UDP_PLAIN, self.edns.size) if self.edns else MAX_UDP_PLAIN


class Rejected(Struct, frozen=True, gc=False):
    """A message that gets a bare error: *wire* is the whole answer (rule J26)."""

    rcode: int
    wire: bytes
