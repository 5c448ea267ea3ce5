"""What forwarding needs from this machine; with manifests and sockets it is tried in test_up."""

import socket

import pytest

from svcdns.aio.forwarding import Forwarding, can_bind, first_port
from svcdns.errors import ConfigError
from svcdns.kube.overview import Reach
from svcdns.metrics import Registry
from tests.support.manifests import Directory, pod, service

REACH = Reach("127.0.0.1", 1053, "cluster.local")


def test_what_the_machine_lets_us_bind_is_found_by_trying() -> None:
    assert can_bind("127.44.5.6")
    assert not can_bind("203.0.113.7")
    assert not can_bind("fd00::1:2:3")
    assert 1 <= first_port() <= 65536


def directory(*ports: int) -> Directory:
    found = Directory()
    wanted = [{"name": f"p{port}", "port": port} for port in ports]
    spec = {"podIP": "127.91.4.1"}
    found.put(
        "a.yaml", service("web", clusterIP="127.91.4.4", ports=wanted), pod("w", "web", status=spec)
    )
    return found


async def test_stand_ins_of_low_ports_are_what_is_looked_at() -> None:
    forwarding = Forwarding(directory(80).store, "", REACH, Registry())
    in_use = pytest.raises(ConfigError, match=r"it is in use: 127\.91\.4\.4 port 8080/TCP")
    with socket.create_server(("127.91.4.4", 8080)), in_use:
        forwarding.check()
    forwarding.check()


async def test_somebody_else_on_one_port_stops_nobody() -> None:
    with socket.create_server(("127.91.4.4", 9080)):
        Forwarding(directory(9080, 9081).store, "", REACH, Registry()).check()


async def test_a_service_that_nobody_listens_for_is_not_looked_at() -> None:
    found = directory(9080)
    found.drop("a.yaml")
    found.put("b.yaml", service("web", clusterIP="127.91.4.4", ports=[{"port": 9080}]))
    with socket.create_server(("127.91.4.4", 9080)):
        Forwarding(found.store, "", REACH, Registry()).check()


async def test_every_low_port_of_every_service_has_a_stand_in_of_its_own() -> None:
    found = Directory()
    for number in (4, 5):
        address = f"127.91.4.{number}"
        found.put(
            f"{number}.yaml",
            service(
                f"s{number}",
                clusterIP=address,
                ports=[{"name": "a", "port": 81}, {"name": "b", "port": 8081}],
            ),
            pod(f"p{number}", f"s{number}", status={"podIP": "127.91.4.1"}),
        )
    forwarding = Forwarding(found.store, "", REACH, Registry())
    await forwarding.start()
    try:
        for address in ("127.91.4.4", "127.91.4.5"):
            for port in (9081, 8081):  # 8081 is the Service's own, so 81 has the next
                with pytest.raises(OSError, match="in use"):
                    socket.create_server((address, port))
    finally:
        await forwarding.stop()
