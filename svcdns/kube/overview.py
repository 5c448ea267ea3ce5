"""What a store holds, as a table for people, and commands that try it.

Printed by ``svcdns up``: every Service with its addresses and ports, every endpoint with its
state, and dig, curl and nc commands for exactly these objects.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from svcdns.kube.changes import state_of
from svcdns.kube.objects import EndpointSlice, Service, ServicePort
from svcdns.kube.store import Store

MAX_SERVICES = 50
"""Services in the table; a terminal holds about as many lines."""

MAX_ENDPOINTS = 10
"""Endpoints of one Service in the table."""

HTTP_PORTS = (80, 8000, 8080)
"""Ports that speak HTTP when nothing else is said."""


class Reach(Struct, frozen=True):
    """How a person reaches what is served."""

    dns_address: str
    dns_port: int
    zone: str
    "Without a final dot."
    proxy: bool = True
    "Whether cluster IPs are forwarded."


def render(store: Store, reach: Reach) -> str:
    """Write the table and the commands."""
    services = [store.services[key] for key in sorted(store.services)]
    lines = [
        f"DNS      {reach.dns_address} port {reach.dns_port}, UDP and TCP; zone {reach.zone}",
        "",
    ]
    lines += _table(store, services[:MAX_SERVICES])
    if len(services) > MAX_SERVICES:
        lines.append(f"and {len(services) - MAX_SERVICES} more Services")
    tries = list(_tries(store, services, reach))
    if tries:
        width = min(max(len(command) for command, _ in tries), 72)
        lines += ["", "Try, in another terminal:"]
        lines += [f"  {command:{width}}  # {why}" for command, why in tries]
    return "\n".join(lines)


def fqdn(service: Service, zone: str) -> str:
    """Name a Service without a final dot."""
    namespace, name = service.key
    return f"{name}.{namespace}.svc.{zone}"


def _table(store: Store, services: Iterable[Service]) -> Iterator[str]:
    rows = [("SERVICE", "TYPE", "ADDRESS", "PORTS", "ENDPOINTS")]
    for service in services:
        endpoints = list(_endpoints(store.slices_of(service.key))) or [
            "" if service.spec.type == "ExternalName" else "none"
        ]
        more = len(endpoints) - MAX_ENDPOINTS
        if more > 0:
            endpoints[MAX_ENDPOINTS:] = [f"and {more} more"]
        rows.append((*_cells(service), endpoints[0]))
        rows += [("", "", "", "", endpoint) for endpoint in endpoints[1:]]
    if len(rows) == 1:
        yield "No Services yet."
        return
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [f"{cell:{width}}" for cell, width in zip(row, widths, strict=False)]
        yield "  ".join([*cells, row[4]]).rstrip()


def _cells(service: Service) -> tuple[str, str, str, str]:
    kind = "headless" if service.headless else service.spec.type
    if service.spec.session_affinity == "ClientIP":
        kind += ", sticky"
    address = service.spec.external_name or "" if kind == "ExternalName" else ""
    address = address or ",".join(service.addresses) or "-"
    ports = ",".join(_port(port) for port in service.ports) or "-"
    return "/".join(service.key), kind, address, ports


def _port(port: ServicePort) -> str:
    name = f"{port.name}:" if port.name else ""
    return f"{name}{port.port}/{port.protocol}"


def _endpoints(slices: Iterable[EndpointSlice]) -> Iterator[str]:
    """Iterate over endpoints by name: ``web-0 127.244.0.9:8080 ready``."""
    found = set()
    for one in slices:
        numbers = ",".join(str(port.port) for port in one.ports or () if port.port) or "-"
        for endpoint in one.endpoints or ():
            who = endpoint.hostname or (endpoint.target_ref and endpoint.target_ref.name) or ""
            for address in endpoint.addresses or ():
                where = f"[{address}]" if ":" in address else address
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
    if headless:
        yield f"{dig} +short {fqdn(headless[0], reach.zone)}", "every ready endpoint"
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
        yield from _connections(addressed)


def _hostname(store: Store, headless: list[Service]) -> tuple[str, Service] | None:
    """Find an endpoint that has a hostname and is ready."""
    for service in headless:
        for one in store.slices_of(service.key):
            for endpoint in one.endpoints or ():
                if endpoint.hostname and endpoint.ready:
                    return endpoint.hostname, service
    return None


def _connections(services: list[Service]) -> Iterator[tuple[str, str]]:
    http = [(service, port) for service in services for port in service.ports if _is_http(port)]
    sticky = [pair for pair in http if pair[0].spec.session_affinity == "ClientIP"]
    spread = [pair for pair in http if pair not in sticky]
    loop = "for n in $(seq 12); do curl -s {url}; done | sort | uniq -c"
    if spread:
        url = _url(*spread[0])
        yield f"curl {url}", "forwarded to one of its endpoints"
        yield loop.format(url=url), "spread over all that are ready"
    if sticky:
        yield loop.format(url=_url(*sticky[0])), "sessionAffinity: one endpoint for a client"
    for service in services:
        for port in service.ports:
            if port.protocol == "UDP":
                address = service.addresses[0]
                yield f"echo hello | nc -u -w1 {address} {port.port}", "UDP"
                yield f"dig @{address} -p {port.port} +short TXT who.am.i", "DNS to the same port"
                return


def _is_http(port: ServicePort) -> bool:
    """Guess whether a port speaks HTTP, by what the object says about it."""
    if port.protocol != "TCP":
        return False
    hints = f"{port.app_protocol or ''} {port.name or ''}".lower()
    return "http" in hints.replace("https", "") or (not port.name and port.port in HTTP_PORTS)


def _url(service: Service, port: ServicePort) -> str:
    address = service.addresses[0]
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port.port}/"
