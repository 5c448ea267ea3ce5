"""Listings by the kernel's words, against what nft itself prints of the same table."""

from tests.support import inside

BEFORE = """
from svcdns.aio.nftlisting import list_table
from svcdns.proxy.model import *
from svcdns.proxy.nft import Table
from svcdns.proxy.ruleset import Ruleset
from svcdns.proxy.schema import RulesetOptions
from tests.support.nftjson import parse

def run(*command, given=""):
    return subprocess.run(command, input=given.encode(), check=True, capture_output=True).stdout

def both(table):
    return list_table(table), parse(run("nft", "-j", "list", "table", *str(table).split()))
"""

EVERYTHING = """
ADDRESSES = {4: ("10.96.0.1", "203.0.113.1", "10.244.1.%d", "10.0.0.0/8", "192.0.2.7/32"),
             6: ("fd00:96::1", "2001:db8::1", "fd00:244::%x", "fd00::/8", "2001:db8::7/128")}
for family, (ip, vip, pod, wide, narrow) in ADDRESSES.items():
    backends = tuple(Backend(pod % n, 8080, n % 2 == 0) for n in range(1, 60))
    exposed = (Frontend(Exposure.CLUSTER_IP, ip, 80), Frontend(Exposure.NODE_PORT, "", 30080),
               Frontend(Exposure.LOAD_BALANCER, vip, 80))
    plans = []
    for number, protocol in enumerate(("TCP", "UDP", "SCTP")):
        for affinity in (0, 60):
            moved = tuple(msgspec.structs.replace(f, port=f.port + 1000 * (affinity == 60))
                          for f in exposed)
            plans.append(ServicePlan(
                PortId("shop", f"s{affinity}", "", protocol), family, moved, backends, backends[1::2],
                external=Policy.LOCAL if number else Policy.CLUSTER, any_usable=True,
                affinity=affinity, source_ranges=(wide, narrow)))
    plans.append(ServicePlan(PortId("shop", "empty", "", "TCP"), family,
                             (Frontend(Exposure.NODE_PORT, "", 30099),)))
    plan = ForwardingPlan({p.key: p for p in plans}, {}, (
        "10.96.0.0/12", "10.128.0.0/9", "192.168.0.0/16", "fd00:96::/112", "ff00::/8"),
        NodePorts(("172.18.0.3", "fd00:172::3")))
    ruleset = Ruleset(family, RulesetOptions(LocalDetector((wide,))))
    ruleset.take(plan)
    for part in ruleset.parts(50):
        run("nft", "-f", "-", given=str(part))
    ours, theirs = both(ruleset.schema.table)
    assert ours.sets == theirs.sets and len(ours.sets) > 15
    assert ours.chains == theirs.chains and len(ours.chains) > 20
    for name in ours.sets:
        assert ours.elements[name] == theirs.elements[name], name
    empty = {name for name, found in ours.elements.items() if not found}
    assert all(name.startswith("affinity-") for name in empty), empty
    assert not ruleset.adopt(ours).operations
print("same")
"""


def test_everything_a_ruleset_has_is_read_as_nft_prints_it() -> None:
    assert inside.run("import msgspec\n" + BEFORE + EVERYTHING) == "same\n"


def test_a_host_without_etc_protocols_changes_nothing() -> None:
    code = """
table = Table(4, "svcdns-proxy")
run("nft", "add", "table", "ip", "svcdns-proxy")
run("nft", "add set ip svcdns-proxy s { type inet_proto . inet_service ; }")
run("nft", "add element ip svcdns-proxy s { tcp . 80, 47 . 1 }")
run("nft", "add", "table", "ip", "theirs")
run("nft", "add set ip theirs s { type ether_addr ; }")
print(list_table(table).sets, sorted(list_table(table).elements["s"]))
print(list_table(Table(6, "svcdns-proxy")))
try:
    list_table(Table(4, "theirs"))
except ValueError as error:
    print(error)
"""
    assert inside.run(BEFORE + code).splitlines() == [
        "{'s': 'set'} ['47 . 1', 'tcp . 80']",
        "None",
        "a set with parts of type 9",
    ]


def test_what_packets_fill_is_left_out_and_dumps_may_be_long() -> None:
    code = """
run("nft", "add", "table", "ip", "t")
run("nft", "add map ip t pins { type ipv4_addr : classid ; flags dynamic,timeout ; }")
run("nft", "add element ip t pins { 10.0.0.1 timeout 60s : d000:1 }")
run("nft", "add map ip t many { type ipv4_addr . inet_service : classid ; }")
many = ", ".join(f"10.0.{n >> 8}.{n & 255} . {n % 65535 + 1} : d000:{n:x}" for n in range(5000))
run("nft", "-f", "-", given="add element ip t many { " + many + " }")
found = list_table(Table(4, "t"))
print(found.sets, found.elements["pins"], len(found.elements["many"]))
print(found.elements["many"]["10.0.19.135 . 5000"])
"""
    assert inside.run(BEFORE + code).splitlines() == [
        "{'pins': 'map', 'many': 'map'} {} 5000",
        "0xd0001387",
    ]
