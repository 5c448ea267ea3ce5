"""Old Corefiles in today's words."""

import pytest

from svcdns.corefile.migration import REMOVED, Migrated, migrate
from svcdns.corefile.parser import parse
from svcdns.corefile.printer import print_corefile


def _migrate(directives: str) -> Migrated:
    return migrate(
        parse(".:53 {\n" + directives + "\n}", "Corefile", {}, lambda *_: None, lambda _: None)
    )


def _body(found: Migrated) -> list[str]:
    return [line.strip() for line in print_corefile(found.blocks).splitlines()[1:-1]]


ROWS = [
    ("proxy becomes forward", "proxy . /etc/resolv.conf", ["forward . /etc/resolv.conf"],
     ["Corefile:2 - CoreDNS 1.5.0 removed proxy: write `forward . /etc/resolv.conf`"]),
    ("options of proxy that forward has stay",
     "proxy a 10.0.0.1 10.0.0.2 {\nexcept b\npolicy round_robin\nmax_fails 3\n}",
     ["forward a 10.0.0.1 10.0.0.2 {", "except b", "policy round_robin", "max_fails 3", "}"],
     ["Corefile:2 - CoreDNS 1.5.0 removed proxy: write `forward a 10.0.0.1 10.0.0.2`"]),
    ("options of proxy that forward lacks go",
     "proxy . 10.0.0.1 {\nprotocol dns force_tcp\nfail_timeout 5s\nhealth_check /health:8080 1s\nspray\npolicy least_conn\npolicy first\nprotocol https_google\n}",
     ["forward . 10.0.0.1 {", "force_tcp", "policy sequential", "}"],
     ["Corefile:2 - CoreDNS 1.5.0 removed proxy: write `forward . 10.0.0.1`",
      "Corefile:3 - `protocol` went with proxy: write `force_tcp`",
      "Corefile:4 - forward has no `fail_timeout 5s`: leave it out",
      "Corefile:5 - forward has no `health_check /health:8080 1s`: leave it out",
      "Corefile:6 - forward has no `spray`: leave it out",
      "Corefile:7 - forward has no `policy least_conn`: leave it out",
      "Corefile:8 - forward has no policy `first`: write `policy sequential`",
      "Corefile:9 - forward has no `protocol https_google`: leave it out"]),
    ("kubernetes upstream and resyncperiod go",
     "kubernetes cluster.local {\npods insecure\nupstream\nresyncperiod 5m\nupstream /etc/resolv.conf\n}",
     ["kubernetes cluster.local {", "pods insecure", "}"],
     ["Corefile:4 - kubernetes has no option `upstream` any more: leave it out",
      "Corefile:5 - kubernetes has no option `resyncperiod` any more: leave it out",
      "Corefile:6 - kubernetes has no option `upstream` any more: leave it out"]),
    ("kubernetes uses one endpoint", "kubernetes a {\nendpoint http://a:1 http://b:1\n}",
     ["kubernetes a {", "endpoint http://a:1", "}"],
     ["Corefile:3 - kubernetes uses one endpoint, the first: write `endpoint http://a:1`"]),
    ("kubernetes cidrs are zones", "kubernetes a {\ncidrs 10.0.0.0/24 10.1.0.0/24\n}",
     ["kubernetes a 10.0.0.0/24 10.1.0.0/24 {", "}"],
     ["Corefile:3 - networks are zones: write `kubernetes a 10.0.0.0/24 10.1.0.0/24`"]),
    ("kubernetes autopath is a plugin", "kubernetes a {\nautopath 0 NXDOMAIN /etc/resolv.conf\npods verified\n}",
     ["kubernetes a {", "pods verified", "}", "autopath @kubernetes"],
     ["Corefile:3 - autopath is a plugin of its own: write `autopath @kubernetes`"]),
    ("transfer moves out of kubernetes", "kubernetes a b {\ntransfer to 10.0.0.1 *\n}",
     ["kubernetes a b {", "}", "transfer a b {", "to 10.0.0.1 *", "}"],
     ["Corefile:3 - CoreDNS 1.8.0 moved `transfer to` out of kubernetes: write `transfer a b`, `to 10.0.0.1 *`"]),
    ("transfer moves out of file", "file db a {\ntransfer to *\ntransfer to 10.0.0.1\nno_reload\nupstream 8.8.8.8\n}",
     ["file db a {", "reload 0", "}", "transfer a {", "to *", "to 10.0.0.1", "}"],
     ["Corefile:3 - CoreDNS 1.8.0 moved `transfer to` out of file: write `transfer a`, `to *`, `to 10.0.0.1`",
      "Corefile:5 - `no_reload` is gone: write `reload 0`",
      "Corefile:6 - file has no option `upstream` any more: leave it out"]),
    ("where a secondary transfers from stays", "secondary a {\ntransfer from 10.0.0.1\n}",
     ["secondary a {", "transfer from 10.0.0.1", "}"], []),
    ("auto's timeout is reload", "auto {\ndirectory /z (.*) {1} 30\n}",
     ["auto {", "directory /z (.*) {1}", "reload 30s", "}"],
     ["Corefile:3 - `directory` has no TIMEOUT any more: write `directory /z (.*) {1}`, `reload 30s`"]),
    ("etcd stub zones go", "etcd a {\nstubzones\npath /skydns\nupstream\n}", ["etcd a {", "path /skydns", "}"],
     ["Corefile:3 - etcd has no option `stubzones` any more: leave it out",
      "Corefile:5 - etcd has no option `upstream` any more: leave it out"]),
    ("federation goes", "federation cluster.local {\nprod p.example.org\n}\nlog", ["log"],
     ["Corefile:2 - CoreDNS 1.7.0 removed federation: leave it out"]),
    ("startup and shutdown are on", "startup /bin/a b\nshutdown /bin/c", ["on startup /bin/a b", "on shutdown /bin/c"],
     ["Corefile:2 - CoreDNS 1.0.0 removed startup: write `on startup /bin/a b`",
      "Corefile:3 - CoreDNS 1.0.0 removed shutdown: write `on shutdown /bin/c`"]),
    ("errors stderr", "errors stderr", ["errors"],
     ["Corefile:2 - errors go to the standard output only: write `errors`"]),
    ("too many words stay an error", "errors a b", ["errors a b"], []),
    ("errors stdout is still accepted", "errors stdout", ["errors stdout"], []),
    ("health without a port", "health localhost\nready 8282\nprometheus 0.0.0.0",
     ["health localhost:8080", "ready :8282", "prometheus 0.0.0.0:9153"],
     ["Corefile:2 - `localhost` is no address with a port: write `health localhost:8080`",
      "Corefile:3 - `8282` is no address with a port: write `ready :8282`",
      "Corefile:4 - `0.0.0.0` is no address with a port: write `prometheus 0.0.0.0:9153`"]),
    ("health with a port stays", "health :8080 {\nlameduck 5s\n}\nprometheus :9153", ["health :8080 {", "lameduck 5s", "}", "prometheus :9153"], []),
    ("hosts twice", "hosts {\n10.0.0.1 a\nfallthrough\n}\nlog\nhosts /etc/hosts {\n10.0.0.2 b\nfallthrough\n}",
     ["hosts /etc/hosts {", "10.0.0.1 a", "10.0.0.2 b", "fallthrough", "}", "log"],
     ["Corefile:7 - a server block has one hosts; its lines join those of line 2: write `hosts /etc/hosts`"]),
    ("hosts of two files cannot be one", "hosts a\nhosts b", ["hosts a", "hosts b"], []),
    ("hosts of nothing", "hosts\nhosts", ["hosts"],
     ["Corefile:3 - a server block has one hosts; its lines join those of line 2: write `hosts`"]),
    ("log stdout keeps its meaning", "log stdout", ["log stdout"], []),
    ("today's words stay", "kubernetes a {\nendpoint http://a\n}\nforward . 10.0.0.1\ncache 30", ["kubernetes a {", "endpoint http://a", "}", "forward . 10.0.0.1", "cache 30"], []),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "changes"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_an_old_line_gets_todays_words(old: str, new: list[str], changes: list[str]) -> None:
    found = _migrate(old)

    assert _body(found) == new
    assert [str(change) for change in found.changes] == changes


@pytest.mark.parametrize("row", ROWS, ids=[r[0] for r in ROWS])
def test_what_is_migrated_has_nothing_left_to_migrate(
    row: tuple[str, str, list[str], list[str]],
) -> None:
    found = _migrate(row[1])

    assert migrate(found.blocks) == Migrated(found.blocks, ())
    assert not [d for b in found.blocks for d in b.directives if d.name in REMOVED]
