"""What a store holds, as a table for people, and commands that try it.

Printed by ``svcdns up``: every Service with its addresses and ports, every endpoint with its
state, and dig, curl and nc commands for exactly these objects.
"""

from collections.abc import Container, Iterable, Iterator

from msgspec import Struct

from svcdns.hostport import bracketed
from svcdns.kube.changes import state_of
from svcdns.kube.inventory import ECHO_LABEL
from svcdns.kube.objects import EndpointSlice, Service, ServicePort
from svcdns.kube.store import Store

MAX_SERVICES = 50
"""Services in the table; a terminal holds about as many lines."""

MAX_ENDPOINTS = 10
"""Endpoints of one Service in the table."""

COMMAND_COLUMNS = 80
"""Width of the column of commands; a longer one pushes its explanation to the right."""

HTTP_PORTS = (80, 8000, 8080)
"""Ports that speak HTTP when nothing else is said."""


UNPRIVILEGED = 1024
"""The first port that everybody may bind, unless the machine says otherwise."""


def stand_in(port: int, taken: Container[int], first: int = UNPRIVILEGED) -> int:
    """Choose where a port is bound that takes privileges: 80 at 8080, 443 at 8443, 53 at 8053.

    Args:
        port: As the Service says.
        taken: Other ports of the same address.
        first: The lowest port that we may bind.

    Returns:
        *port* itself when it may be bound.
    """
    if port >= first:
        return port
    return next(one for one in range(port + 8000, 65536, 1000) if one not in taken)


class Reach(Struct, frozen=True):
    """How a person reaches what is served."""

    dns_address: str
    dns_port: int
    zone: str
    "Without a final dot."
    proxy: bool = True
    "Whether cluster IPs are forwarded."
    first_port: int = UNPRIVILEGED
    "The lowest port that we may bind."
    top: str = ""
    "The command that shows what the proxy does; empty: there are no metrics to show."


def render(store: Store, reach: Reach) -> str:
    """Write the table and the commands."""
    services = [store.services[key] for key in sorted(store.services)]
    lines = [
        f"DNS      {reach.dns_address} port {reach.dns_port}, UDP and TCP; zone {reach.zone}",
        "",
    ]
    lines += _table(store, services[:MAX_SERVICES], reach)
    if len(services) > MAX_SERVICES:
        lines.append(f"and {len(services) - MAX_SERVICES} more Services")
    tries = list(_tries(store, services, reach))
    if tries:
        width = max(len(command) for command, _ in tries if len(command) <= COMMAND_COLUMNS)
        lines += ["", "Try, in another terminal:"]
        lines += [f"  {command:{width}}  # {why}" for command, why in tries]
    return "\n".join(lines)


def fqdn(service: Service, zone: str) -> str:
    """Name a Service without a final dot."""
    namespace, name = service.key
    return f"{name}.{namespace}.svc.{zone}"


def bound_port(service: Service, port: ServicePort, reach: Reach) -> int:
    """Tell at which port of a Service's addresses one of its ports is bound."""
    taken = {one.port for one in service.ports if one.protocol == port.protocol}
    return stand_in(port.port, taken, reach.first_port)


def _table(store: Store, services: Iterable[Service], reach: Reach) -> Iterator[str]:
    rows = [("SERVICE", "TYPE", "ADDRESS", "PORTS", "ENDPOINTS")]
    for service in services:
        endpoints = list(_endpoints(store.slices_of(service.key))) or [
            "" if service.spec.type == "ExternalName" else "none"
        ]
        more = len(endpoints) - MAX_ENDPOINTS
        if more > 0:
            endpoints[MAX_ENDPOINTS:] = [f"and {more} more"]
        rows.append((*_cells(service, reach), endpoints[0]))
        rows += [("", "", "", "", endpoint) for endpoint in endpoints[1:]]
    if len(rows) == 1:
        yield "No Services yet."
        return
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [f"{cell:{width}}" for cell, width in zip(row, widths, strict=False)]
        yield "  ".join([*cells, row[4]]).rstrip()


def _cells(service: Service, reach: Reach) -> tuple[str, str, str, str]:
    kind = "headless" if service.headless else service.spec.type
    if service.spec.session_affinity == "ClientIP":
        kind += ", sticky"
    address = service.spec.external_name or "" if kind == "ExternalName" else ""
    address = address or ",".join(service.addresses) or "-"
    ports = ",".join(_port(service, port, reach) for port in service.ports) or "-"
    return "/".join(service.key), kind, address, ports


def _port(service: Service, port: ServicePort, reach: Reach) -> str:
    name = f"{port.name}:" if port.name else ""
    bound = bound_port(service, port, reach)
    here = f" (at {bound})" if reach.proxy and service.addresses and bound != port.port else ""
    node_port = f" node port {port.node_port}" if port.node_port else ""
    return f"{name}{port.port}/{port.protocol}{here}{node_port}"


