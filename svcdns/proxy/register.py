"""Where svcdns forwards otherwise than kube-proxy in mode nftables does, and why.

The ids are those of the rules that tests and comments name; what is not listed is done as
kube-proxy does it.
"""

from typing import NamedTuple


class Deviation(NamedTuple):
    """One row of the register."""

    rule: str
    kube_proxy: str
    svcdns: str


REGISTER = (
    Deviation(
        "R14",
        "of endpoints that name one address and port twice, which conditions count is undefined",
        "a local one counts before a remote one, then a ready one, then a serving one",
    ),
    Deviation(
        "R46",
        "source ranges of one family leave the other family's addresses open to everybody",
        "they admit nobody there: a range is a promise to keep others out",
    ),
    Deviation(
        "R84, R5",
        "a health check port that cannot be bound and a slice of the wrong family become Events",
        "they become log lines, `--dump` names the slice's endpoints with the rule: the proxy's "
        "role lets it write nothing to the API",
    ),
    Deviation(
        "R85",
        "a health check that comes while its port is being closed may get an empty 200",
        "it gets 503",
    ),
    Deviation(
        "R90, R93",
        "UDP flows are cut by NodePort number alone, whatever address they went to",
        "address and port are compared, so no flow of somebody else's is cut",
    ),
    Deviation(
        "R101",
        "`minSyncPeriod: 0s` in a file means the default, 1 s; `--iptables-min-sync-period=0s` "
        "means that nothing is gathered",
        "`0s` is 1 s in both places; `1ms` gathers nothing. A change that comes alone is carried "
        "out at once in any case: the period is counted from one start to the next",
    ),
    Deviation(
        "R120",
        "a family that never synced is not looked at by /healthz",
        "it counts as unhealthy when its first sync is overdue",
    ),
    Deviation(
        "R121",
        "`/statusz` and `/flagz` beside `/configz`, depending on version and feature gates",
        "not served: meant for people only; `/configz`, `/metrics` and `--dump` say the same",
    ),
    Deviation(
        "R108",
        "nobody notices when another program changes the table, up to the hourly sync",
        "the table is looked at and put right",
    ),
    Deviation(
        "addresses claimed twice",
        "two Services that name one address and port: the later rule wins, or the sync fails",
        "a cluster IP comes before a LoadBalancer address, that before an external IP, then the "
        "first by name; the other one is reported",
    ),
    Deviation(
        "R103",
        "the first sync of a large cluster is one transaction of that size",
        "where there is no table yet it is made in parts, and the chains that packets enter by "
        "come last: nothing is in force before all of it is",
    ),
    Deviation(
        "a --config that changes",
        "the process ends whenever the file is written, to be started anew",
        "the same, but only when the file asks for something else and can be used",
    ),
    Deviation(
        "--proxy-mode",
        "ignored when there is a --config",
        "taken, because this is how `userspace` is asked for",
    ),
)


def table() -> str:
    """Write the register as a Markdown table."""
    rows = [f"| {row.rule} | {row.kube_proxy} | {row.svcdns} |\n" for row in REGISTER]
    return "| rule | kube-proxy | svcdns |\n| --- | --- | --- |\n" + "".join(rows)
