"""From Services and EndpointSlices to a forwarding plan: whole, and change by change.

:func:`build` computes the whole plan of a store.  :class:`Planner` keeps one up to date: it marks
the Services that deltas touch and recomputes exactly those, so that a change costs what its
Service costs, whatever the size of the cluster.  Both call :func:`plan_service`, so they agree.

Where upstream is accidental (section 15 of the rules) this is decided:

- Source ranges of one family only (R46): :mod:`svcdns.proxy.frontends`.
- Duplicate endpoints (R14) and ``serving`` that nobody stated (R11): :mod:`svcdns.proxy.endpoints`.
- Without ServiceCIDR objects (R25) the ranges come from :attr:`PlanOptions.service_cidrs`.
- Flows to an endpoint that is ready but does not serve (``publishNotReadyAddresses``) are not
  stale (R90): it gets new ones as well.
- An address that several Services name: :mod:`svcdns.proxy.claims`.

Rules R1 to R18, R20 to R29, R30 to R55, R60 to R66, R80 to R83.
Parity: kube-proxy ``pkg/proxy/serviceport.go``, ``pkg/proxy/servicechangetracker.go``.
"""

from collections.abc import Iterable
from typing import cast

from msgspec import Struct

from svcdns.kube.metadata import ObjectKey
from svcdns.kube.objects import EndpointSlice, Kind, Service, ServicePort
from svcdns.kube.store import Delta, Store
from svcdns.proxy.address import normalise
from svcdns.proxy.claims import Claims
from svcdns.proxy.endpoints import merge
from svcdns.proxy.frontends import list_frontends, source_ranges
from svcdns.proxy.model import (
    Backend,
    Exposure,
    ForwardingPlan,
    HealthCheck,
    NodeView,
    PlanChange,
    PlanKey,
    PlanOptions,
    Policy,
    PortId,
    ServicePlan,
)
from svcdns.proxy.node import node_ports, service_cidrs
from svcdns.proxy.topology import Candidate, categorise, hint_weight

PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
"""A Service with this label is another proxy's (rule R2)."""

BALANCE_ANNOTATION = "svcdns.io/balance"
PROXY_PROTOCOL_ANNOTATION = "svcdns.io/proxy-protocol"
RETRY_ANNOTATION = "svcdns.io/retry"
HINT_WEIGHT_ANNOTATION = "svcdns.io/hint-weight"
RESPONSES_ANNOTATION = "svcdns.io/responses"
TRIGGER_ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"

AFFINITY_SECONDS = 10800
"""Timeout of ClientIP affinity where the object states none: the API's default (rule R66)."""

DEFAULTS = PlanOptions()
"""What kube-proxy does when nothing is configured."""


class ServiceOutcome(Struct, frozen=True):
    """All that one Service comes to on this node."""

    plans: tuple[ServicePlan, ...] = ()
    health_check: HealthCheck | None = None


def build(store: Store, node: NodeView, options: PlanOptions = DEFAULTS) -> ForwardingPlan:
    """Compute the whole plan; services and slices may have come in any order (rule R17)."""
    services: dict[PlanKey, ServicePlan] = {}
    health_checks: dict[ObjectKey, HealthCheck] = {}
    claims = Claims()
    for key, service in store.services.items():
        outcome = plan_service(service, store.slices_of(key), node, options)
        for plan in outcome.plans:
            services[plan.key] = plan
            claims.put(plan)
        if outcome.health_check:
            health_checks[key] = outcome.health_check
    for key_of_plan, plan in services.items():
        services[key_of_plan] = claims.settle(plan)
    return ForwardingPlan(
        services, health_checks, service_cidrs(store, options), node_ports(node, options)
    )


def plan_service(
    service: Service, slices: Iterable[EndpointSlice], node: NodeView, options: PlanOptions
) -> ServiceOutcome:
    """Compute what one Service comes to: a plan for each port and family of a cluster IP (R29)."""
    if PROXY_NAME_LABEL in (service.metadata.labels or {}):
        return ServiceOutcome()
    cluster_ips: dict[int, str] = {}
    for text in service.addresses:  # none: headless or ExternalName (rule R1)
        found = normalise(text)
        if found and found[0] in options.families:
            cluster_ips.setdefault(*found)
    slices = tuple(slices)
    plans: dict[PlanKey, ServicePlan] = {}
    ready_here: dict[int, set[str]] = {}
    for family, cluster_ip in cluster_ips.items():
        here = ready_here[family] = set()
        for port in service.ports:
            plan, candidates = _plan_port(
                service, port, (family, cluster_ip), slices, node, options
            )
            plans[plan.key] = plan
            here.update(c.backend.address for c in candidates if c.ready and c.backend.local)
    return ServiceOutcome(tuple(plans.values()), _health_check(service, ready_here))


