"""Clients and services of a UDP relay."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from svcdns.aio.udprelay import UdpRelay
from svcdns.aio.userspace import UserspaceProxy
from svcdns.proxy.model import ServicePlan
from tests.support.endpoints import address
from tests.support.plans import service_plan
from tests.support.relays import FRONT, FRONT_ADDRESS

PLACES = [f"{address(2000 + n)}:9000" for n in range(3)]


def udp_plan(*names: str, front: str = FRONT, **more: object) -> ServicePlan:
    return service_plan(front, *names, protocol="UDP", **more)  # type: ignore[arg-type]


@contextmanager
def client() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.connect(FRONT_ADDRESS)
        yield sock


def relay(proxy: UserspaceProxy) -> UdpRelay:
    assert proxy._udp is not None
    return proxy._udp
