"""Why a name resolves as it does, and where a connection to it would go.

The answer itself comes from the plugins that would give it (:mod:`svcdns.plugins.explainquery`),
the account of objects from the same functions that zones and plans are made by, so an explanation
cannot differ from what is served.

Spec: resolv.conf(5) for search paths; the rules that DNS and the proxy name themselves.
"""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from svcdns.dns.constants import RRType
from svcdns.dns.name import ROOT, from_text, labels, to_text
from svcdns.dns.reverse import address_of, is_reverse
from svcdns.hostport import host_port
from svcdns.kube.changes import state_of
from svcdns.kube.metadata import ObjectKey
from svcdns.kube.objects import Endpoint, EndpointSlice, Service
from svcdns.kube.store import Store
from svcdns.plugins.explainquery import Attempt
from svcdns.plugins.kubernetes import Kubernetes
from svcdns.proxy.model import Backend, LeftOut, NodeView, PlanOptions, ServicePlan, Verdict
from svcdns.proxy.plan import build
from svcdns.zones import schema
from svcdns.zones.endpoints import endpoint_name

NDOTS = 5
"""What kubelet writes into a Pod's resolv.conf: names with fewer dots are searched for first."""


class EndpointView(Struct, frozen=True, rename="camel"):
    """One address of a slice."""

    address: str
    ports: tuple[str, ...]
    state: str
    "``ready``, ``not ready``, ``terminating``…"
    dns: str
    "``used``, or why DNS leaves it out."
    slice: str
    name: str
    "Its label under a headless Service."
    pod: str = ""
    node: str = ""
    zone: str = ""


class ServiceView(Struct, frozen=True, rename="camel"):
    """A Service."""

    namespace: str
    name: str
    type: str
    "``ClusterIP``, ``NodePort``, ``LoadBalancer``, ``ExternalName``, or ``headless``."
    addresses: tuple[str, ...]
    ports: tuple[str, ...]
    external_name: str = ""
    endpoints: tuple[EndpointView, ...] = ()


