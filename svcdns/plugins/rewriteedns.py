"""EDNS options that ``rewrite`` puts into queries, changes there or takes out.

Spec: RFC 6891, RFC 7871 §6 (client subnet), RFC 5001 (NSID).
Parity: CoreDNS ``plugin/rewrite/edns0.go``.
"""

import struct
from ipaddress import ip_address, ip_network

from msgspec import Struct
from msgspec.structs import replace

from svcdns.dns.constants import EdnsOption
from svcdns.dns.edns import Edns, Options
from svcdns.dns.name import to_text
from svcdns.plugins.base import Request
from svcdns.plugins.rewriteanswers import Undo
from svcdns.plugins.rewriteanswers import options as told
from svcdns.plugins.rewriterules import Applied

ACTIONS = ("append", "replace", "set", "unset")

SIZE = 4096
"""Octets of a UDP answer, in an OPT record that a rule has to add (CoreDNS's number)."""

VARIABLES = frozenset(
    {"qname", "qtype", "client_ip", "client_port", "protocol", "server_ip", "server_port"}
)
"""What stands in braces besides labels of ``metadata``, which hold a slash."""

_PORT = struct.Struct("!H")


class EdnsRule(Struct, frozen=True):
    """``edns0``."""

    action: str
    "One of :data:`ACTIONS`."
    code: int
    data: bytes = b""
    variable: str = ""
    "Takes the place of *data*."
    subnet: tuple[int, int] | None = None
    "Bits of the client's IPv4 and IPv6 address; takes the place of *data*."
    revert: bool = False
    "Whether the client is not to see it."

    def apply(self, request: Request) -> Applied | None:
        """Change the query's OPT record, adding one if there is none."""
        query = request.query
        edns = query.edns or Edns(SIZE)
        data = self._data(request)
        if data is None:
            return None
        changed = self._changed(edns.options, data)
        if changed is None:
            return None
        applied = replace(query, edns=replace(edns, options=changed))
        undo: tuple[Undo, ...] = ()
        if self._echoed:
            shown = dict(edns.options if self.revert else changed)
            if self.code in shown:
                undo = (told({self.code: shown[self.code]}),)
        return Applied(applied, undo, per_client=bool(self.variable or self.subnet))

    @property
    def _echoed(self) -> bool:
        """Only local options come back; NSID is told elsewhere, and subnets never (rule J8)."""
        return self.code not in (EdnsOption.NSID, EdnsOption.ECS)

    def _changed(self, options: Options, data: bytes) -> Options | None:
        codes = [code for code, _ in options]
        if self.code in codes:
            at = codes.index(self.code)
            match self.action:
                case "set" | "replace":
                    return (*options[:at], (self.code, data), *options[at + 1 :])
                case "unset":
                    return (*options[:at], *options[at + 1 :])
                case _:
                    return None
        return (*options, (self.code, data)) if self.action in ("set", "append") else None

    def _data(self, request: Request) -> bytes | None:
        if self.subnet is not None and self.action != "unset":
            return _subnet(request.client.address, self.subnet)
        return _value(self.variable, request) if self.variable else self.data


def _subnet(address: str, bits: tuple[int, int]) -> bytes | None:
    try:
        client = ip_address(address)
    except ValueError:
        return None
    length = bits[client.version == 6]
    network = ip_network((client, length), strict=False).network_address
    # Only as many octets as the prefix needs (RFC 7871 §6).
    return (
        struct.pack("!HBB", 1 if client.version == 4 else 2, length, 0)
        + network.packed[: -(-length // 8)]
    )


def _value(variable: str, request: Request) -> bytes | None:
    """Give the octets a variable stands for; ``None`` when it stands for nothing."""
    query, client = request.query, request.client
    match variable:
        case "qname":
            return to_text(query.qname).encode()
        case "qtype":
            return _PORT.pack(query.qtype)
        case "client_ip":
            return _packed(client.address)
        case "server_ip":
            return _packed(client.local_address)
        case "client_port":
            return _PORT.pack(client.port)
        case "server_port":
            return _PORT.pack(client.local_port)
        case "protocol":
            return ("udp" if client.udp else "tcp").encode()
        case _:
            return (request.metadata or {}).get(variable, "").encode() or None


def _packed(address: str) -> bytes | None:
    try:
        return ip_address(address.partition("%")[0]).packed
    except ValueError:
        return None
