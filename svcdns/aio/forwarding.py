"""The proxy of ``svcdns up``: a store of manifests, forwarded on this machine's loopback."""

import asyncio
import errno
import socket
from pathlib import Path

from msgspec.structs import replace

from svcdns.aio.occupied import complaint
from svcdns.aio.userspace import UserspaceProxy
from svcdns.errors import ConfigError
from svcdns.kube.overview import UNPRIVILEGED, Reach, bound_port
from svcdns.kube.store import Delta, Store
from svcdns.metrics import Registry
from svcdns.proxy.listeners import Surroundings, needs
from svcdns.proxy.model import ForwardingPlan, NodeView, PlanOptions, ServicePlan
from svcdns.proxy.plan import Planner

FIRST_PORT = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")

GRACE = 1.0
"""Seconds that forwarded connections have to end after Ctrl-C."""

NODE_ADDRESS = "127.0.0.1"
"""Serves node ports."""


def can_bind(address: str) -> bool:
    """Try whether this machine lets us listen on an address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.bind((address, 0))
    except OSError:
        return False
    return True


def first_port() -> int:
    """Find the lowest port that we may bind, by trying."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        try:
            sock.bind((NODE_ADDRESS, 1))
        except OSError as error:
            if error.errno != errno.EACCES:
                return 1  # taken, so nothing stood in the way
        else:
            return 1
    try:
        return int(FIRST_PORT.read_text())
    except (OSError, ValueError):
        return UNPRIVILEGED


class Forwarding:
    """The proxy of a store: every change is planned and applied in the same turn of the loop."""

    def __init__(
        self, store: Store, node: str, reach: Reach, registry: Registry, *, access_log: bool = False
    ) -> None:
        self._store = store
        self._reach = reach
        node = node or min((name for _, name in store.nodes), default="")
        view = NodeView(node, addresses=(NODE_ADDRESS,), bind_address=NODE_ADDRESS)
        options = PlanOptions(loopback_node_ports=True, hint_weights=True)
        self._planner = Planner(store, view, options)
        self._handle: asyncio.Handle | None = None
        self._here: dict[str, bool] = {}
        self._stand_ins: dict[tuple[str, int, str], int] = {}
        "By address, port and protocol of the frontend; made anew with every plan."
        self._around = Surroundings((NODE_ADDRESS,))
        self._proxy = UserspaceProxy(
            registry=registry, bind=self._bind, around=self._around, access_log=access_log
        )

    def check(self) -> None:
        """Find out, before anything is opened, whether another process serves all this.

        Raises:
            ConfigError: It does.
        """
        self._planner.update()
        wanted = needs(self._plan(), self._around).sockets
        found = complaint(
            replace(one, address=address, port=port)
            for one in wanted
            for address, port in [self._bind(one.address, one.port, one.protocol)]
        )
        if found:
            raise ConfigError(found)

    async def start(self) -> None:
        """Forward what is there, and follow changes."""
        await self._proxy.start()
        self._apply()
        self._store.subscribe(self._note)

    async def stop(self) -> None:
        """Close everything, after a second for what is under way."""
        self._store.unsubscribe(self._note)
        if self._handle:
            self._handle.cancel()
        self._planner.close()
        await self._proxy.stop(GRACE)

    def _note(self, _delta: Delta) -> None:
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_soon(self._apply)

    def _apply(self) -> None:
        self._handle = None
        self._planner.update()
        self._proxy.apply(self._plan())

    def _plan(self) -> ForwardingPlan:
        plan = self._planner.plan
        self._stand_ins = self._find_stand_ins()
        # an IPv6 cluster IP that is not here was reported when its manifest was read
        services = {key: one for key, one in plan.services.items() if self._is_here(one)}
        return replace(plan, services=services)

    def _is_here(self, plan: ServicePlan) -> bool:
        """Tell whether this machine has an IPv6 cluster IP; IPv4 ones were given by us."""
        if plan.family == 4 or not plan.frontends:
            return True
        address = plan.frontends[0].address
        if address not in self._here:
            self._here[address] = can_bind(address)
        return self._here[address]

    def _bind(self, address: str, port: int, protocol: str) -> tuple[str, int]:
        """Say where a frontend is bound: privileged ports have a stand-in."""
        return address, self._stand_ins.get((address, port, protocol), port)

    def _find_stand_ins(self) -> dict[tuple[str, int, str], int]:
        found: dict[tuple[str, int, str], int] = {}
        for service in self._store.services.values():
            for one in service.ports:
                if one.port < self._reach.first_port:
                    bound = bound_port(service, one, self._reach)
                    for address in service.addresses:
                        found.setdefault((address, one.port, one.protocol), bound)
        return found