def _endpoints(slices: Iterable[EndpointSlice]) -> Iterator[str]:
    """Iterate over endpoints by name: ``web-0 127.244.0.9:8080 ready``."""
    found = set()
    for one in slices:
        ports = dict.fromkeys(str(port.port) for port in one.ports or () if port.port)
        numbers = ",".join(ports) or "-"
        for endpoint in one.endpoints or ():
            who = endpoint.hostname or (endpoint.target_ref and endpoint.target_ref.name) or ""
            for address in endpoint.addresses or ():
                where = bracketed(address)
                state = state_of(endpoint)
                node = f" on {endpoint.node_name}" if endpoint.node_name else ""
                found.add(f"{who} {where}:{numbers} {state}{node}".strip())
    yield from sorted(found)


def _tries(store: Store, services: list[Service], reach: Reach) -> Iterator[tuple[str, str]]:
    """Choose one command for every kind of answer that these objects give."""
    dig = f"dig @{reach.dns_address} -p {reach.dns_port}"
    addressed = [one for one in services if one.addresses]
    headless = [one for one in services if one.headless]
    external = [one for one in services if one.spec.type == "ExternalName"]
    if addressed:
        yield f"{dig} {fqdn(addressed[0], reach.zone)}", "its cluster IP"
    for service in addressed:
        named = next((port for port in service.ports if port.name), None)
        if named:
            label = f"_{named.name}._{named.protocol.lower()}"
            yield f"{dig} +short SRV {label}.{fqdn(service, reach.zone)}", "port and target"
            break
    populated = [one for one in headless if _ready(store, one)]
    if populated:
        yield f"{dig} +short {fqdn(populated[0], reach.zone)}", "every ready endpoint"
        host = _hostname(store, headless)
        if host:
            yield f"{dig} +short {host[0]}.{fqdn(host[1], reach.zone)}", "one endpoint by its name"
    if external:
        yield f"{dig} {fqdn(external[0], reach.zone)}", "a CNAME, and what it leads to"
    if addressed:
        yield f"{dig} +short -x {addressed[0].addresses[0]}", "the name of an address"
        namespace = addressed[0].key[0]
        yield f"{dig} missing.{namespace}.svc.{reach.zone}", "NXDOMAIN with the SOA"
    if reach.proxy:
        yield from _connections(store, [one for one in addressed if _ready(store, one)], reach)
    if reach.proxy and addressed and reach.top:
        yield reach.top, "connections, rates and endpoint states, live"


def _ready(store: Store, service: Service) -> bool:
    """Tell whether a Service has an endpoint that answers; without one, trying it only fails."""
    slices = store.slices_of(service.key)
    return any(endpoint.ready for one in slices for endpoint in one.endpoints or ())


def _echoes(store: Store, service: Service) -> bool:
    """Tell whether the ready endpoints are echo endpoints; others speak what they speak."""
    pods = [
        store.pods.get((service.key[0], endpoint.target_ref.name or ""))
        if endpoint.target_ref
        else None
        for one in store.slices_of(service.key)
        for endpoint in one.endpoints or ()
        if endpoint.ready
    ]
    return bool(pods) and all(pod and ECHO_LABEL in (pod.metadata.labels or {}) for pod in pods)


def _hostname(store: Store, headless: list[Service]) -> tuple[str, Service] | None:
    """Find an endpoint that has a hostname and is ready."""
    for service in headless:
        for one in store.slices_of(service.key):
            for endpoint in one.endpoints or ():
                if endpoint.hostname and endpoint.ready:
                    return endpoint.hostname, service
    return None


def _connections(store: Store, services: list[Service], reach: Reach) -> Iterator[tuple[str, str]]:
    ports = [(service, port) for service in services for port in service.ports]
    http = [pair for pair in ports if _is_http(pair[1])]
    http = http or [pair for pair in ports if pair[1].protocol == "TCP"]
    sticky = [pair for pair in http if pair[0].spec.session_affinity == "ClientIP"]
    spread = [pair for pair in http if pair not in sticky]
    loop = "for n in $(seq 60); do curl -s {url}; done | sort | uniq -c"
    if spread:
        url = _url(*spread[0], reach)
        yield f"curl {url}", "forwarded to one of its endpoints"
        yield loop.format(url=url), "spread over all that are ready"
    if sticky:
        yield loop.format(url=_url(*sticky[0], reach)), "sessionAffinity: one endpoint for a client"
    for service in services:
        for port in service.ports:
            if port.protocol == "UDP":
                address, number = service.addresses[0], bound_port(service, port, reach)
                yield f"echo hello | nc -u -w1 {address} {number}", "UDP"
                if _echoes(store, service):
                    yield f"dig @{address} -p {number} +short TXT who.am.i", "DNS to the same port"
                return


def _is_http(port: ServicePort) -> bool:
    """Guess whether a port speaks HTTP, by what the object says about it."""
    if port.protocol != "TCP":
        return False
    hints = f"{port.app_protocol or ''} {port.name or ''}".lower()
    return "http" in hints.replace("https", "") or (not port.name and port.port in HTTP_PORTS)


def _url(service: Service, port: ServicePort, reach: Reach) -> str:
    address = service.addresses[0]
    host = bracketed(address)
    return f"http://{host}:{bound_port(service, port, reach)}/"
