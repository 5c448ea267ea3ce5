"""What a batch of changes to a store comes to, in words.

``changed: Service default/web (ports), +1 endpoint default/web-2 127.244.0.9``: Services and
endpoints first, because they are what answers and forwarding are made of; Pods only where they
changed nothing else that is named.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct, structs

from svcdns.kube.manifests import subject_of
from svcdns.kube.objects import (
    Endpoint,
    EndpointSlice,
    Kind,
    KubeObject,
    Pod,
    Service,
)
from svcdns.kube.store import Delta

MAX_PARTS = 8
"""Parts of a line before the rest is only counted."""

_SPOKEN = {
    "cluster_ip": "address",
    "cluster_ips": "address",
    "ip_families": "address",
    "session_affinity_config": "sessionAffinity",
    "pod_ip": "address",
    "pod_ips": "address",
    "conditions": "readiness",
}
"""Fields by the word that a person would use; the others by the API's own."""


_Place = tuple[str, str]
"""Who an endpoint is, by its Pod, its host name, or its Service (``default/web-2``), and its
address."""


def summarise(deltas: Iterable[Delta]) -> str:
    """Write one line about *deltas*; empty when nothing is worth a word."""
    deltas = tuple(deltas)
    parts: list[str] = []
    for delta in deltas:
        if delta.kind not in (Kind.ENDPOINT_SLICE, Kind.POD) and (text := _object(delta)):
            parts.append(text)
    pods = {delta.key for delta in deltas if delta.kind is Kind.POD}
    endpoints, spoken_of = _endpoints(deltas)
    parts += endpoints
    named = {f"{namespace}/{name}" for namespace, name in pods} & spoken_of
    parts += [
        text
        for delta in deltas
        if delta.kind is Kind.POD and "/".join(delta.key) not in named and (text := _object(delta))
    ]
    if len(parts) > MAX_PARTS:
        parts[MAX_PARTS:] = [f"and {len(parts) - MAX_PARTS} more"]
    return ", ".join(parts)


def state_of(endpoint: Endpoint) -> str:
    """Name the state of an endpoint: ready, not ready, or terminating."""
    if endpoint.terminating:
        return "terminating" if endpoint.serving else "terminating, not serving"
    return "ready" if endpoint.ready else "not ready"


def _object(delta: Delta) -> str:
    old, new = delta.old, delta.new
    if new is None:
        assert old is not None
        return f"removed: {subject_of(old)}"
    if old is None:
        return f"added: {subject_of(new)}{_where(new)}"
    fields = _differences(old, new)
    return f"changed: {subject_of(new)} ({', '.join(fields)})" if fields else ""


def _where(found: KubeObject) -> str:
    match found:
        case Service():
            return "".join(f" {address}" for address in found.addresses)
        case Pod():
            return f" {found.status.pod_ip}" if found.status.pod_ip else ""
        case _:
            return ""


def _differences(old: KubeObject, new: KubeObject) -> list[str]:
    """Name the fields that differ, one level below metadata, spec and status."""
    before, after = _fields(old), _fields(new)
    names = [name for name in after if before.get(name) != after[name]]
    names += [name for name in before if name not in after]
    return list(dict.fromkeys(_SPOKEN.get(name) or _camel(name) for name in names))


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def _fields(found: KubeObject) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name in found.__struct_fields__:
        part = getattr(found, name)
        if isinstance(part, Struct):
            fields |= structs.asdict(part)
        else:
            fields[name] = part
    return fields


def _endpoints(deltas: Iterable[Delta]) -> tuple[list[str], set[str]]:
    """Compare the endpoints of all slices that changed; the parts, and the Pods they speak of.

    An endpoint that several Services have is spoken of once.
    """
    before: dict[_Place, str] = {}
    after: dict[_Place, str] = {}
    for delta in deltas:
        if delta.kind is Kind.ENDPOINT_SLICE:
            _collect(delta.old, before)
            _collect(delta.new, after)
    changed = [
        (place, before[place], after[place])
        for place in after
        if place in before and before[place] != after[place]
    ]
    parts = _counted("+", {place: after[place] for place in after.keys() - before.keys()})
    parts += _counted("-", {place: "" for place in before.keys() - after.keys()})
    parts += [
        f"endpoint {who} {address} is {state}, was {was}"
        for (who, address), was, state in sorted(changed)
    ]
    moved = (before.keys() ^ after.keys()) | {place for place, _, _ in changed}
    return parts, {who for who, _ in moved}


def _collect(found: KubeObject | None, states: dict[_Place, str]) -> None:
    if not isinstance(found, EndpointSlice):
        return
    _, service = found.service or found.metadata.key
    for endpoint in found.endpoints or ():
        who = endpoint.target_ref.name if endpoint.target_ref else None
        who = f"{found.metadata.namespace}/{who or endpoint.hostname or service}"
        for address in endpoint.addresses or ():
            states[who, address] = state_of(endpoint)


def _counted(sign: str, states: Mapping[_Place, str]) -> list[str]:
    """Write ``+2 endpoints default/web-1 127.244.0.8, default/web-2 127.244.0.9 (not ready)``."""
    if not states:
        return []
    some = sorted(states)[:MAX_PARTS]
    names = []
    for who, address in some:
        state = states[who, address]
        names.append(f"{who} {address}" + (f" ({state})" if state not in ("", "ready") else ""))
    if len(states) > len(some):
        names.append(f"and {len(states) - len(some)} more")
    return [f"{sign}{len(states)} endpoint{'s' if len(states) > 1 else ''} {', '.join(names)}"]
