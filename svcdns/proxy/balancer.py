"""Which endpoint a connection goes to: choice, affinity, ejection and slow start together.

A :class:`Balancer` belongs to one service port and lives as long as the port does; plans come and
go through :meth:`Balancer.update`.  Time and randomness are arguments.

The default is the power of two choices: of two endpoints drawn at random, the one with fewer
connections.  With short connections nobody has any, and a tie goes to the one whose last turn is
longer ago: the spread is kube-proxy's uniform one (rule R20), only smoother.  With long or slow
ones it keeps the fullest endpoint within a hair of the average (Mitzenmacher 2001), which the
random choice of kube-proxy does not, and which people ask for (kubernetes#38456).  It needs two
look-ups at any number of endpoints, and unlike least connections it neither floods an endpoint that
has just joined nor one that refuses work quickly and therefore always looks idle.  Istio made it
its default for the same reasons.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

from svcdns.proxy.affinity import AffinityTable
from svcdns.proxy.model import Backend, Policy, ServicePlan
from svcdns.proxy.outlier import EjectionRules, Health, may_eject, panics
from svcdns.proxy.topology import hint_weight

Random = Callable[[], float]
"""Gives numbers from 0 up to, but not including, 1."""


class Algorithm(StrEnum):
    """Values of the ``svcdns.io/balance`` annotation."""

    POWER_OF_TWO = "power-of-two"
    LEAST_CONNECTIONS = "least-connections"
    ROUND_ROBIN = "round-robin"
    RANDOM = "random"


DEFAULT = Algorithm.POWER_OF_TWO


class State(StrEnum):
    """What an endpoint is at the moment; values of a metric's label."""

    READY = "ready"
    EJECTED = "ejected"
    SLOW_START = "slow-start"
    DRAINING = "draining"
    "Left the service, but has connections."


def algorithm(text: str) -> Algorithm | None:
    """Read the annotation's value; empty is the default, None says that there is no such one."""
    if not text:
        return DEFAULT
    try:
        return Algorithm(text.strip().lower())
    except ValueError:
        return None


class Endpoint:
    """A backend of one service port, with what has been counted and learnt about it.

    Relays add to the counts themselves; they only ever grow, but for :attr:`active`.
    """

    __slots__ = (
        "active",
        "backend",
        "connect_seconds",
        "connections",
        "ejections",
        "failures",
        "health",
        "received",
        "removed",
        "sent",
        "sockaddr",
        "turn",
        "weight",
    )

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.sockaddr = (backend.address, backend.port)
        self.health = Health()
        self.weight = 1
        "Its share of the pool, which it is in as many times."
        self.removed = False
        "Whether it left the service; what it still serves may go on."
        self.active = 0
        "Connections and UDP sessions that are open or being opened."
        self.connections = 0
        self.connect_seconds = 0.0
        "That connects to it took, all together; TCP only."
        self.turn = 0
        "When it was chosen last, counted in choices; settles ties."
        self.failures = 0
        self.ejections = 0
        self.sent = 0
        "Octets sent to it."
        self.received = 0
        "Octets received from it."

    def state(self, now: float) -> State:
        """Tell what it is at this moment."""
        if self.removed:
            return State.DRAINING
        if self.health.ejected(now):
            return State.EJECTED
        return State.SLOW_START if self.health.ramping(now) else State.READY

    def __repr__(self) -> str:
        return f"<Endpoint {self.backend.address} port {self.backend.port}>"


