from svcdns.plugins.explain import ConnectionView, EndpointView, Explanation, ServiceView
from svcdns.plugins.explainquery import Attempt
from svcdns.plugins.explaintext import to_text
from svcdns.proxy.model import Backend, LeftOut

TRIED = Attempt("web.a.svc.z.", "A", "NXDOMAIN")
FOUND = Attempt(
    "web.b.svc.z.", "A", "NOERROR", ("web.b.svc.z. 5 IN A 10.96.0.10",), server="dns://:53",
    zone=".", block="Corefile:1", passed=("errors", "kubernetes"), plugin="kubernetes",
)  # fmt: skip


def test_the_way_is_told_from_question_to_backends() -> None:
    service = ServiceView(
        "b", "web", "ClusterIP", ("10.96.0.10",), ("http:80/TCP",), "",
        (
            EndpointView("10.1.0.1", ("http:8080/TCP",), "ready", "behind the cluster IP", "web-x", "10-1-0-1", "web-0", "n1"),
            EndpointView("10.1.0.10", ("http:8080/TCP",), "not ready", "behind the cluster IP", "web-x", "10-1-0-10"),
        ),
    )  # fmt: skip
    connection = ConnectionView(
        "ClusterIP 10.96.0.10:80", "http", "TCP", "Cluster", "forward",
        (Backend("10.1.0.1", 8080, pod="web-0"), Backend("fd00::1", 8080)),
        (LeftOut("10.1.0.10", 8080, "R58", "not ready"), LeftOut("10.1.0.11", 0, "R8", "no port")),
        10800,
    )  # fmt: skip

    text = to_text(
        Explanation((TRIED, FOUND), ("it is so",), (service,), (connection,), ("a.svc.z", "z"))
    )

    assert text == (
        "search path: a.svc.z z (ndots:5)\n"
        "tried: web.a.svc.z. A: NXDOMAIN\n"
        "web.b.svc.z. A: NOERROR\n"
        "    web.b.svc.z. 5 IN A 10.96.0.10\n"
        "server block: dns://:53 . (Corefile:1)\n"
        "plugins: errors -> kubernetes\n"
        "answered by: kubernetes\n"
        "because: it is so\n"
        "\n"
        "Service b/web: ClusterIP  10.96.0.10  ports http:80/TCP\n"
        "    10.1.0.1   ready      behind the cluster IP  http:8080/TCP  web-0 on n1  slice web-x\n"
        "    10.1.0.10  not ready  behind the cluster IP  http:8080/TCP  10-1-0-10    slice web-x\n"
        "\n"
        "connections:\n"
        "    ClusterIP 10.96.0.10:80/TCP (http), policy Cluster: one of 10.1.0.1:8080 web-0,"
        " [fd00::1]:8080, the same one for 10800 s a client\n"
        "        left out: 10.1.0.10:8080: not ready (R58)\n"
        "        left out: 10.1.0.11: no port (R8)\n"
    )


def test_a_connection_without_endpoints_is_refused_or_dropped() -> None:
    views = [
        ConnectionView("ClusterIP 10.96.0.10:80", "", "TCP", "Local", verdict)
        for verdict in ("reject", "drop")
    ]

    lines = to_text(Explanation((FOUND,), connections=tuple(views))).splitlines()
    assert lines[-2].endswith("policy Local: refused: no usable endpoint anywhere (R50)")
    assert lines[-1].endswith("policy Local: dropped: no usable endpoint on this node (R50)")


def test_who_else_would_be_asked_and_what_went_wrong_is_said() -> None:
    asks = Attempt(
        "www.", "A", "unknown", plugin="forward", asks=("ask 192.0.2.1:53", "ask 192.0.2.2:53")
    )
    failed = Attempt("www.", "A", "SERVFAIL", plugin="errors", reason="nobody left")

    assert "decided by: forward, which would ask 192.0.2.1:53, then ask 192.0.2.2:53\n" in to_text(
        Explanation((asks,))
    )
    assert "answered by: errors\nreason: nobody left\n" in to_text(Explanation((failed,)))


def test_authority_and_additional_are_told_apart_from_the_answer() -> None:
    attempt = Attempt("a.", "SRV", "NOERROR", ("one",), ("two",), ("three",))

    assert to_text(Explanation((attempt,))).splitlines()[1:] == [
        "    one",
        "    ;authority: two",
        "    ;additional: three",
    ]
