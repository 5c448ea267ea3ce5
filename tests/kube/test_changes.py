"""What a batch of changes comes to, in words."""

from typing import Any

import pytest

from svcdns.kube.changes import summarise
from tests.support.manifests import Directory, pod, service


def edit(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> str:
    directory = Directory()
    directory.put("a.yaml", *before)
    return summarise(directory.put("a.yaml", *after).deltas)


WEB = service("web", clusterIP="127.1.1.1")
NOT_READY = {"podIP": "127.2.2.1", "conditions": [{"type": "Ready", "status": "False"}]}


def web(number: int, **more: Any) -> dict[str, Any]:
    return pod(f"web-{number}", "web", **({"status": {"podIP": f"127.2.2.{number}"}} | more))


def outside(name: str, address: str) -> dict[str, Any]:
    """Make an endpoint that is no Pod."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-x", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"port": 80}],
        "endpoints": [{"addresses": [address]}],
    }


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ([WEB], [WEB], ""),
        ([], [WEB], "added: Service default/web 127.1.1.1"),
        ([WEB], [], "removed: Service default/web"),
        (
            [WEB, web(1)],
            [service("web", clusterIP="127.1.1.1", ports=[{"port": 81}]), web(1), web(2)],
            "changed: Service default/web (ports), +1 endpoint default/web-2 127.2.2.2",
        ),
        ([WEB, web(1), web(2)], [WEB, web(2)], "-1 endpoint default/web-1 127.2.2.1"),
        (
            [WEB, web(1)],
            [WEB, web(1, status=NOT_READY)],
            "endpoint default/web-1 127.2.2.1 is not ready, was ready",
        ),
        (
            [WEB],
            [WEB, web(1, status=NOT_READY)],
            "+1 endpoint default/web-1 127.2.2.1 (not ready)",
        ),
        (
            [WEB],
            [service("web", clusterIP="127.1.1.2", sessionAffinity="ClientIP")],
            "changed: Service default/web (address, sessionAffinity)",
        ),
        (
            [outside("db", "10.1.1.1"), outside("mail", "10.1.1.2")],
            [outside("db", "10.1.1.9"), outside("mail", "10.1.1.9")],
            "+2 endpoints default/db 10.1.1.9, default/mail 10.1.1.9,"
            " -2 endpoints default/db 10.1.1.1, default/mail 10.1.1.2",
        ),
        ([], [web(1)], "added: Pod default/web-1 127.2.2.1"),
        ([web(1)], [web(1, labels={"x": "y"})], "changed: Pod default/web-1 (labels)"),
        ([web(1)], [], "removed: Pod default/web-1"),
    ],
)
def test_a_line_says_what_changed(
    before: list[dict[str, Any]], after: list[dict[str, Any]], line: str
) -> None:
    assert edit(before, after) == line


def test_a_long_line_ends_with_a_count() -> None:
    many = [service(f"s{n}", clusterIP=f"127.1.1.{n}") for n in range(1, 12)]

    assert edit([], many).endswith("added: Service default/s8 127.1.1.8, and 3 more")


def test_many_endpoints_are_named_up_to_a_limit() -> None:
    line = edit([WEB], [WEB, *[web(n) for n in range(1, 12)]])

    assert line.startswith("+11 endpoints default/web-1 127.2.2.1, ")
    assert line.endswith(", and 3 more")
