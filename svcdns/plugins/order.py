"""The plugins there are, in the order in which a query meets them.

The order of the lines in a Corefile means nothing; this one, fixed when CoreDNS is built, decides.

Parity: CoreDNS 1.14 ``plugin.cfg``.
"""

from enum import StrEnum

from msgspec import Struct


class Support(StrEnum):
    """What becomes of a directive."""

    SUPPORTED = "supported"
    ACCEPTED = "accepted"
    "It has no influence on answers; a warning says so."
    REFUSED = "refused"
    "svcdns does not start with it."


class Entry(Struct, frozen=True):
    """One plugin of CoreDNS."""

    name: str
    note: str
    "What it does, in a line."
    without: Support = Support.REFUSED
    "What becomes of it as long as svcdns has no module of that name."
    why: str = "svcdns does not have this plugin"
    "The reason, then."


def _accepted(name: str, note: str, why: str) -> Entry:
    return Entry(name, note, Support.ACCEPTED, why)


def _refused(name: str, note: str, why: str) -> Entry:
    return Entry(name, note, Support.REFUSED, why)


_CLOUD = "svcdns holds no credentials of clouds; forward the zone to the cloud's resolver instead"
_SIGNING = "svcdns does not sign; a resolver in front or the zone's own servers can"

ENTRIES = (
    Entry("root", "where relative paths of zone files, keys and certificates start"),
    Entry("metadata", "collects labels about a query for log, rewrite, template and view"),
    _accepted(
        "geoip",
        "labels that say where a client is",
        "the labels geoip/… stay empty, clients of a test cluster have no geography",
    ),
    _accepted(
        "cancel",
        "a deadline for every query",
        "no query outlives the time-outs of its upstreams",
    ),
    _refused(
        "proxyproto",
        "PROXY protocol in front of queries",
        "queries with a PROXY header would be taken for malformed ones",
    ),
    _refused("quic", "limits for DNS over QUIC", "svcdns does not serve DNS over QUIC"),
    _refused("grpc_server", "limits for DNS over gRPC", "svcdns does not serve DNS over gRPC"),
    _accepted(
        "https",
        "limits for DNS over HTTPS",
        "the number of connections is limited by the process's file descriptors",
    ),
    _refused("https3", "limits for DNS over HTTP/3", "svcdns does not serve DNS over HTTP/3"),
    _accepted(
        "timeouts",
        "how long TCP, TLS and HTTPS clients may take",
        "CoreDNS's defaults are in force: 3s for the first message, 10s between messages",
    ),
    _accepted(
        "multisocket",
        "several sockets on one port, one for each core",
        "one process answers on one socket",
    ),
    Entry("reload", "takes up a changed Corefile without a restart"),
    Entry("nsid", "says which server answered (RFC 5001)"),
    Entry("bufsize", "a cap on the message size that clients ask for"),
    Entry("bind", "which addresses to listen on"),
    _accepted(
        "debug",
        "debug messages in the log",
        "bugs are logged with their traceback anyway",
    ),
    _accepted("trace", "spans for Zipkin and Datadog", "no spans are sent"),
    Entry("ready", "an HTTP probe: may queries come"),
    Entry("health", "an HTTP probe: is the process alive; and the lame duck period"),
    _accepted(
        "pprof",
        "profiles of the Go runtime over HTTP",
        "there is no Go runtime here; py-spy attaches to a running process",
    ),
    _accepted(
        "shed",
        "drops queries when the socket cannot be written fast enough",
        "a batch of queries is answered before the next one is read, so nothing piles up",
    ),
    Entry("prometheus", "metrics over HTTP"),
    Entry("errors", "errors of the chain in the log"),
    Entry("log", "queries in the log"),
    _accepted("dnstap", "copies of messages for a dnstap collector", "no copies are sent"),
    Entry("local", "answers for localhost and its reverse zones"),
    Entry("dns64", "IPv6 addresses made from IPv4 ones (RFC 6147)"),
    Entry("any", "a minimal answer for ANY (RFC 8482)"),
    Entry("chaos", "version and authors in class CH"),
    Entry("loadbalance", "the order of addresses in answers"),
    _refused(
        "tsig",
        "signed transactions (RFC 8945)",
        "a requirement that is not enforced would let in whom it keeps out",
    ),
    Entry("rewrite", "changes questions on their way down and answers on their way up"),
    Entry("autopath", "follows a client's search path in one query"),
    Entry("acl", "which clients are answered"),
    Entry("cache", "keeps answers of the plugins behind it"),
    Entry("header", "changes flags of answers"),
    _refused("dnssec", "signs answers while serving them", _SIGNING),
    Entry("tls", "the certificate of TLS and HTTPS listeners"),
    Entry("minimal", "leaves authority and additional records out"),
    Entry("template", "answers made from the question"),
    Entry("transfer", "zone transfers to secondaries (RFC 5936)"),
    Entry("hosts", "answers from a hosts file and from lines like its own"),
    _refused("route53", "zones of AWS", _CLOUD),
    _refused("azure", "zones of Azure", _CLOUD),
    _refused("clouddns", "zones of Google Cloud", _CLOUD),
    Entry("k8s_external", "a zone of external addresses of Services"),
    Entry("kubernetes", "the cluster's zone: Services and Pods"),
    Entry("file", "a zone from a zone file (RFC 1035)"),
    Entry("auto", "zones from the zone files of a directory"),
    Entry("secondary", "zones transferred from a primary"),
    Entry("etcd", "SkyDNS records in etcd"),
    Entry("loop", "finds upstreams that lead back to this server, and uses them no more"),
    Entry("forward", "asks other resolvers"),
    _refused(
        "grpc",
        "asks other resolvers over gRPC",
        "svcdns asks over UDP, TCP, TLS and HTTPS; use `forward`",
    ),
    Entry("erratic", "faults for tests of clients"),
    Entry("whoami", "answers with the client's address"),
    _accepted("on", "commands run at start and end", "no commands are run"),
    _refused("sign", "signs zone files", _SIGNING),
    Entry("view", "which clients and questions a server block is for"),
    _refused(
        "nomad",
        "services of a Nomad cluster",
        "svcdns serves Kubernetes; Nomad has a DNS server to forward to",
    ),
)

NAMES = tuple(entry.name for entry in ENTRIES)
"""In the order of execution."""

BY_NAME = {entry.name: entry for entry in ENTRIES}
