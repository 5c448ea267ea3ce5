"""Who serves an address and port that several service ports name.

The API server hands out cluster IPs and node ports once, but anybody may write any externalIP, and
load balancers may be shared (rule R47; the CVE-2020-8554 class).  Upstream leaves it to the order
of updates; one table cannot hold both, and one Service must not stop the others.  So a cluster IP
or node port goes before a LoadBalancer address, that before an external IP, and among equals the
first by namespace, name, port and protocol.  The others are told so.
"""

from msgspec.structs import replace

from svcdns.proxy.model import Exposure, Frontend, LeftOut, PlanKey, ServicePlan

Claim = tuple[int, str, str, int]
"""Family, protocol, address (empty: node ports), port."""

_RANK = {
    Exposure.CLUSTER_IP: 0,
    Exposure.NODE_PORT: 0,
    Exposure.LOAD_BALANCER: 1,
    Exposure.EXTERNAL_IP: 2,
}


class Claims:
    """All frontends of all plans, and who has each; a look-up costs the same at any size."""

    def __init__(self) -> None:
        self._claimants: dict[Claim, tuple[tuple[int, PlanKey], ...]] = {}

    def put(self, plan: ServicePlan) -> set[PlanKey]:
        """Enter a plan's frontends; give the other plans that compete for one."""
        others: set[PlanKey] = set()
        for frontend in plan.frontends:
            claim = _claim(plan, frontend)
            mine = (_RANK[frontend.exposure], plan.key)
            found = self._claimants.get(claim)
            if found is None:
                self._claimants[claim] = (mine,)
            else:
                others.update(key for _, key in found)
                self._claimants[claim] = tuple(sorted((*found, mine)))
        return others - {plan.key}

    def remove(self, plan: ServicePlan) -> set[PlanKey]:
        """Strike a plan's frontends out; give the other plans that competed for one."""
        others: set[PlanKey] = set()
        for frontend in plan.frontends:
            claim = _claim(plan, frontend)
            rest = tuple(one for one in self._claimants[claim] if one[1] != plan.key)
            if rest:
                self._claimants[claim] = rest
                others.update(key for _, key in rest)
            else:
                del self._claimants[claim]
        return others

    def settle(self, plan: ServicePlan) -> ServicePlan:
        """Give the plan without the frontends that others have; mostly the same object."""
        lost = [
            (frontend, winner)
            for frontend in plan.frontends
            if (winner := self._claimants[_claim(plan, frontend)][0][1]) != plan.key
        ]
        if not lost:
            return plan
        gone = {frontend for frontend, _ in lost}
        told = [
            LeftOut(
                frontend.address,
                frontend.port,
                "R47" if frontend.address else "R30",
                f"{frontend.exposure} is served by {winner[0]} already",
            )
            for frontend, winner in lost
        ]
        return replace(
            plan,
            frontends=tuple(one for one in plan.frontends if one not in gone),
            left_out=tuple(sorted((*plan.left_out, *told))),
        )


def _claim(plan: ServicePlan, frontend: Frontend) -> Claim:
    return plan.family, plan.id.protocol, frontend.address, frontend.port