def _plan_port(
    service: Service,
    port: ServicePort,
    cluster_ip: tuple[int, str],
    slices: tuple[EndpointSlice, ...],
    node: NodeView,
    options: PlanOptions,
) -> tuple[ServicePlan, list[Candidate]]:
    """Plan one port in one family; *cluster_ip* is the family and the address."""
    spec, family = service.spec, cluster_ip[0]
    namespace, name = service.key
    identity = PortId(namespace, name, port.name or "", port.protocol)
    candidates, refused = merge(slices, identity, family, node)
    frontends = list_frontends(service, port, cluster_ip, refused)
    exposed = len(frontends) > 1
    internal = Policy.LOCAL if spec.internal_traffic_policy == "Local" else Policy.CLUSTER
    external = Policy.LOCAL if exposed and _keeps_local(service) else Policy.CLUSTER
    annotations = service.metadata.annotations or {}
    weight = annotations.get(HINT_WEIGHT_ANNOTATION, "").strip()
    usable = categorise(  # which sets are in use: rule R54
        candidates,
        node,
        cluster=exposed or internal is Policy.CLUSTER,
        local=Policy.LOCAL in (internal, external),
        weighted=options.hint_weights and hint_weight(weight) > 0,
    )
    vips = [one.address for one in frontends if one.exposure is Exposure.LOAD_BALANCER]
    plan = ServicePlan(
        identity,
        family,
        frontends,
        usable.cluster,
        usable.local,
        internal,
        external,
        usable.any_usable,
        _affinity(service),
        source_ranges(service, family, vips, node) if vips else (),
        _serving(candidates, usable.cluster),
        tuple(sorted([*refused, *usable.left_out])) if refused else usable.left_out,
        annotations.get(BALANCE_ANNOTATION, "").strip(),
        annotations.get(PROXY_PROTOCOL_ANNOTATION, "").strip(),
        annotations.get(RETRY_ANNOTATION, "").strip(),
        weight,
        annotations.get(RESPONSES_ANNOTATION, "").strip(),
        usable.preferred,
    )
    return plan, candidates


def _keeps_local(service: Service) -> bool:
    """Whether externalTrafficPolicy is Local and means something (R52; ExternalPolicyLocal)."""
    spec = service.spec
    return spec.external_traffic_policy == "Local" and (
        spec.type in ("NodePort", "LoadBalancer") or bool(spec.external_ips)
    )


def _affinity(service: Service) -> int:
    """Seconds of session affinity (rules R65 and R66); 0 for none."""
    spec = service.spec
    if spec.session_affinity != "ClientIP":
        return 0
    config = spec.session_affinity_config
    client = config.client_ip if config else None
    return (client.timeout_seconds if client else None) or AFFINITY_SECONDS


def _serving(candidates: list[Candidate], cluster: tuple[Backend, ...]) -> tuple[Backend, ...]:
    """List the backends whose flows live on (R90); mostly the Cluster set, then the same object."""
    serving = tuple(sorted(one.backend for one in candidates if one.serving or one.ready))
    return cluster if serving == cluster else serving


def _health_check(service: Service, ready_here: dict[int, set[str]]) -> HealthCheck | None:
    """Describe the healthCheckNodePort, if there is one to serve (rules R80 and R83).

    A dual-stack pod has an address in each family and counts once: kube-proxy counts by family.
    """
    spec = service.spec
    if (
        spec.type != "LoadBalancer"
        or spec.external_traffic_policy != "Local"
        or not spec.health_check_node_port
        or not ready_here
    ):
        return None
    namespace, name = service.key
    count = max(len(addresses) for addresses in ready_here.values())
    return HealthCheck(namespace, name, spec.health_check_node_port, count)