class Balancer:
    """Chooses among the endpoints of one service port."""

    def __init__(self, random: Random, rules: EjectionRules | None = None) -> None:
        self.rules = rules or EjectionRules()
        self.algorithm = DEFAULT
        self.endpoints: dict[tuple[str, int], Endpoint] = {}
        "Those that new connections may go to, under either policy."
        self._random = random
        self._pools: dict[Policy, list[Endpoint]] = {policy: [] for policy in Policy}
        self._out: set[Endpoint] = set()
        self._ramping: set[Endpoint] = set()
        self._affinity: AffinityTable[Endpoint] | None = None
        self._turn = 0
        self._weighted = False
        self._used = False

    def update(self, plan: ServicePlan, now: float) -> list[Endpoint]:
        """Take over what *plan* says; give back the endpoints that left.

        Endpoints that stay keep their connections, their health and their clients.  Those that left
        lose their clients at once (rule R67).
        """
        self.algorithm = algorithm(plan.balance) or DEFAULT
        wanted = {(b.address, b.port): b for b in (*plan.cluster, *plan.local)}
        gone = [self.endpoints.pop(key) for key in self.endpoints.keys() - wanted.keys()]
        for endpoint in gone:
            endpoint.removed = True
            self._out.discard(endpoint)
            self._ramping.discard(endpoint)
        for key, backend in wanted.items():
            known = self.endpoints.get(key)
            if known is None:
                self.endpoints[key] = self._join(Endpoint(backend), now)
            else:
                known.backend = backend
        for policy, backends in ((Policy.CLUSTER, plan.cluster), (Policy.LOCAL, plan.local)):
            self._pools[policy] = [self.endpoints[(b.address, b.port)] for b in backends]
        self._weigh(plan)
        self._set_affinity(plan.affinity)
        self._used = self._used or bool(wanted)
        return gone

    def _weigh(self, plan: ServicePlan) -> None:
        """Put those that hints mean for us into the pool as many times as they weigh.

        Under policy Local the connection is for this node in any case.
        """
        weight = hint_weight(plan.hint_weight) if plan.preferred else 1
        preferred = {(b.address, b.port) for b in plan.preferred}
        for key, endpoint in self.endpoints.items():
            endpoint.weight = weight if key in preferred else 1
        pool = self._pools[Policy.CLUSTER]
        # In rounds, so that taking turns spreads them.
        self._pools[Policy.CLUSTER] = [
            one for turn in range(weight) for one in pool if one.weight > turn
        ]
        self._weighted = weight > 1

    def _join(self, endpoint: Endpoint, now: float) -> Endpoint:
        if self._used and self.rules.join_seconds:
            endpoint.health.ramp(now, self.rules.join_seconds)
            self._ramping.add(endpoint)
        return endpoint

    def _set_affinity(self, timeout: int) -> None:
        if not timeout:
            self._affinity = None
        elif self._affinity is None:
            self._affinity = AffinityTable(timeout)
        else:
            self._affinity.timeout = timeout

    def pick(
        self, policy: Policy, client: str, now: float, tried: Sequence[Endpoint] = ()
    ) -> Endpoint | None:
        """Choose an endpoint for a new connection.

        Ejected endpoints are the last resort, not out of the question: as long as one endpoint
        lives, somebody who tries all of them finds it.  With affinity the choice is remembered.

        Args:
            policy: Which pool.
            client: The client's address, for affinity.
            now: Monotonic seconds.
            tried: Endpoints this connection failed on already; affinity to them is void (R131).

        Returns:
            The endpoint, or None when there is none that has not been tried.
        """
        pool = self._pools[policy]
        if self._ramping:
            self._ramping = {e for e in self._ramping if e.health.ramping(now)}
        affinity = self._affinity
        if affinity is None:
            if not self._out and not tried:
                return self._choose(pool, now) if pool else None
            return self._choose(self._candidates(pool, now, tried), now)
        candidates = self._candidates(pool, now, tried)
        chosen = affinity.get(client, now)
        if chosen is None or chosen not in candidates:
            chosen = self._choose(candidates, now)
        if chosen is not None:
            affinity.pin(client, chosen, now)
        return chosen

    def _candidates(
        self, pool: list[Endpoint], now: float, tried: Sequence[Endpoint]
    ) -> list[Endpoint]:
        if self._out:
            self._out = {e for e in self._out if e.health.ejected(now)}
        untried = [e for e in pool if e not in tried] if tried else pool
        if not self._out:
            return untried
        usable = [e for e in untried if e not in self._out]
        ejected = sum(e in self._out for e in pool)
        if not usable or panics(len(pool), ejected, self.rules):
            return untried
        return usable

    def _choose(self, pool: list[Endpoint], now: float) -> Endpoint | None:
        if len(pool) < 2:
            return pool[0] if pool else None
        match self.algorithm:
            case Algorithm.POWER_OF_TWO:
                return self._two_choices(pool, now)
            case Algorithm.LEAST_CONNECTIONS:
                return self._least(pool, now)
            case Algorithm.ROUND_ROBIN:
                return self._accepting(pool, now, self._next_turn)
            case Algorithm.RANDOM:
                return self._accepting(pool, now, self._any)

    def _two_choices(self, pool: list[Endpoint], now: float) -> Endpoint:
        if self._ramping:
            a = self._accepting(pool, now, self._any)
            b = self._accepting(pool, now, self._any)
            return self._first_of_less_load(a, b)
        random = self._random
        size = len(pool)
        first = int(random() * size)
        second = int(random() * (size - 1))
        if second >= first:
            second += 1
        a, b = pool[first], pool[second]
        if self._weighted:
            return self._first_of_less_load(a, b)
        if a.active == b.active:
            chosen = b if b.turn < a.turn else a
        else:
            chosen = b if b.active < a.active else a
        self._turn += 1
        chosen.turn = self._turn
        return chosen

    def _first_of_less_load(self, a: Endpoint, b: Endpoint) -> Endpoint:
        """Choose of two; who was drawn first wins a tie: turns would even out the weights."""
        return b if self._load(b) < self._load(a) else a

    def _least(self, pool: list[Endpoint], now: float) -> Endpoint:
        """Draw among the emptiest: the first of the list must not get every first connection."""
        if self._ramping:
            pool = [e for e in pool if self._takes_part(e, now)] or pool
        loads = [self._load(e) if self._weighted else e.active for e in pool]
        least = min(loads)
        emptiest = [e for e, load in zip(pool, loads, strict=True) if load == least]
        return emptiest[int(self._random() * len(emptiest))]

    @staticmethod
    def _load(endpoint: Endpoint) -> int:
        return endpoint.active // endpoint.weight

    def _takes_part(self, endpoint: Endpoint, now: float) -> bool:
        """Tell whether *endpoint* may be chosen this time; in slow start mostly not.

        To weigh its connections instead would not do: where they are short nobody has any, and it
        would be left alone to the end of its slow start.
        """
        return endpoint not in self._ramping or self._random() < endpoint.health.weight(now)

    def _accepting(
        self, pool: list[Endpoint], now: float, draw: Callable[[list[Endpoint]], Endpoint]
    ) -> Endpoint:
        """Draw until an endpoint takes its turn; one in slow start passes most of them."""
        for _ in range(len(pool) if self._ramping else 0):
            chosen = draw(pool)
            if self._takes_part(chosen, now):
                return chosen
        return draw(pool)

    def _next_turn(self, pool: list[Endpoint]) -> Endpoint:
        self._turn += 1
        return pool[self._turn % len(pool)]

    def _any(self, pool: list[Endpoint]) -> Endpoint:
        return pool[int(self._random() * len(pool))]

    def succeeded(self, endpoint: Endpoint) -> None:
        """Take note that a connect to *endpoint* worked."""
        endpoint.health.succeeded()

    def failed(self, endpoint: Endpoint, now: float) -> bool:
        """Take note that *endpoint* refused or did not answer; say whether that ejected it."""
        endpoint.failures += 1
        if endpoint.removed:
            return False
        self._out = {e for e in self._out if e.health.ejected(now)}
        allowed = may_eject(len(self.endpoints), len(self._out), self.rules)
        if not endpoint.health.failed(now, self.rules, may_eject=allowed):
            return False
        endpoint.ejections += 1
        self._out.add(endpoint)
        self._ramping.add(endpoint)
        return True

    def ejected(self, now: float) -> Iterable[Endpoint]:
        """Give the endpoints that are out at this moment."""
        return [e for e in self.endpoints.values() if e.health.ejected(now)]

    def states(self, now: float) -> dict[State, int]:
        """Count the endpoints by state; READY is always there.  Costs what is not ready."""
        out = sum(e.health.ejected(now) for e in self._out)
        slow = sum(e.health.ramping(now) and not e.health.ejected(now) for e in self._ramping)
        found = {State.READY: len(self.endpoints) - out - slow}
        if out:
            found[State.EJECTED] = out
        if slow:
            found[State.SLOW_START] = slow
        return found
