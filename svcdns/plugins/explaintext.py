"""An explanation as text for people."""

from collections.abc import Iterator

from svcdns.columns import align
from svcdns.hostport import host_port
from svcdns.plugins.explain import ConnectionView, Explanation, ServiceView
from svcdns.plugins.explainquery import Attempt
from svcdns.proxy.model import Verdict

_WHY = {
    Verdict.REJECT: "refused: no usable endpoint anywhere (R50)",
    Verdict.DROP: "dropped: no usable endpoint on this node (R50)",
}


def to_text(explanation: Explanation) -> str:
    """Render the whole of it."""
    return "\n".join(_lines(explanation)) + "\n"


def _lines(explanation: Explanation) -> Iterator[str]:
    if explanation.search:
        yield f"search path: {' '.join(explanation.search)} (ndots:5)"
    *before, last = explanation.attempts
    for attempt in before:
        yield f"tried: {attempt.name} {attempt.type}: {attempt.result}"
    yield from _attempt(last)
    for note in explanation.notes:
        yield f"because: {note}"
    for service in explanation.services:
        yield ""
        yield from _service(service)
    if explanation.connections:
        yield ""
        yield "connections:"
        for connection in explanation.connections:
            yield from _connection(connection)


def _attempt(attempt: Attempt) -> Iterator[str]:
    yield f"{attempt.name} {attempt.type}: {attempt.result}"
    for title, records in (
        ("answer", attempt.answer),
        ("authority", attempt.authority),
        ("additional", attempt.additional),
    ):
        for record in records:
            yield f"    {record}" if title == "answer" else f"    ;{title}: {record}"
    if attempt.server:
        where = f" ({attempt.block})" if attempt.block else ""
        yield f"server block: {attempt.server} {attempt.zone}{where}"
    if attempt.passed:
        yield f"plugins: {' -> '.join(attempt.passed)}"
    if attempt.asks:
        yield f"decided by: {attempt.plugin}, which would {', then '.join(attempt.asks)}"
    elif attempt.plugin:
        yield f"answered by: {attempt.plugin}"
    if attempt.reason:
        yield f"reason: {attempt.reason}"


def _service(service: ServiceView) -> Iterator[str]:
    words = [f"Service {service.namespace}/{service.name}: {service.type}"]
    words += [", ".join(service.addresses)] if service.addresses else []
    words += [f"-> {service.external_name}"] if service.external_name else []
    words += [f"ports {', '.join(service.ports)}"] if service.ports else []
    yield "  ".join(words)
    rows = [
        (
            f"{one.address}",
            one.state,
            one.dns,
            " ".join(one.ports),
            " ".join(
                [one.pod or one.name, *([f"on {one.node}"] if one.node else [])]
            ),
            f"slice {one.slice}",
        )
        for one in service.endpoints
    ]  # fmt: skip
    for line in align(rows):
        yield f"    {line}"


def _connection(connection: ConnectionView) -> Iterator[str]:
    name = f" ({connection.port})" if connection.port else ""
    yield (
        f"    {connection.frontend}/{connection.protocol}{name}, policy {connection.policy}: "
        + (_WHY.get(Verdict(connection.verdict)) or _reaches(connection))
    )
    for one in connection.left_out:
        where = f"{one.address}:{one.port}" if one.port else one.address
        yield f"        left out: {where}: {one.reason} ({one.rule})"


def _reaches(connection: ConnectionView) -> str:
    backends = ", ".join(
        host_port(one.address, one.port) + (f" {one.pod}" if one.pod else "")
        for one in connection.backends
    )
    sticky = f", the same one for {connection.affinity} s a client" if connection.affinity else ""
    return f"one of {backends}{sticky}"
