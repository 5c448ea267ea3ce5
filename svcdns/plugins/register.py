"""Peculiarities of CoreDNS outside its plugins' options, and what svcdns does about each.

The ids are those that tests and comments name.  A peculiarity is copied where some client may
count on it, and left out where it can only do harm.
"""

from typing import NamedTuple


class Peculiarity(NamedTuple):
    """One row of the register."""

    id: str
    what: str
    decision: str


REGISTER = (
    Peculiarity(
        "K1", "SRV at the bare name of a Service, unnamed ports too", "copied: peer finders use it"
    ),
    Peculiarity("K2", "SRV weights count addresses before duplicates fall away", "copied"),
    Peculiarity(
        "K3", "endpoint names under a Service with a cluster IP", "copied: operators use it"
    ),
    Peculiarity(
        "K4", "`http.tcp.svc` without underscores, and addresses at `_port._proto`", "copied"
    ),
    Peculiarity("K5", "SOA below the apex is NODATA, whether the name exists or not", "copied"),
    Peculiarity(
        "K6",
        "TXT at the apex, `svc`, `pod` and a namespace is NXDOMAIN where A is NODATA",
        "copied: recorded answers show it, and no resolver between a Pod and its cluster DNS "
        "is known to be misled",
    ),
    Peculiarity("K7", "`dns.ZONE` is NXDOMAIN above `ns.dns.ZONE`", "copied"),
    Peculiarity(
        "K8",
        "an ExternalName inside the zone without such records is NODATA without the CNAME",
        "copied",
    ),
    Peculiarity("K9", "an ExternalName that is an address does not exist", "copied"),
    Peculiarity("K10", "a target outside that fails leaves NOERROR with the CNAME alone", "copied"),
    Peculiarity("K11", "up to two labels in front of a Pod's address are ignored", "copied"),
    Peculiarity(
        "K12",
        "`ip6.arpa` names with one to three nibbles too many are answered",
        "left out: such a name is no address",
    ),
    Peculiarity(
        "K13",
        "NS and `ns.dns` only in lower case; `bind ADDRESS` hides them",
        "left out: found in any case, and with the bound addresses unless they are loopback",
    ),
    Peculiarity("K14", "a miss in `hosts` without `fallthrough` is SERVFAIL", "copied"),
    Peculiarity("K15", "a TTL of 0 is raised to 5 s in the cache", "copied"),
    Peculiarity(
        "K16", "UDP queries over 512 octets are malformed", "left out: they are read whole"
    ),
    Peculiarity(
        "K17", "other classes are answered as IN where `forward` or `chaos` is loaded", "copied"
    ),
    Peculiarity(
        "K18",
        "transfers: glue with TTL 0, SRV with port 65535 for portless Services, any name below the "
        "zone",
        "see `transfer`",
    ),
    Peculiarity(
        "K19",
        "a changed cluster IP does not change the serial",
        "left out: it does; Namespaces do not",
    ),
    Peculiarity(
        "K20",
        "during an outage of the API the last state is served for ever, and `/ready` stays 200",
        "copied, and the age of the state is a metric (`svcdns_kubernetes_watch_age_seconds`) and "
        "a log line",
    ),
    Peculiarity("K21", "cached answers are marked authoritative", "copied: some clients want it"),
    Peculiarity(
        "J2",
        "what cannot be read gets a bare header with FORMERR",
        "copied; a question that could be read is repeated, so that the client can tell which of "
        "its queries is meant",
    ),
    Peculiarity(
        "J10",
        "messages are compressed only when they would not fit otherwise",
        "left out: always compressed, so fewer answers are truncated",
    ),
    Peculiarity(
        "J12",
        "queries of one TCP connection are answered one after the other",
        "left out: an answer may overtake a slower one (RFC 7766 §6.2.1.1)",
    ),
    Peculiarity(
        "J17",
        "`cache` keeps answers of the cluster zone, so a new Service stays hidden for its TTL",
        "left out: cluster answers end when their Service changes",
    ),
)


def table() -> str:
    """Write the register as a Markdown table."""
    rows = [f"| {row.id} | {row.what} | {row.decision} |\n" for row in REGISTER]
    return "| id | what CoreDNS does | svcdns |\n| --- | --- | --- |\n" + "".join(rows)