class Planner:
    """Keeps :attr:`plan` equal to what :func:`build` would give, at the cost of what changed.

    Deltas only mark; :meth:`update` computes, so that the caller decides how many changes one
    transaction carries (rule R101).  The caller waits for ``store.synced`` before it acts on the
    first plan (rule R100).
    """

    def __init__(self, store: Store, node: NodeView, options: PlanOptions = DEFAULTS) -> None:
        """Follow *store* from now on.

        Args:
            store: Objects; those in it already count.
            node: This node as it is known without its Node object, whose fields win once the
                store has it.
            options: What the operator chose.
        """
        self.plan = ForwardingPlan({}, {})
        "Its dictionaries are changed in place: hold on to values, not to them."
        self.service_changes = 0
        "Changes of Services seen since the start."
        self.endpoint_changes = 0
        "Changes of EndpointSlices seen since the start."
        self.pending = (0, 0)
        "Of these, the changes that :meth:`update` has not worked in yet."
        self._store = store
        self._node = node
        self._options = options
        self._keys: dict[ObjectKey, tuple[PlanKey, ...]] = {}
        self._proposed: dict[PlanKey, ServicePlan] = {}
        self._claims = Claims()
        self._dirty: set[ObjectKey] = set(store.services)
        self._node_dirty = True
        self._triggers: list[str] = []
        self._see_node()
        store.subscribe(self._on_delta)

    @property
    def node(self) -> NodeView:
        """This node as the plan sees it."""
        return self._node

    @property
    def idle(self) -> bool:
        """Whether :meth:`update` would have nothing to do."""
        return not self._dirty and not self._node_dirty

    def close(self) -> None:
        """Stop following the store."""
        self._store.unsubscribe(self._on_delta)

    def set_node(self, node: NodeView) -> None:
        """Plan for another view of this node from the next update on (rule R62)."""
        if node != self._node:
            self._node = node
            self._node_dirty = True
            self._dirty.update(self._store.services)

    def _see_node(self) -> None:
        found = self._store.nodes.get(("", self._node.name))
        if found:
            view = self._node
            self.set_node(
                NodeView.from_node(
                    view.name, found, interfaces=view.interfaces, bind_address=view.bind_address
                )
            )

    def _on_delta(self, delta: Delta) -> None:
        match delta.kind:
            case Kind.SERVICE:
                self._dirty.add(delta.key)
                self.service_changes += 1
                self.pending = (self.pending[0] + 1, self.pending[1])
            case Kind.ENDPOINT_SLICE:
                self._on_slice(
                    cast("EndpointSlice | None", delta.old), cast("EndpointSlice | None", delta.new)
                )
            case Kind.NODE if delta.key == ("", self._node.name):
                # A deleted Node leaves the view as it is: addresses do not vanish with the object.
                self._see_node()
            case Kind.SERVICE_CIDR:
                self._node_dirty = True
            case _:
                pass

    def _on_slice(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        self.endpoint_changes += 1
        self.pending = (self.pending[0], self.pending[1] + 1)
        for one in (old, new):
            if one and (service := one.service):
                self._dirty.add(service)
        trigger = (new.metadata.annotations or {}).get(TRIGGER_ANNOTATION) if new else None
        if trigger:
            self._triggers.append(trigger)

    def update(self) -> PlanChange:
        """Work in all changes since the last call and say what became different."""
        touched: set[PlanKey] = set()
        health_checks: dict[ObjectKey, HealthCheck | None] = {}
        dirty, self._dirty = self._dirty, set()
        for key in sorted(dirty):
            touched |= self._replan(key, health_checks)
        services: dict[PlanKey, tuple[ServicePlan | None, ServicePlan | None]] = {}
        for plan_key in sorted(touched):
            proposed = self._proposed.get(plan_key)
            old = self.plan.services.pop(plan_key, None)
            new = self._claims.settle(proposed) if proposed else None
            if new:
                self.plan.services[plan_key] = new
            if old != new:
                services[plan_key] = (old, new)
        change = PlanChange(services, health_checks, self._update_node(), tuple(self._triggers))
        self._triggers.clear()
        self.pending = (0, 0)
        return change

    def _replan(
        self, key: ObjectKey, health_checks: dict[ObjectKey, HealthCheck | None]
    ) -> set[PlanKey]:
        """Plan one Service anew; give the plans that may differ now, its own and competing ones."""
        service = self._store.services.get(key)
        outcome = (
            plan_service(service, self._store.slices_of(key), self._node, self._options)
            if service
            else ServiceOutcome()
        )
        plans = {plan.key: plan for plan in outcome.plans}
        touched = {*self._keys.pop(key, ()), *plans}
        for plan_key in tuple(touched):
            old, new = self._proposed.pop(plan_key, None), plans.get(plan_key)
            if new:
                self._proposed[plan_key] = new
            if old and new and old.frontends == new.frontends:
                continue  # nearly always: endpoints change, addresses do not
            if old:
                touched |= self._claims.remove(old)
            if new:
                touched |= self._claims.put(new)
        if plans:
            self._keys[key] = tuple(plans)
        old_check = self.plan.health_checks.pop(key, None)
        if outcome.health_check:
            self.plan.health_checks[key] = outcome.health_check
        if old_check != outcome.health_check:
            health_checks[key] = outcome.health_check
        return touched

    def _update_node(self) -> bool:
        if not self._node_dirty:
            return False
        self._node_dirty = False
        old = (self.plan.service_cidrs, self.plan.node_ports)
        new = (service_cidrs(self._store, self._options), node_ports(self._node, self._options))
        self.plan = ForwardingPlan(self.plan.services, self.plan.health_checks, *new)
        return old != new
