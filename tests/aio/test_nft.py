"""Running the real nft, by both ways, in a network namespace; and what it says when it cannot."""

from pathlib import Path

import pytest

from svcdns.aio.nft import Nft, first_line
from svcdns.errors import ConfigError
from tests.support.inside import run

SETUP = """
from svcdns.aio.nft import Nft
from svcdns.aio.nftmonitor import Monitor
from svcdns.errors import NftError
from svcdns.proxy.nft import Element, Set, Table, Transaction

table = Table(4, "svcdns-proxy")

def change(*added, deleted=()):
    tx = Transaction(table)
    tx.delete(*deleted)
    tx.add(*added)
    return tx

def fresh():
    tx = Transaction(table)
    tx.start_over()
    tx.add(Set("s", "ipv4_addr"))
    return tx
"""


@pytest.mark.parametrize("library", [True, False])
def test_a_change_is_applied_as_a_whole_or_not_at_all(library: bool) -> None:
    printed = run(
        SETUP
        + f"""
async def main():
    nft = Nft(library={library})
    print(await nft.probe() != "", await nft.listing(table), await nft.exists(table))
    generation = Monitor([table]).count
    before = generation()
    await nft.run(fresh())
    await nft.run(change())
    print(generation() - before, await nft.exists(table))
    await nft.run(change(Element("s", "192.0.2.1")))
    try:
        await nft.run(change(Element("s", "192.0.2.2"), deleted=[Element("s", "192.0.2.9")]))
    except NftError as error:
        print("No such file or directory" in str(error), "192.0.2.2" in error.transaction)
    await nft.run(change(Element("s", "192.0.2.3")))
    print(sorted((await nft.listing(table)).elements["s"]), generation() - before)
    print(repr(await nft.refusal(str(change(Element("s", "192.0.2.4"))))))
    print(await nft.refusal(str(change(deleted=[Element("s", "192.0.2.4")]))))
    print(len((await nft.listing(table)).elements["s"]))
    nft.close()
asyncio.run(main())
"""
    )
    assert printed.splitlines() == [
        "True None False",
        "1 True",
        "True True",
        "['192.0.2.1', '192.0.2.3'] 3",
        "''",
        "Could not process rule: No such file or directory",
        "2",
    ]


def test_much_goes_in_parts_where_the_kernel_takes_no_more_at_once() -> None:
    printed = run(
        SETUP
        + """
async def main():
    nft = Nft()
    await nft.run(fresh())
    await nft.run(change(*(Element("s", f"10.{n >> 8}.{n & 255}.1") for n in range(30000))))
    print(len((await nft.listing(table)).elements["s"]))
    nft.close()
asyncio.run(main())
"""
    )
    assert printed == "30000\n"


async def test_a_missing_program_is_named_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"apt install nftables.*--proxy-mode userspace"):
        await Nft("no-such-nft", library=False).probe()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo nftables v1.0.0", "1.0.1 is needed"),
        ("echo nonsense", "1.0.1 is needed"),
        (
            'case "$1" in --version) echo nftables v1.1.3;; *) echo "Error: no" >&2; exit 1;; esac',
            "may not change rules here: no",
        ),
    ],
)
async def test_an_nft_that_does_not_do_is_named_with_the_reason(
    tmp_path: Path, script: str, message: str
) -> None:
    program = tmp_path / "nft"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with pytest.raises(ConfigError, match=message):
        await Nft(str(program), library=False).probe()


@pytest.mark.parametrize(
    ("complaint", "line"),
    [
        ("<cmdline>:1:1-2: Error: syntax error\nadd x\n", "syntax error"),
        (
            "internal:0:0-0: Error: Could not process rule: Device busy\n\n",
            "Could not process rule: Device busy",
        ),
        ("netlink: Error: message too long", "netlink: Error: message too long"),
        ("", "it does not say why"),
    ],
)
def test_complaints_are_cut_to_their_first_line(complaint: str, line: str) -> None:
    assert first_line(complaint) == line
