"""The table and the commands that ``svcdns up`` prints."""

import pytest

from svcdns.kube.overview import MAX_ENDPOINTS, MAX_SERVICES, Reach, render, stand_in
from tests.support.manifests import Directory, pod, service

REACH = Reach("127.0.0.1", 1053, "cluster.local", first_port=1024)


def shown(directory: Directory, reach: Reach = REACH) -> list[str]:
    return render(directory.store, reach).splitlines()


def tries(directory: Directory, reach: Reach = REACH) -> list[str]:
    return [line.split("  # ")[0].strip() for line in shown(directory, reach) if "  # " in line]


def test_every_service_and_every_endpoint_has_its_line() -> None:
    directory = Directory()
    not_ready = {"podIP": "127.2.2.2", "conditions": [{"type": "Ready", "status": "False"}]}
    leaving = pod("web-2", "web", status={"podIP": "127.2.2.3"}, spec={"nodeName": "n1"})
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    directory.put(
        "a.yaml",
        service(
            "web", clusterIP="127.1.1.1", ports=[{"name": "http", "port": 8080}],
            sessionAffinity="ClientIP",
        ),
        pod("web-0", "web", status={"podIP": "127.2.2.1"}),
        pod("web-1", "web", status=not_ready),
        leaving,
        service("db", clusterIP="None"),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "ext"},
            "spec": {"type": "ExternalName", "externalName": "x.example"},
        },
    )  # fmt: skip

    assert shown(directory)[:8] == [
        "DNS      127.0.0.1 port 1053, UDP and TCP; zone cluster.local",
        "",
        "SERVICE      TYPE               ADDRESS    PORTS          ENDPOINTS",
        "default/db   headless           -          80/TCP         none",
        "default/ext  ExternalName       x.example  -",
        "default/web  ClusterIP, sticky  127.1.1.1  http:8080/TCP  web-0 127.2.2.1:8080 ready",
        "                                                          web-1 127.2.2.2:8080 not ready",
        "                                                          web-2 127.2.2.3:8080 terminating on n1",
    ]


def test_commands_are_for_these_objects() -> None:
    directory = Directory()
    directory.put(
        "a.yaml",
        service("web", clusterIP="127.1.1.1", ports=[{"name": "http", "port": 8080}]),
        service("cart", clusterIP="127.1.1.2", sessionAffinity="ClientIP", ports=[{"port": 8080}]),
        service("db", clusterIP="None"),
        pod("db-0", "db", spec={"hostname": "first", "subdomain": "db"}),
        service("clock", clusterIP="127.1.1.3", ports=[{"port": 53, "protocol": "UDP"}]),
        pod("web-0", "web"),
        pod("cart-0", "cart"),
        pod("clock-0", "clock", labels={"svcdns.io/echo": "udp"}),
    )

    dig = "dig @127.0.0.1 -p 1053"
    loop = "for n in $(seq 60); do curl -s {}; done | sort | uniq -c"
    assert tries(directory) == [
        f"{dig} cart.default.svc.cluster.local",
        f"{dig} +short SRV _http._tcp.web.default.svc.cluster.local",
        f"{dig} +short db.default.svc.cluster.local",
        f"{dig} +short first.db.default.svc.cluster.local",
        f"{dig} +short -x 127.1.1.2",
        f"{dig} missing.default.svc.cluster.local",
        "curl http://127.1.1.1:8080/",
        loop.format("http://127.1.1.1:8080/"),
        loop.format("http://127.1.1.2:8080/"),
        "echo hello | nc -u -w1 127.1.1.3 8053",
        "dig @127.1.1.3 -p 8053 +short TXT who.am.i",
    ]


def test_what_has_no_ready_endpoint_is_not_suggested_to_be_reached() -> None:
    directory = Directory()
    not_ready = {"podIP": "127.2.2.2", "conditions": [{"type": "Ready", "status": "False"}]}
    directory.put(
        "a.yaml",
        service("alone", clusterIP="127.1.1.1", ports=[{"port": 8080}]),
        service("clock", clusterIP="127.1.1.2", ports=[{"port": 5353, "protocol": "UDP"}]),
        service("db", clusterIP="None"),
        pod("db-0", "db", status=not_ready),
    )

    dig = "dig @127.0.0.1 -p 1053"
    assert tries(directory) == [
        f"{dig} alone.default.svc.cluster.local",
        f"{dig} +short -x 127.1.1.1",
        f"{dig} missing.default.svc.cluster.local",
    ]


