"""Which clients are answered.

Name
----
*acl*: allows, blocks, filters or drops queries by the client's address and the type.

Syntax
------
::

    acl [ZONES...] {
        allow|block|filter|drop [type QTYPE...] [net SOURCE...]
    }

* ZONES: only names in these zones; those of the server block by default.
* ``block`` answers REFUSED, ``filter`` answers NOERROR without records, ``drop`` does not answer.
* ``type``: these types only; ``*`` or nothing means all.
* ``net``: these addresses and networks only; ``*`` or nothing means all.

The first line that fits decides; when none does, the next directive is asked, and in the end the
query is allowed.

Examples:
--------
::

    . {
        acl corp.example {
            allow net 192.168.0.0/16 fd00::/8
            block
        }
        acl {
            filter type AAAA net 10.0.0.0/8
            drop type ANY
        }
        forward . 172.31.0.10
    }

Metrics
-------
``coredns_acl_blocked_requests_total``, ``coredns_acl_filtered_requests_total``,
``coredns_acl_dropped_requests_total`` {server, zone, view};
``coredns_acl_allowed_requests_total`` {server, view}.

Differences
-----------
* Only clients that speak EDNS are told why they are refused (RFC 8914: Blocked, Filtered); CoreDNS
  sends an OPT record to all.
* Queries are never answered from the table of ready answers, so this directive costs more than in
  CoreDNS.

Parity: CoreDNS ``plugin/acl``.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address

from msgspec import Struct
from msgspec.structs import replace

from svcdns.corefile.endpoints import parse_network
from svcdns.corefile.options import Line, each
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import Rcode, type_number
from svcdns.dns.name import is_subdomain, to_text
from svcdns.dns.response import Response
from svcdns.metrics import Registry
from svcdns.plugins.base import Context, Drop, Handler, Need, Outcome, Plugin, Reply, Request, then
from svcdns.plugins.view import view_of

NAME = "acl"

EXTENDED_ERROR = 15
"""EDNS option code of extended errors (RFC 8914 §2)."""

BLOCKED, FILTERED = 15, 17
"""Extended errors (RFC 8914 §4.16, §4.18)."""


class Action(StrEnum):
    """What becomes of a query."""

    ALLOW = "allow"
    BLOCK = "block"
    FILTER = "filter"
    DROP = "drop"


class Networks:
    """A set of addresses."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        self._ranges: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        for network in networks:
            bounds = (int(network.network_address), int(network.broadcast_address))
            self._ranges[network.version].append(bounds)

    def contains(self, version: int, address: int) -> bool:
        """Whether an address, as a number, is in one of the networks."""
        return any(low <= address <= high for low, high in self._ranges[version])


class Policy(Struct, frozen=True):
    """One line."""

    action: Action
    types: frozenset[int] | None = None
    "``None``: all."
    networks: Networks | None = None
    "``None``: all."


class Rule(Struct, frozen=True):
    """One directive."""

    zones: tuple[bytes, ...]
    "Lower-case wire names."
    policies: tuple[Policy, ...]


class _Counters:
    """The metrics of one block."""

    def __init__(self, registry: Registry, server: str) -> None:
        self._server = server
        self.view = ""
        zoned = ("server", "zone", "view")
        self._denied = {
            Action.BLOCK: registry.counter(
                "coredns_acl_blocked_requests_total", "Queries refused.", zoned
            ),
            Action.FILTER: registry.counter(
                "coredns_acl_filtered_requests_total", "Queries answered with nothing.", zoned
            ),
            Action.DROP: registry.counter(
                "coredns_acl_dropped_requests_total", "Queries left without an answer.", zoned
            ),
        }
        self._allowed = registry.counter(
            "coredns_acl_allowed_requests_total", "Queries let through.", ("server", "view")
        )

    def count(self, action: Action, zone: bytes) -> None:
        """Count a query."""
        if action is Action.ALLOW:
            self._allowed.cell(self._server, self.view).value += 1
        else:
            self._denied[action].cell(self._server, to_text(zone), self.view).value += 1


