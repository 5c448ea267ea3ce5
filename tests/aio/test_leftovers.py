"""kube-proxy's leftovers in a real kernel: they go, and nothing else does."""

import json
import shutil

import pytest

from tests.support import inside

MAKE = """
import shutil
from svcdns.aio.leftovers import remove_leftovers
from svcdns.aio.nft import Nft

CHAINS = '''*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-QRSTUVWXYZABCDEF - [0:0]
:MINE - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -j MINE
-A KUBE-SERVICES -p tcp -j KUBE-SVC-QRSTUVWXYZABCDEF
-A KUBE-SVC-QRSTUVWXYZABCDEF -p tcp -j MINE
COMMIT
*filter
:KUBE-FORWARD - [0:0]
:KUBE-FIREWALL - [0:0]
-A FORWARD -j KUBE-FORWARD
-A OUTPUT -j KUBE-FIREWALL
COMMIT
'''
TABLES = '''
add table ip kube-proxy
add map ip kube-proxy service-ips { type ipv4_addr . inet_proto . inet_service : verdict ; }
add chain ip kube-proxy services
add rule ip kube-proxy services ip daddr . meta l4proto . th dport vmap @service-ips
add chain ip kube-proxy nat-prerouting { type nat hook prerouting priority -100 ; }
add rule ip kube-proxy nat-prerouting jump services
add table ip6 kube-proxy
add table ip svcdns-proxy
add table inet mine
'''
PROGRAMS = [p for p in ("iptables-nft", "iptables-legacy", "ip6tables-nft") if shutil.which(p)]

def run(*command, given=""):
    done = subprocess.run(command, input=given, capture_output=True, text=True)
    return done.stdout if not done.returncode else f"failed: {done.stderr}"

assert run("nft", "-f", "-", given=TABLES) == ""
usable = [p for p in PROGRAMS if not run(f"{p}-restore", "--noflush", given=CHAINS)]
"""

REMOVE = """
import json
async def work():
    nft = Nft(library=False)
    try:
        return [await remove_leftovers(nft, (4, 6)) for _ in range(2)]
    finally:
        nft.close()

done = asyncio.run(work())
left = {p: [l for l in run(f"{p}-save").splitlines() if l[0] in ":-" and "ACCEPT" not in l]
        for p in usable}
print(json.dumps([done, usable, left, run("nft", "list", "tables").splitlines()]))
"""


def test_tables_and_chains_go_and_the_neighbours_stay_r107() -> None:
    if not shutil.which("iptables-save"):
        pytest.skip("iptables is not installed")
    done, usable, left, tables = json.loads(inside.run(MAKE + REMOVE))
    assert done == [True, True], "a second time there is nothing to do"
    assert usable, "no iptables works here"
    kept = [
        "-A OUTPUT -j KUBE-FIREWALL",
        "-A PREROUTING -j MINE",
        ":KUBE-FIREWALL - [0:0]",
        ":MINE - [0:0]",
    ]
    assert {program: sorted(lines) for program, lines in left.items()} == {
        program: kept for program in usable
    }
    assert {"table ip svcdns-proxy", "table inet mine"} <= set(tables)
    assert not any("kube-proxy" in one for one in tables)


def test_without_iptables_it_says_where_to_go() -> None:
    code = """
import logging, os
from svcdns.aio import leftovers
from svcdns.aio.nft import Nft
logging.basicConfig(format="%(message)s", stream=__import__("sys").stdout)
leftovers.PROGRAMS = {4: ("no-such-iptables",), 6: ()}
async def work():
    nft = Nft(library=False)
    print(await leftovers.remove_leftovers(nft, (4,)))
    nft.close()
asyncio.run(work())
"""
    said = inside.run(code)
    assert "no-such-iptables is not installed here" in said
    assert said.endswith("True\n")