def test_only_echo_endpoints_are_known_to_answer_dns() -> None:
    directory = Directory()
    clock = service("clock", clusterIP="127.1.1.2", ports=[{"port": 5353, "protocol": "UDP"}])
    echo = pod("clock-0", "clock", labels={"svcdns.io/echo": "udp"})
    directory.put("a.yaml", clock, echo)
    assert any("who.am.i" in command for command in tries(directory))
    directory.put("a.yaml", clock, echo, pod("clock-1", "clock"))
    assert not any("who.am.i" in command for command in tries(directory))
    assert "echo hello | nc -u -w1 127.1.1.2 5353" in tries(directory)


def test_without_a_proxy_nothing_is_connected_to() -> None:
    directory = Directory()
    directory.put("a.yaml", service("web", clusterIP="127.1.1.1"))

    reach = Reach("127.0.0.1", 53, "c.test", proxy=False)
    assert all(command.startswith("dig @127.0.0.1 -p 53 ") for command in tries(directory, reach))
    assert not any("(at" in line for line in shown(directory, reach))


def test_a_port_that_takes_privileges_is_shown_where_it_is() -> None:
    directory = Directory()
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 8080}]
    directory.put("a.yaml", service("web", clusterIP="127.1.1.1", ports=ports), pod("web-0", "web"))

    assert any("a:80/TCP (at 9080),b:8080/TCP" in line for line in shown(directory))
    assert "curl http://127.1.1.1:9080/" in tries(directory)
    privileged = Reach("127.0.0.1", 1053, "cluster.local", first_port=1)
    assert not any("(at" in line for line in shown(directory, privileged))


@pytest.mark.parametrize(
    ("port", "taken", "first", "bound"),
    [
        (80, (), 1024, 8080),
        (443, (), 1024, 8443),
        (53, (8053, 9053), 1024, 10053),
        (1024, (), 1024, 1024),
        (80, (), 80, 80),
    ],
)
def test_a_stand_in_is_recognised_and_free(
    port: int, taken: tuple[int, ...], first: int, bound: int
) -> None:
    assert stand_in(port, taken, first) == bound


def test_a_node_port_is_shown() -> None:
    directory = Directory()
    ports = [{"port": 8080, "nodePort": 30080}]
    directory.put("a.yaml", service("web", type="NodePort", clusterIP="127.1.1.1", ports=ports))

    assert any("8080/TCP node port 30080" in line for line in shown(directory))


def test_an_empty_directory_says_so() -> None:
    assert shown(Directory())[2:] == ["No Services yet."]


def test_long_lists_end_with_a_count() -> None:
    directory = Directory()
    pods = [pod(f"p{n}", "web", status={"podIP": f"127.2.2.{n}"}) for n in range(1, 13)]
    many = [service(f"s{n}", clusterIP="None") for n in range(MAX_SERVICES)]
    directory.put("a.yaml", service("a", selector={"app": "web"}), *many, *pods)

    lines = shown(directory)
    assert any(line.strip() == f"and {12 - MAX_ENDPOINTS} more" for line in lines)
    assert "and 1 more Services" in lines


def test_top_is_suggested_where_it_has_something_to_show() -> None:
    directory = Directory()
    metered = Reach("127.0.0.1", 1053, "cluster.local", top="svcdns top 127.0.0.1:9000")
    assert "svcdns top 127.0.0.1:9000" not in tries(directory, metered)
    directory.put("a.yaml", service("web", clusterIP="127.1.1.1"))
    assert tries(directory, metered)[-1] == "svcdns top 127.0.0.1:9000"
    names_only = Reach("127.0.0.1", 1053, "cluster.local", proxy=False, top="svcdns top")
    assert not any("svcdns top" in line for line in tries(directory, names_only))
    assert not any("svcdns top" in line for line in tries(directory))
