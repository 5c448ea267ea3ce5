"""The table of a case in the kernel of a node."""

from svcdns.kube.store import Store
from svcdns.proxy.listing import Listing
from svcdns.proxy.model import LocalDetector, NodeView, PlanOptions
from svcdns.proxy.plan import Planner
from svcdns.proxy.ruleset import Ruleset
from svcdns.proxy.schema import RulesetOptions
from tests.support import nftjson
from tests.support.flows import Case
from tests.support.world import World


class Kernel:
    """A ruleset, and the node's table that follows it."""

    def __init__(self, world: World, case: Case) -> None:
        self.world = world
        self.case = case
        options = RulesetOptions(
            LocalDetector(case.config.cluster_cidrs), case.config.masquerade_all
        )
        self.ruleset = Ruleset(case.family, options)
        self.store = Store()
        self.planner = Planner(
            self.store,
            NodeView.from_node(case.node, None),
            PlanOptions(node_port_addresses=case.config.node_port_addresses),
        )
        world["node"].run("nft", "-f", "-", given=str(self.ruleset.rebuild()))

    def follow(self) -> None:
        change = self.planner.update()
        tx = self.ruleset.update(self.planner.plan, change.services)
        self.world["node"].run("nft", "-f", "-", given=str(tx))

    def listing(self) -> Listing:
        table = str(self.ruleset.schema.table).split()
        text = self.world["node"].run("nft", "-j", "list", "table", *table)
        return nftjson.parse(text.encode())
