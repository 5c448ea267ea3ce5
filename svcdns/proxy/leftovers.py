"""What kube-proxy leaves behind in a node, and how it is taken away without touching others'.

Mode nftables leaves two tables of its own, which are deleted whole.  Mode iptables leaves chains
in tables that belong to everybody: only chains with kube-proxy's own names are removed, and the
rules elsewhere that jump to them.  Names that merely begin with ``KUBE-`` are not enough: the
kubelet has ``KUBE-FIREWALL``, ``KUBE-KUBELET-CANARY`` and ``KUBE-IPTABLES-HINT``, and kube-router
``KUBE-ROUTER-INPUT`` and ``KUBE-NWPLCY-…``.

Rule R107.
Parity: kube-proxy ``pkg/proxy/iptables/cleanup.go``, ``pkg/proxy/ipvs/ipset.go`` for the names.
"""

import re
from collections.abc import Iterable, Iterator

KUBE_PROXY_TABLE = "kube-proxy"
"""Name of the table of mode nftables, in ``ip`` and in ``ip6``."""

KUBE_PROXY_INTERFACE = "kube-ipvs0"
"""The interface that mode ipvs puts addresses of Services on."""

PROGRAMS = {
    4: ("iptables", "iptables-legacy", "iptables-nft"),
    6: ("ip6tables", "ip6tables-legacy", "ip6tables-nft"),
}
"""Both kinds of iptables may hold rules; the plain name is one of the others, or the only one."""

_CHAINS = frozenset(
    (
        "KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING",
        "KUBE-MARK-MASQ", "KUBE-MARK-DROP", "KUBE-FORWARD", "KUBE-PROXY-CANARY",
        "KUBE-PROXY-FIREWALL",
        # Mode ipvs.
        "KUBE-NODE-PORT", "KUBE-LOAD-BALANCER", "KUBE-SOURCE-RANGES-FIREWALL",
        "KUBE-IPVS-FILTER", "KUBE-IPVS-OUT-FILTER",
    )
)  # fmt: skip
"""Chains that there is one of."""

_NUMBERED = re.compile(r"KUBE-(?:SVC|SVL|EXT|SEP|FW|XLB)-[A-Z2-7]{16}")
"""Chains of a Service or an endpoint: the rest is a hash in base 32."""

_TARGET = re.compile(r" (?:-j|--jump|-g|--goto) (\S+)")


def removal(saved: str) -> str:
    """Write what ``iptables-restore --noflush`` is to be given.

    Args:
        saved: What ``iptables-save`` printed.

    Returns:
        Commands that remove kube-proxy's chains and every way to them, each table at once; empty
        when there is nothing of kube-proxy's.
    """
    return "".join(_table(name, lines) for name, lines in _tables(saved))


def chains(saved: str) -> list[str]:
    """List kube-proxy's chains in what ``iptables-save`` printed, by ``table chain``."""
    return [f"{name} {chain}" for name, lines in _tables(saved) for chain in _own(lines)]


def _tables(saved: str) -> Iterator[tuple[str, list[str]]]:
    name, lines = "", list[str]()
    for line in saved.splitlines():
        if line.startswith("*"):
            name, lines = line[1:].strip(), []
        elif line == "COMMIT":
            yield name, lines
        else:
            lines.append(line)


def _own(lines: Iterable[str]) -> list[str]:
    declared = (line[1:].split()[0] for line in lines if line.startswith(":"))
    return [name for name in declared if name in _CHAINS or _NUMBERED.fullmatch(name)]


def _table(name: str, lines: list[str]) -> str:
    own = _own(lines)
    if not own:
        return ""
    known = set(own)
    commands = [f"*{name}"]
    # Declaring a chain empties it, so that none of them leads to another when they are deleted.
    commands += [f":{chain} - [0:0]" for chain in own]
    commands += [
        f"-D {line.removeprefix('-A ')}"
        for line in lines
        if line.startswith("-A ") and line.split()[1] not in known and _leads_to(line, known)
    ]
    commands += [f"-X {chain}" for chain in own]
    return "\n".join([*commands, "COMMIT\n"])


def _leads_to(rule: str, names: set[str]) -> bool:
    found = _TARGET.findall(re.sub(r'"(?:[^"\\]|\\.)*"', '""', rule))
    return any(name in names for name in found)
