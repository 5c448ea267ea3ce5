"""The plan in a form for people: what every address leads to, and what is left out and why.

``svcdns proxy --dump`` prints it as a table or as JSON.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from svcdns.columns import align
from svcdns.hostport import host_port
from svcdns.proxy.model import (
    Backend,
    Exposure,
    ForwardingPlan,
    Frontend,
    ServicePlan,
    Verdict,
)

COLUMNS = ("SERVICE PORT", "KIND", "FRONTEND", "POLICY", "VERDICT", "BACKENDS")

_WHY = {
    Verdict.REJECT: "no usable endpoint anywhere (R50)",
    Verdict.DROP: "no usable endpoint on this node (R50)",
}


def table(plan: ForwardingPlan) -> str:
    """Render the plan as a table; a line of its own for every endpoint that is left out."""
    if not plan.services:
        return "no service ports\n"
    rows: list[tuple[str, ...]] = [COLUMNS]
    details: dict[int, list[str]] = {}
    for service in _in_order(plan):
        for index, frontend in enumerate(service.frontends):
            label = _label(service) if index == 0 else ""
            rows.append((label, *_row(plan, service, frontend)))
        details[len(rows) - 1] = list(_details(service))
    lines: list[str] = []
    for number, line in enumerate(align(rows)):
        lines.append(line)
        lines += [f"    {detail}" for detail in details.get(number, ())]
    return "\n".join([*lines, *_footer(plan)]) + "\n"


def as_json(plan: ForwardingPlan) -> str:
    """Render the plan as JSON: one object a service port, with the verdict of every frontend."""
    services = []
    for service in _in_order(plan):
        raw: dict[str, Any] = msgspec.to_builtins(service)
        for frontend, built in zip(service.frontends, raw["frontends"], strict=True):
            policy = service.policy(frontend.exposure)
            built["policy"] = policy.value
            built["verdict"] = service.verdict(policy).value
        services.append(raw)
    document = {
        "services": services,
        "healthChecks": [plan.health_checks[key] for key in sorted(plan.health_checks)],
        "serviceCIDRs": plan.service_cidrs,
        "nodePorts": plan.node_ports,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def _in_order(plan: ForwardingPlan) -> list[ServicePlan]:
    return [plan.services[key] for key in sorted(plan.services)]


def _label(service: ServicePlan) -> str:
    return f"{service.id} IPv{service.family}"


def _row(plan: ForwardingPlan, service: ServicePlan, frontend: Frontend) -> tuple[str, ...]:
    policy = service.policy(frontend.exposure)
    verdict = service.verdict(policy)
    backends = _backends(service.backends(policy)) if verdict is Verdict.FORWARD else _WHY[verdict]
    if frontend.exposure is Exposure.NODE_PORT:
        addresses = _node_port_addresses(plan, service.family)
        target = ", ".join(host_port(one, frontend.port) for one in addresses)
    else:
        target = host_port(frontend.address, frontend.port)
    return (str(frontend.exposure), target, str(policy), str(verdict), backends)


def _node_port_addresses(plan: ForwardingPlan, family: int) -> list[str]:
    if family in plan.node_ports.any_of:
        return ["*"]
    found = [one for one in plan.node_ports.addresses if (":" in one) == (family == 6)]
    return found or ["(no address)"]


def _backends(backends: Iterable[Backend]) -> str:
    return ", ".join(
        host_port(one.address, one.port)
        + (f" {one.pod}" if one.pod else "")
        + (" here" if one.local else "")
        for one in backends
    )


def _details(service: ServicePlan) -> Iterator[str]:
    if service.affinity:
        yield f"session affinity: ClientIP, {service.affinity} s"
    if service.source_ranges:
        yield f"LoadBalancer only from: {', '.join(service.source_ranges)}"
    if service.balance:
        yield f"balance: {service.balance}"
    if service.proxy_protocol:
        yield f"PROXY protocol: {service.proxy_protocol}"
    if service.retry:
        yield f"retry: {service.retry}"
    if service.responses:
        yield f"responses: {service.responses}"
    if service.preferred:
        yield f"by hints, {service.hint_weight} times as often: {_backends(service.preferred)}"
    for one in service.left_out:
        where = host_port(one.address, one.port) if one.port else one.address
        yield f"left out: {where}: {one.reason} ({one.rule})"


def _footer(plan: ForwardingPlan) -> Iterator[str]:
    for key in sorted(plan.health_checks):
        check = plan.health_checks[key]
        yield (
            f"health check of {check.namespace}/{check.service} at port {check.port}: "
            f"{check.local_endpoints} ready here"
        )
    if plan.service_cidrs:
        yield f"unused addresses are dropped in: {', '.join(plan.service_cidrs)} (R25)"