class Acl:
    """All ``acl`` directives of a block."""

    name = NAME
    needs: tuple[Need, ...] = ()

    def __init__(self, rules: Sequence[Rule], counters: _Counters) -> None:
        self._rules = tuple(rules)
        self._counters = counters

    def meet(self, siblings: Sequence[Plugin]) -> None:
        """Note the block's view, for the label of metrics."""
        self._counters.view = view_of(siblings)

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Let a query through, or answer it in the way that the rules say."""
        action, zone = self._decide(request)
        self._counters.count(action, zone)
        match action:
            case Action.ALLOW:
                return then(proceed(request), _for_this_client, request.now)
            case Action.BLOCK:
                return _empty(Rcode.REFUSED, BLOCKED)
            case Action.FILTER:
                return _empty(Rcode.NOERROR, FILTERED)
            case Action.DROP:
                return Drop()

    def _decide(self, request: Request) -> tuple[Action, bytes]:
        query = request.query
        version, address = _number(request.client.address)
        for rule in self._rules:
            zone = _longest(rule.zones, query.name)
            if zone is None:
                continue
            for policy in rule.policies:
                if policy.types is not None and query.qtype not in policy.types:
                    continue
                if policy.networks is None or policy.networks.contains(version, address):
                    return policy.action, zone
        return Action.ALLOW, b""


def _number(text: str) -> tuple[int, int]:
    """Read a client's address; a mapped IPv4 address is an IPv4 address."""
    address = ip_address(text.partition("%")[0])
    mapped = None if isinstance(address, IPv4Address) else address.ipv4_mapped
    found = mapped or address
    return found.version, int(found)


def _longest(zones: Iterable[bytes], name: bytes) -> bytes | None:
    matching = [zone for zone in zones if is_subdomain(name, zone)]
    return max(matching, key=len) if matching else None


def _empty(rcode: int, error: int) -> Reply:
    options = ((EXTENDED_ERROR, error.to_bytes(2, "big")),)
    return Reply(Response(rcode, options=options), NAME)


def _for_this_client(outcome: Outcome, _now: float) -> Outcome:
    if isinstance(outcome, Reply) and outcome.store is not None:
        return replace(outcome, store=None)
    return outcome


def setup(directives: tuple[Directive, ...], context: Context) -> Acl:
    """Read the directives."""
    rules = []
    for line in each(directives, context.warn):
        zones = line.zones(context.zones)
        rules.append(Rule(zones, tuple(_policy(option) for option in line.options())))
    return Acl(rules, _Counters(context.registry, context.server))


def _policy(option: Line) -> Policy:
    try:
        action = Action(option.name.lower())
    except ValueError:
        expected = ", ".join(Action)
        raise option.error(f"unexpected token '{option.name}'; expect one of {expected}") from None
    found: dict[str, list[str]] = {}
    words: list[str] | None = None
    for word in option.rest():
        if word.lower() in ("type", "net"):
            words = found.setdefault(word.lower(), [])
        elif words is None:
            raise option.error(f"unexpected token '{word}'; expect 'type | net'")
        else:
            words.append(word)
    for section, given in found.items():
        if not given:
            raise option.error(f"no token specified in '{section}' section")
    return Policy(action, _types(option, found.get("type")), _networks(option, found.get("net")))


def _types(option: Line, words: list[str] | None) -> frozenset[int] | None:
    if words is None:
        return None
    types = set()
    for word in words:
        if word == "*":
            return None
        number = type_number(word)
        if number is None:
            raise option.error(f"unexpected token '{word}'; expect legal QTYPE")
        types.add(number)
    return frozenset(types)


def _networks(option: Line, words: list[str] | None) -> Networks | None:
    if words is None:
        return None
    networks = []
    for word in words:
        if word == "*":
            return None
        try:
            networks.append(parse_network(word))
        except ValueError as error:
            raise option.error(str(error)) from error
    return Networks(networks)
