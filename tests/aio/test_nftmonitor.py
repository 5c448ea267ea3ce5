"""Whose transactions are counted, in a network namespace."""

from tests.support import inside

BEFORE = """
from svcdns.aio import nftmonitor
from svcdns.aio.nftmonitor import Monitor
from svcdns.proxy.nft import Table

def nft(text):
    subprocess.run(["nft", "-f", "-"], input=text.encode(), check=True)

nft("add table ip ours\\nadd table ip6 ours\\nadd table ip theirs\\nadd table ip ours-too\\n")
nft("add set ip ours s { type ipv4_addr ; }\\nadd set ip theirs s { type ipv4_addr ; }\\n")
monitor = Monitor([Table(4, "ours"), Table(6, "ours")])
last = monitor.count()

def counted():
    global last
    before, last = last, monitor.count()
    return last - before
"""


def test_transactions_on_our_tables_count_once_and_others_not_at_all_r108() -> None:
    code = """
print(counted())
nft("add element ip ours s { 10.0.0.1, 10.0.0.2, 10.0.0.3 }\\nadd chain ip ours c\\n")
print(counted())
nft("add element ip theirs s { 10.0.0.1 }\\nadd chain ip ours-too c\\nadd table inet ours\\n")
print(counted())
nft("add chain ip6 ours c\\n")
nft("add element ip theirs s { 10.0.0.9 }\\nadd rule ip ours c drop\\n")
print(counted())
nft("flush ruleset\\n")
print(counted(), counted())
monitor.close()
"""
    assert inside.run(BEFORE + code).splitlines() == ["0", "1", "0", "2", "1 0"]


def test_what_is_too_much_to_be_told_counts_as_more_than_one() -> None:
    code = """
monitor.close()
nftmonitor._SO_RCVBUFFORCE, nftmonitor.BUFFER_OCTETS = 8, 4096
last = monitor.count()
many = ", ".join(f"10.1.{n >> 8}.{n & 255}" for n in range(3000))
nft("add element ip ours s { " + many + " }\\n")
print(counted() > 1, counted())
nft("add element ip ours s { 10.0.0.1 }\\n")
print(counted())
monitor.close()
"""
    assert inside.run(BEFORE + code).splitlines() == ["True 0", "1"]
