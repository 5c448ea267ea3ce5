"""Plans by hand: service ports with the fewest words."""

from svcdns.proxy.model import (
    Backend,
    Exposure,
    ForwardingPlan,
    Frontend,
    Policy,
    PortId,
    ServicePlan,
)


def backends(*endpoints: str) -> tuple[Backend, ...]:
    """``10.0.0.1:80`` to backends; ``10.0.0.1:80*`` is a local one."""
    found = []
    for text in endpoints:
        address, _, port = text.rstrip("*").rpartition(":")
        found.append(Backend(address, int(port), local=text.endswith("*")))
    return tuple(sorted(found))


def service_plan(
    frontend: str,
    *endpoints: str,
    name: str = "web",
    protocol: str = "TCP",
    exposure: Exposure = Exposure.CLUSTER_IP,
    internal: Policy = Policy.CLUSTER,
    external: Policy = Policy.CLUSTER,
    affinity: int = 0,
    source_ranges: tuple[str, ...] = (),
    serving: tuple[str, ...] | None = None,
    balance: str = "",
    proxy_protocol: str = "",
    retry: str = "",
    hint_weight: str = "",
    responses: str = "",
    preferred: tuple[str, ...] = (),
) -> ServicePlan:
    """Make a service port with one frontend, ``address:port``."""
    address, _, port = frontend.rpartition(":")
    usable = backends(*endpoints)
    return ServicePlan(
        id=PortId("ns-1", name, "", protocol),
        family=6 if ":" in address else 4,
        frontends=(Frontend(exposure, address, int(port)),),
        cluster=usable,
        local=tuple(b for b in usable if b.local),
        internal=internal,
        external=external,
        any_usable=bool(usable),
        affinity=affinity,
        source_ranges=source_ranges,
        serving=usable if serving is None else backends(*serving),
        balance=balance,
        proxy_protocol=proxy_protocol,
        retry=retry,
        hint_weight=hint_weight,
        responses=responses,
        preferred=backends(*preferred),
    )


def forwarding_plan(*services: ServicePlan) -> ForwardingPlan:
    """Make the plan that has these service ports."""
    return ForwardingPlan({(s.id, s.family): s for s in services}, {})