class ConnectionView(Struct, frozen=True, rename="camel"):
    """What a connection to a frontend gets."""

    frontend: str
    port: str
    protocol: str
    policy: str
    verdict: str
    backends: tuple[Backend, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    affinity: int = 0


class Explanation(Struct, frozen=True, rename="camel"):
    """The answer, and the way to it."""

    attempts: tuple[Attempt, ...]
    "Names tried in turn; the last one counts."
    notes: tuple[str, ...] = ()
    "What the objects say about the name."
    services: tuple[ServiceView, ...] = ()
    connections: tuple[ConnectionView, ...] = ()
    search: tuple[str, ...] = ()
    "The search path that was used."


def candidates(name: str, search: Sequence[str]) -> list[bytes]:
    """Give the names that a resolver tries, in order (resolv.conf(5), ``ndots:5``).

    Raises:
        ValueError: *name* is no domain name.
    """
    absolute = from_text(name)
    if name.endswith(".") or not search:
        return [absolute]
    found = []
    for suffix in search:
        try:
            found.append(from_text(f"{name}.{suffix}"))
        except ValueError:  # too long with this suffix: a resolver skips it, too
            continue
    return [*found, absolute] if name.count(".") < NDOTS else [absolute, *found]


def search_path(namespace: str, zone: str) -> tuple[str, ...]:
    """Give the search path of a Pod with ``dnsPolicy: ClusterFirst``; *zone* without final dot."""
    return (f"{namespace}.svc.{zone}", f"svc.{zone}", zone)


def explain(
    attempts: tuple[Attempt, ...],
    kubernetes: Iterable[Kubernetes],
    node: NodeView,
    options: PlanOptions,
) -> Explanation:
    """Add what the objects have to do with the name.

    That is the name that got an answer, or, where none did, every one of them in turn.

    Args:
        attempts: At least one.
        kubernetes: Plugins of the server that answered.
        node: Whose proxy connections are explained for.
        options: Of that proxy.
    """
    plugins = tuple(kubernetes)
    found = Explanation(attempts)
    for attempt in attempts[-1:] if attempts[-1].answer else attempts:
        name = from_text(attempt.name).lower()
        for plugin in plugins:
            zone = plugin.zones.match(name)
            if zone is None:
                continue
            account = _Account(plugin, zone, attempt, node, options).explain(name)
            prefix = f"{attempt.name}: " if len(attempts) > 1 and not attempt.answer else ""
            found = replace(
                found,
                notes=(*found.notes, *(f"{prefix}{note}" for note in account.notes)),
                services=found.services or account.services,
                connections=found.connections or account.connections,
            )
            break
    outside = ("the name is in no zone of a kubernetes plugin",)
    return found if found.notes else replace(found, notes=(*outside, *_short(attempts, plugins)))


def _short(attempts: Sequence[Attempt], kubernetes: Iterable[Kubernetes]) -> Iterator[str]:
    """Point out names that Pods use and their search path completes, when one is asked bare."""
    service, _, namespace = attempts[-1].name.rstrip(".").lower().partition(".")
    known = {key for plugin in kubernetes for key in plugin.cluster.store.services}
    for space, name in sorted(known):
        if name == service and namespace in ("", space, f"{space}.svc"):
            pods = f"--from-namespace {space}"
            yield f"a Pod would find Service {space}/{name} by its search path: {pods}"


class _Account:
    """One name of one cluster."""

    def __init__(
        self,
        plugin: Kubernetes,
        zone: bytes,
        attempt: Attempt,
        node: NodeView,
        options: PlanOptions,
    ) -> None:
        self._plugin = plugin
        self._zone = zone
        self._attempt = attempt
        self._address = ""
        "That a reverse name stands for."
        self._node = node
        self._options = options
        self._store: Store = plugin.cluster.store
        self._notes: list[str] = []

    def explain(self, name: bytes) -> Explanation:
        if is_reverse(self._zone):
            keys, shape = self._at_address(name), None
        else:
            zonal = self._plugin.zones.options.zonal
            parts = labels(name[: len(name) - len(self._zone)] + ROOT)
            shape = schema.parse(parts, zonal=zonal)
            keys = list(self._of_shape(shape))
        services = [self._store.services[key] for key in keys]
        named = shape if isinstance(shape, schema.ServiceName) else None
        views = tuple(self._service(one, named) for one in services)
        connections = tuple(self._connections(keys, named)) if keys else ()
        return Explanation((self._attempt,), tuple(self._notes), views, connections)

    def _at_address(self, name: bytes) -> list[ObjectKey]:
        address = address_of(name)
        if address is None:
            self._notes.append("not the name of a whole address")
            return []
        self._address = address
        index = self._plugin.cluster.index
        services = [one.key for one in index.services_at(address)]
        owners = [one.service for one in index.slices_at(address)]
        behind = [key for key in owners if key and key in self._store.services]
        for namespace, service in services:
            self._notes.append(f"{address} is a cluster IP of Service {namespace}/{service}")
        for namespace, service in behind:
            self._notes.append(f"{address} is an endpoint of Service {namespace}/{service}")
        if not services and not behind:
            self._notes.append(f"{address} is no cluster IP and no endpoint")
        return list(dict.fromkeys([*services, *behind]))

    def _of_shape(self, shape: schema.Shape) -> Iterator[ObjectKey]:
        match shape:
            case schema.Structure():
                self._notes.append("a name that every cluster zone has; it holds no addresses")
            case schema.Unparsable():
                self._notes.append(
                    "names under a cluster zone end in svc or pod: this one never is"
                )
            case schema.PodName(namespace=namespace):
                mode = self._plugin.zones.options.pods
                self._notes.append(f"a Pod's name; the option is pods {mode}")
                self._namespace(namespace)
            case schema.ServiceName():
                yield from self._of_service(shape)

    def _of_service(self, name: schema.ServiceName) -> Iterator[ObjectKey]:
        if not self._namespace(name.namespace):
            return
        if not name.service:
            self._notes.append(f"the name of Namespace {name.namespace} itself")
            return
        key = (name.namespace, name.service)
        service = self._store.services.get(key)
        if service is None:
            self._notes.append(f"Namespace {name.namespace} has no Service {name.service}")
            others = sorted(ns for ns, other in self._store.services if other == name.service)
            if others:
                self._notes.append(f"a Service {name.service} is in: {', '.join(others)}")
            return
        if service.spec.type == "ExternalName":
            self._notes.append(f"Service {'/'.join(key)} stands for {service.spec.external_name}")
        elif service.headless:
            self._notes.append(f"Service {'/'.join(key)} is headless: its ready endpoints answer")
        else:
            self._notes.append(f"Service {'/'.join(key)} answers with its cluster IP")
        yield key

    def _namespace(self, namespace: str) -> bool:
        exposed = self._plugin.zones.options.namespaces
        if exposed and namespace not in exposed:
            self._notes.append(f"the option namespaces does not name {namespace}")
            return False
        if ("", namespace) not in self._store.namespaces:
            self._notes.append(f"there is no Namespace {namespace}")
            return False
        return True

    def _service(self, service: Service, name: schema.ServiceName | None) -> ServiceView:
        namespace, own = service.key
        views = tuple(
            view
            for piece in self._store.slices_of(service.key)
            for endpoint in piece.endpoints or ()
            for view in self._endpoint(service, piece, endpoint, name)
        )
        if not views and service.spec.type != "ExternalName":
            self._notes.append(f"no EndpointSlice of Service {namespace}/{own} has an endpoint")
        return ServiceView(
            namespace,
            own,
            "headless" if service.headless else service.spec.type,
            service.addresses,
            tuple(
                f"{port.name + ':' if port.name else ''}{port.port}/{port.protocol}"
                for port in service.ports
            ),
            service.spec.external_name or "",
            views,
        )

    def _endpoint(
        self,
        service: Service,
        piece: EndpointSlice,
        endpoint: Endpoint,
        name: schema.ServiceName | None,
    ) -> Iterator[EndpointView]:
        pod_names = self._plugin.zones.options.endpoint_pod_names
        target = endpoint.target_ref
        for address in endpoint.addresses or ():
            own = endpoint_name(endpoint, address, pod_names=pod_names).lower()
            yield EndpointView(
                address,
                tuple(
                    f"{port.name + ':' if port.name else ''}{port.port}/{port.protocol or 'TCP'}"
                    for port in piece.ports or ()
                ),
                state_of(endpoint),
                self._use(service, piece, endpoint, own, name),
                piece.metadata.name,
                own,
                (target.name or "") if target else "",
                endpoint.node_name or "",
                endpoint.zone or "",
            )

    def _use(
        self,
        service: Service,
        piece: EndpointSlice,
        endpoint: Endpoint,
        own: str,
        name: schema.ServiceName | None,
    ) -> str:
        """Say whether DNS answers with an endpoint; the order is that of ``zones/services``."""
        asked = name.endpoint if name else self._address in (endpoint.addresses or ())
        if not asked and not service.headless:
            return "behind the cluster IP"
        if not endpoint.ready:
            return "left out: not ready (D2)"
        if name is None:
            return "used" if asked else "left out: another address was asked for"
        if name.endpoint and name.endpoint != own:
            return f"left out: its name is {own}, not {name.endpoint}"
        if name.zone and name.zone != (endpoint.zone or "").lower() and not name.prefer:
            return f"left out: its zone is not {name.zone} (G12)"
        wanted = (name.port, name.protocol)
        if any(wanted) and not any(
            (not name.port or name.port == (port.name or "").lower())
            and (not name.protocol or name.protocol == (port.protocol or "").lower())
            for port in piece.ports or ()
        ):
            return f"left out: its slice has no port _{name.port}._{name.protocol} (B7)"
        family = {"A": "IPv4", "AAAA": "IPv6"}.get(self._attempt.type)
        if family and piece.address_type in ("IPv4", "IPv6") and piece.address_type != family:
            return f"left out: {piece.address_type}, and {self._attempt.type} was asked for"
        return "used"

    def _connections(
        self, keys: Iterable[ObjectKey], name: schema.ServiceName | None
    ) -> Iterator[ConnectionView]:
        wanted = set(keys)
        plan = build(self._store, self._node, self._options)
        for plan_key in sorted(plan.services):
            one = plan.services[plan_key]
            if (one.id.namespace, one.id.service) not in wanted:
                continue
            if name and name.port and name.port != one.id.port.lower():
                continue
            if name and name.protocol and name.protocol != one.id.protocol.lower():
                continue
            yield from _frontends(one)


def _frontends(one: ServicePlan) -> Iterator[ConnectionView]:
    for frontend in one.frontends:
        policy = one.policy(frontend.exposure)
        verdict = one.verdict(policy)
        yield ConnectionView(
            f"{frontend.exposure} {host_port(frontend.address or '*', frontend.port)}",
            one.id.port,
            one.id.protocol,
            str(policy),
            str(verdict),
            one.backends(policy) if verdict is Verdict.FORWARD else (),
            one.left_out,
            one.affinity,
        )


def with_search(explanation: Explanation, search: Sequence[str]) -> Explanation:
    """Add the search path that the attempts followed."""
    return replace(explanation, search=tuple(search))


def default_type(name: bytes) -> int:
    """Choose the type that is meant when none is given: PTR for reverse names, else A."""
    return RRType.PTR if address_of(name.lower()) else RRType.A


def spelled(name: bytes) -> str:
    """Write a name without its final dot, as search paths are written."""
    return to_text(name).rstrip(".")
