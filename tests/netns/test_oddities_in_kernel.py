"""Rules about what is not a connection to a Service, or about what nobody does for one."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.flows import (
    ADDRESSES,
    Case,
    Step,
    endpoint,
    node_object,
    port,
    service,
    slice_of,
)
from tests.support.kernel import Kernel
from tests.support.world import Place, World

IP = {4: "10.96.5.5", 6: "fd00:10:96::5"}
VIP = {4: "203.0.113.10", 6: "2001:db8:113::10"}

PING = """
import select, socket, sys
address, six = sys.argv[1], ":" in sys.argv[1]
family, protocol, request = (10, 58, 128) if six else (2, 1, 8)
with socket.socket(family, socket.SOCK_RAW, protocol) as sock:
    sock.connect((address, 0)) if six else None
    octets = bytes([request, 0, 0, 0, 0, 7, 0, 1]) + b"ping"
    if not six:
        total = sum(int.from_bytes(octets[i:i + 2]) for i in range(0, len(octets), 2))
        total = (total & 0xffff) + (total >> 16)
        octets = octets[:2] + (0xffff ^ total).to_bytes(2) + octets[4:]
    own = socket.socket(family, socket.SOCK_RAW, protocol)
    sock.sendto(octets, (address, 0))
    while select.select([own], [], [], 10)[0]:
        found = own.recv(200)[0 if six else 20:]
        if found[0] in (0, 129) and found[4:6] == bytes([0, 7]):
            print("answered"); break
        if (found[0], found[1]) in ((3, 3), (1, 4)):
            print("refused"); break
    else:
        print("silence")
"""


def _world(world: World, family: int, *objects: dict[str, Any]) -> Kernel:
    kernel = Kernel(world, Case("oddities", (), (Step(),), family=family))
    Step((node_object(), *objects)).feed(kernel.store)
    kernel.follow()
    return kernel


def _ping(place: Place, address: str) -> str:
    return place.run(sys.executable, "-c", PING, address).strip()


@pytest.mark.parametrize("family", [4, 6])
def test_an_echo_request_is_refused_by_a_cluster_ip_and_not_by_a_balancers_r24_r49(
    world: World, family: int
) -> None:
    pods = slice_of("web", [endpoint("p2", family=family)], family=family)
    balanced = service("web", IP[family], type="LoadBalancer", ingress=[VIP[family]])
    kernel = _world(world, family, balanced, pods)
    assert _ping(world["p1"], ADDRESSES[family]["p2"]) == "answered", "the ping works"
    assert _ping(world["p1"], IP[family]) == "refused"
    own = [f"{VIP[family]}/{32 if family == 4 else 128}", "dev", "lo"]
    world["external"].run("ip", "address", "add", *own)
    try:
        assert _ping(world["p1"], VIP[family]) == "answered", "by the host it is routed to"
    finally:
        world["external"].run("ip", "address", "delete", *own)
    assert not kernel.ruleset.adopt(kernel.listing()).operations


@pytest.mark.parametrize("family", [4, 6])
def test_pods_of_a_headless_service_are_reached_without_us_r28(world: World, family: int) -> None:
    pods = slice_of("web", [endpoint("p2", family=family)], family=family)
    kernel = _world(world, family, service("web", "None", ports=[port(number=80)]), pods)
    (outcomes,) = world["p1"].ask([["TCP", ADDRESSES[family]["p2"], 8080, 1, 10]])
    assert outcomes == [["p2", ADDRESSES[family]["p1"]]], "on the pod's own port"
    assert not kernel.ruleset.keys


@contextmanager
def _listening(place: Place, number: int) -> Iterator[None]:
    script = (
        f"import socket; s = socket.create_server(('', {number})); print('ready', flush=True)\n"
        "while True: c, _ = s.accept(); c.sendall(b'squatter here'); c.close()"
    )
    process = subprocess.Popen(
        [*place.enter, sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == "ready\n", "R35: nobody holds the port"
        yield
    finally:
        process.kill()
        process.communicate()


def test_a_node_port_is_not_held_and_shadows_who_binds_it_r35(world: World) -> None:
    node = ADDRESSES[4]["node"]
    exposed = service("web", IP[4], type="NodePort", ports=[port(nodePort=30080)])
    _world(world, 4, exposed, slice_of("web", [endpoint("p2")]))
    with _listening(world["node"], 30080):
        (outcomes,) = world["external"].ask([["TCP", node, 30080, 3, 10]])
        assert {name for name, _ in outcomes} == {"p2"}
        _world(world, 4)
        (outcomes,) = world["external"].ask([["TCP", node, 30080, 1, 10]])
        assert outcomes == [["squatter", "here"]]


def test_a_dead_endpoint_fails_its_connections_until_it_is_taken_out_r110(world: World) -> None:
    dead = {**endpoint("p3"), "addresses": [ADDRESSES[4]["node-2"]]}  # nobody listens there
    kernel = _world(world, 4, service("web", IP[4]), slice_of("web", [endpoint("p2"), dead]))
    (outcomes,) = world["p1"].ask([["TCP", IP[4], 80, 40, 10]])
    found = {one if isinstance(one, str) else one[0] for one in outcomes}
    assert found == {"refused", "p2"}, "nobody tries again on another one"
    Step((slice_of("web", [endpoint("p2")]),)).feed(kernel.store)
    kernel.follow()
    (outcomes,) = world["p1"].ask([["TCP", IP[4], 80, 40, 10]])
    assert {one[0] for one in outcomes} == {"p2"}
