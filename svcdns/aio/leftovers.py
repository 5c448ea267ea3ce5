"""Takes away what kube-proxy left in this network namespace, when told to (rule R107)."""

import asyncio
import logging
import shutil
import socket
from collections.abc import Iterable

from svcdns.aio.nft import Nft, first_line
from svcdns.errors import NftError
from svcdns.proxy.leftovers import (
    KUBE_PROXY_INTERFACE,
    KUBE_PROXY_TABLE,
    PROGRAMS,
    chains,
    removal,
)
from svcdns.proxy.nft import Table, Transaction

TIMEOUT = 60.0
"""Seconds for one program: a large cluster has 100,000 rules in iptables."""

log = logging.getLogger(__name__)


async def remove_leftovers(nft: Nft, families: Iterable[int]) -> bool:
    """Remove kube-proxy's tables and chains of some address families; whether all of them went.

    What cannot be removed from here is said, with what to do.
    """
    done = True
    for family in families:
        done &= await _remove_table(nft, family)
        done &= await _remove_chains(family)
    if KUBE_PROXY_INTERFACE in (name for _, name in socket.if_nameindex()):
        log.warning(
            "%s is there: mode ipvs left its virtual servers; remove them with 'ipvsadm --clear',"
            " 'ip link delete %s' and 'ipset destroy', or restart the node",
            KUBE_PROXY_INTERFACE,
            KUBE_PROXY_INTERFACE,
        )
        done = False
    return done


async def _remove_table(nft: Nft, family: int) -> bool:
    table = Table(family, KUBE_PROXY_TABLE)
    try:
        if not await nft.exists(table):
            log.info("there is no table %s", table)
            return True
        tx = Transaction(table)
        tx.delete(table)
        await nft.run(tx)
    except NftError as error:
        log.error("table %s could not be deleted: %s", table, first_line(error.stderr))
        return False
    log.info("table %s deleted", table)
    return True


async def _remove_chains(family: int) -> bool:
    """Remove chains from both kinds of iptables, as far as their programs are here."""
    done, found = True, [one for one in PROGRAMS[family] if shutil.which(f"{one}-save")]
    if not found:
        log.warning(
            "%s is not installed here: if kube-proxy ran in mode iptables or ipvs, run this where"
            " it is, or 'kube-proxy --cleanup', or restart the node",
            PROGRAMS[family][0],
        )
    for program in found:
        status, saved = await _run(f"{program}-save")
        commands = removal(saved)
        if status:
            log.error("%s-save: %s", program, saved.strip()[:300])
            done = False
        if status or not commands:
            continue
        status, said = await _run(f"{program}-restore", "--noflush", given=commands)
        if status:
            log.error("%s: kube-proxy's chains could not be deleted: %s", program, said[:300])
            done = False
        else:
            log.info("%s: %d chains of kube-proxy deleted", program, len(chains(saved)))
    return done


async def _run(*command: str, given: str = "") -> tuple[int, str]:
    """Run a program; its exit status, and what it printed or, after a failure, what it said."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT):
            printed, said = await process.communicate(given.encode())
    except TimeoutError:
        return -1, f"no answer within {TIMEOUT:g} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    status = process.returncode or 0
    return status, (said if status else printed).decode(errors="replace")
