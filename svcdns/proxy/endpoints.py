"""The endpoints of one service port, merged from all slices of its Service.

Slices are joined by port *name* and protocol (rules R7, R8); what a slice says that cannot be used
is kept with the id of the rule, because "my Service has no endpoints" is mostly one of these.

Duplicates (rule R14, undefined upstream): of two entries for one address and port the local one
wins, then the ready one, then the one that drains, so that the order in which slices arrive never
matters.  ``serving`` that nobody stated counts as true, as in kube-proxy, not as a copy of
``ready`` as the API's text has it (rule R11).

Rules R3 to R16.
Parity: kube-proxy ``pkg/proxy/endpointslicecache.go``.
"""

from collections.abc import Iterable, Iterator

from svcdns.kube.objects import EndpointSlice
from svcdns.proxy.address import normalise
from svcdns.proxy.model import LeftOut, NodeView, PortId
from svcdns.proxy.topology import Candidate, candidate

HEADLESS_LABEL = "service.kubernetes.io/headless"
"""Slices with this label belong to a headless Service and are not the proxy's (rule R3)."""

_FAMILY = {"IPv4": 4, "IPv6": 6}


def merge(
    slices: Iterable[EndpointSlice], port: PortId, family: int, node: NodeView
) -> tuple[list[Candidate], list[LeftOut]]:
    """Give the candidates of a service port, each address and port once, and what was left out.

    Args:
        slices: All slices labelled with the Service (rule R4), in any order.
        port: The service port; its name and protocol select the ports of the slices.
        family: 4 or 6; slices of the other family are not looked at (rule R29).
        node: This node.
    """
    found: dict[tuple[str, int], Candidate] = {}
    left_out: list[LeftOut] = []
    for one in slices:
        if HEADLESS_LABEL in (one.metadata.labels or {}):
            continue
        if _FAMILY.get(one.address_type, family) != family:
            continue
        number, refused = _number(one, port)
        for address, new in _entries(one, family, number or 0, node, left_out):
            if not number:
                left_out.append(LeftOut(address, 0, *refused))
                continue
            old = found.get((address, number))
            if old is None or _rank(old) < _rank(new):
                found[address, number] = new
    return list(found.values()), left_out


def _entries(
    one: EndpointSlice, family: int, number: int, node: NodeView, left_out: list[LeftOut]
) -> Iterator[tuple[str, Candidate]]:
    """Iterate over the endpoints of a slice that have an address of *family*."""
    for endpoint in one.endpoints or ():
        addresses = endpoint.addresses or ()
        for extra in addresses[1:]:
            reason = "only the first address of an endpoint is used"
            left_out.append(LeftOut(extra, number, "R10", reason))
        if not addresses:
            continue
        text = addresses[0]
        address = normalise(text)
        if one.address_type not in _FAMILY:
            left_out.append(LeftOut(text, number, "R5", f"a slice of type {one.address_type}"))
        elif address is None:
            left_out.append(LeftOut(text, number, "R16", "not an IP address"))
        elif address[0] != family:
            left_out.append(LeftOut(text, number, "R5", f"not an address of IPv{family}"))
        else:
            yield address[1], candidate(endpoint, address[1], number, node)


def _number(one: EndpointSlice, port: PortId) -> tuple[int | None, tuple[str, str]]:
    """Find the port number in a slice, or the rule and reason why there is none (R8, R9)."""
    name = one.metadata.name
    rule, reason = "R8", f"slice {name} has no port {port.port!r} with protocol {port.protocol}"
    for offered in one.ports or ():
        if (offered.protocol or "TCP") != port.protocol:
            continue
        if offered.name == port.port:
            if offered.port:
                return offered.port, ("", "")
            rule, reason = "R9", f"slice {name} gives port {port.port!r} no number"
        elif offered.name is None and not port.port:
            rule, reason = "R9", f"slice {name} has a port whose name is null, not empty"
    return None, (rule, reason)


def _rank(one: Candidate) -> tuple[bool, bool, bool, Candidate]:
    """Order duplicates: the greatest stays, whatever order they come in (rule R14)."""
    return one.backend.local, one.ready, one.draining, one
