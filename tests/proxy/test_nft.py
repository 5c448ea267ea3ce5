"""Transactions: what is written is what nft reads."""

import shutil
import subprocess

import pytest

from svcdns.proxy.nft import (
    ELEMENTS_PER_LINE,
    Chain,
    Element,
    Hook,
    Set,
    Table,
    Thing,
    Transaction,
    digest,
)

TABLE = Table(4, "t", "a comment")
BASE = Chain("in", ("ip daddr 192.0.2.1 drop",), Hook("nat", "prerouting", -100))
MAP = Set("m", "ipv4_addr . inet_service", "verdict")
PINS = Set("p", "ipv4_addr", "mark", ("dynamic", "timeout"), 16)


@pytest.mark.parametrize(
    ("verb", "thing", "text"),
    [
        ("add", TABLE, 'add table ip t { comment "a comment" ; }'),
        ("delete", TABLE, "delete table ip t"),
        ("add", Set("s", "ipv4_addr"), "add set ip t s { type ipv4_addr ; }"),
        ("add", MAP, "add map ip t m { type ipv4_addr . inet_service : verdict ; }"),
        (
            "add",
            PINS,
            "add map ip t p { type ipv4_addr : mark ; flags dynamic,timeout ; size 16 ; }",
        ),
        ("flush", MAP, "flush map ip t m"),
        ("delete", Set("s", "ipv4_addr"), "delete set ip t s"),
        (
            "add",
            BASE,
            "add chain ip t in { type nat hook prerouting priority -100 ; }\n"
            f'add rule ip t in ip daddr 192.0.2.1 drop comment "{digest(BASE.rules[0])}"',
        ),
        ("flush", BASE, "flush chain ip t in"),
        ("delete", BASE, "delete chain ip t in"),
        (
            "add",
            Element("m", "192.0.2.1 . 80", "drop"),
            "add element ip t m { 192.0.2.1 . 80 : drop }",
        ),
        (
            "delete",
            Element("m", "192.0.2.1 . 80", "drop"),
            "delete element ip t m { 192.0.2.1 . 80 }",
        ),
    ],
)
def test_every_operation_has_its_command(verb: str, thing: Thing, text: str) -> None:
    tx = Transaction(TABLE)
    getattr(tx, verb)(thing)
    assert str(tx) == text + "\n"


def test_neighbours_of_one_set_share_a_command_and_order_stays() -> None:
    tx = Transaction(Table(6, "t"))
    tx.delete(Element("s", "a"), Element("s", "b"))
    tx.add(Element("s", "a"), Element("m", "k", "v"), Element("s", "c"))
    assert str(tx) == (
        "delete element ip6 t s { a, b }\n"
        "add element ip6 t s { a }\n"
        "add element ip6 t m { k : v }\n"
        "add element ip6 t s { c }\n"
    )
    assert len(tx) == 5


def test_commands_have_a_bound() -> None:
    tx = Transaction(TABLE)
    tx.add(*(Element("s", str(n)) for n in range(ELEMENTS_PER_LINE + 1)))
    assert len(str(tx).splitlines()) == 2


def test_no_operations_are_no_text() -> None:
    assert str(Transaction(TABLE)) == ""


def test_digests_tell_rules_apart() -> None:
    assert digest("accept") == digest("accept")
    assert digest("accept") != digest("drop")
    assert BASE.comments() == [digest("ip daddr 192.0.2.1 drop")]


def test_starting_over_works_with_and_without_a_table() -> None:
    """The real nft takes it all, twice."""
    if not shutil.which("nft") or not shutil.which("unshare"):
        pytest.skip("needs nft and unshare")
    tx = Transaction(TABLE)
    tx.start_over()
    tx.add(MAP, PINS, BASE, Element("m", "192.0.2.1 . 80", "drop"))
    script = "nft -f - <<X && nft -f - <<X\n" + f"{tx}X\n{tx}X\n"
    done = subprocess.run(
        ["unshare", "-rn", "sh", "-c", script], capture_output=True, text=True, check=False
    )
    if "unshare" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert (done.returncode, done.stderr) == (0, "")
