"""What people write: ``svcdns check`` says it would start, and of old Corefiles what is modern.

From corefile-corpus ("Options used per plugin", "Oddities worth testing"); the texts are ours.
"""

from pathlib import Path

import pytest

from svcdns.cli import main

STARTS = {
    "a brace glued to the last key (156)": "example.com:53 172.16.10.0/24{\n    whoami\n}\n",
    "several zones (001)": "kigawa.example:53 onemc.example:53 {\n    whoami\n}\n",
    "a comma between keys (168)": "a.example, b.example {\n    whoami\n}\n",
    "schemes and ports": "dns://.:53 {\n whoami\n}\n.:5353 {\n errors\n}\ninternal.:53 {\n any\n}\n",
    "a snippet used twice (168)": "(snip) {\n errors\n cache\n}\na {\n import snip\n}\nb {\n import snip\n}\n",
    "errors stdout and log stdout (032)": ". {\n errors stdout\n log stdout\n}\n",
    "the home-ops family": ". {\n errors\n health {\n lameduck 5s\n }\n ready\n log . {\n class error\n }\n"
    " prometheus :9153\n kubernetes cluster.local in-addr.arpa ip6.arpa {\n pods verified\n"
    " fallthrough in-addr.arpa ip6.arpa\n }\n autopath @kubernetes\n forward . 192.0.2.1\n cache {\n"
    " prefetch 20\n serve_stale\n }\n loop\n reload\n loadbalance\n}\n",
    "variables in a regular expression (034)": ". {\n rewrite name regex ^([^.]+)\\.{$DOMAIN}\\.$"
    " {1}.{$NAMESPACE}.{$DOMAIN}.\n forward . 192.0.2.1\n}\n",
    "a block of rewrite": ". {\n rewrite stop {\n name regex (.*)\\.foo\\. {1}.svc.cluster.local.\n"
    " answer name (.*)\\.svc\\.cluster\\.local\\. {1}.foo.\n }\n forward . 192.0.2.1\n}\n",
    "rewrites of every inline form": ". {\n rewrite name a.example b.example\n rewrite name exact c d\n"
    " rewrite name suffix .x.example .y.example answer auto\n rewrite continue type ANY HINFO\n"
    " forward . 192.0.2.1\n}\n",
    "upstreams over TLS": ". {\n forward . tls://192.0.2.1 tls://192.0.2.2 {\n tls_servername dns.example\n"
    " health_check 5s\n max_concurrent 1000\n prefer_udp\n expire 10s\n except a b\n }\n}\n",
    "templates": ". {\n template IN A example.org {\n match ^ip-(?P<a>[0-9]*)\\.example\\.org[.]$\n"
    ' answer "{{ .Name }} 60 IN A 10.0.0.{{ .Group.a }}"\n fallthrough\n }\n template ANY AAAA {\n'
    ' rcode NOERROR\n authority "example.org. 60 IN SOA ns. host. (1 60 60 60 60)"\n }\n}\n',
    "acl": ". {\n acl {\n allow net 10.0.0.0/8\n block type A net *\n block\n }\n whoami\n}\n",
    "every option of cache": ". {\n cache 900 {\n denial 9984 30\n success 2048\n prefetch 10 1m 10%\n"
    " servfail 5s\n serve_stale 1h immediate\n disable success a b\n keepttl\n }\n whoami\n}\n",
    "k8s_external": ". {\n kubernetes cluster.local\n k8s_external example.org {\n apex dns\n ttl 30\n }\n}\n",
    "a view before the rest": ". {\n view a {\n expr incidr(client_ip(), '10.0.0.0/8')\n }\n whoami\n}\n"
    ". {\n erratic\n}\n",
    "braces on lines of their own": "example.org:53\n{\n log\n {\n class error\n }\n}\n",
    "a snippet in every block, two addresses": "(s) {\n chaos \"x (y)\"\n log\n errors\n bind ::\n"
    " bind 0.0.0.0\n}\n16.172.in-addr.arpa {\n import s\n}\na.example, b.example {\n import s\n}\n",
    "a snippet within options": "(o) {\n max_concurrent 9\n}\n. {\n forward . 192.0.2.1 {\n import o\n }\n}\n",
    "an address for a zone": "{$DOMAIN}:53 {\n file /nowhere/db\n acl {\n allow net 10.0.0.0/8\n block\n }\n}\n",
    "a zone of RFC 2317": "32/27.104.21.172.in-addr.arpa {\n whoami\n}\n",
    "TLS and HTTPS without a certificate": ". tls://. https://. {\n hosts {\n fallthrough\n }\n whoami\n}\n",
    "ports from variables that are not set": ". {\n prometheus :{$NO_PORT}\n health :{$NO_PORT}\n whoami\n}\n",
    "arguments too many": ". {\n any thing\n local host\n cache {\n success 1 2 3 4\n }\n reload {\n x\n }\n}\n",
    "comments glued to words": ". {\n errors#all\n cache 30#s\n forward . 192.0.2.1#up\n}\n",
    "named templates": ". {\n template IN A {\n answer \"{{ define `a` }}10.0.0.1{{ end }}{{ .Name }} 5 IN A"
    " {{ template `a` }}\"\n }\n}\n",
    "Unicode classes": ". {\n rewrite name regex ^(\\pL+)[.]example[.]$ {1}.test.\n whoami\n}\n",
    "one-liners": ". {\n local\n any\n nsid x\n bufsize 1232\n minimal\n metadata\n multisocket 2\n"
    " cancel 2s\n timeouts {\n read 5s\n }\n ready :8182\n chaos a b\n debug\n pprof\n"
    " dns64 64:ff9b::/96\n header {\n response set ra\n }\n}\n",
}  # fmt: skip

OLD = {
    "proxy": ". {\n proxy . 192.0.2.1 {\n policy round_robin\n protocol dns force_tcp\n }\n}\n",
    "proxy with what forward lacks": ". {\n proxy . 192.0.2.1:53 {\n policy least_conn\n spray\n"
    " fail_timeout 5s\n health_check :80\n }\n}\n",
    "options of kubernetes": ". {\n kubernetes cluster.local {\n upstream 192.0.2.1\n resyncperiod 5m\n"
    " endpoint http://a http://b\n cidrs 10.0.0.0/8\n transfer to *\n }\n}\n",
    "federation": ". {\n kubernetes cluster.local\n federation cluster.local {\n a b\n }\n}\n",
    "hosts twice (019, 020)": ". {\n hosts {\n 192.0.2.1 a\n fallthrough\n }\n hosts {\n 192.0.2.2 b\n"
    " fallthrough\n }\n}\n",
    "health without a colon": ". {\n health 8080\n ready 8181\n prometheus 9153\n}\n",
    "errors with a file (147)": ". {\n errors stderr\n}\n",
    "options of etcd": ". {\n etcd skydns.local {\n path /skydns\n endpoint http://127.0.0.1:2379\n"
    " stubzones\n upstream /etc/resolv.conf\n fallthrough\n }\n}\n",
    "options of auto": ". {\n auto example.org {\n directory /nowhere (.*) {1} 60\n no_reload\n upstream\n }\n}\n",
}  # fmt: skip


def _check(
    path: Path, text: str, capsys: pytest.CaptureFixture[str], *flags: str
) -> tuple[int, str]:
    path.write_text(text)
    capsys.readouterr()
    return main(["check", *flags, str(path)]), capsys.readouterr().out


@pytest.mark.parametrize("text", STARTS.values(), ids=STARTS)
def test_what_coredns_starts_with_starts(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOMAIN", "example.org")
    monkeypatch.setenv("NAMESPACE", "prod")
    status, out = _check(tmp_path / "Corefile", text, capsys)

    assert status == 0, out
    assert "translated" not in out


@pytest.mark.parametrize("text", OLD.values(), ids=OLD)
def test_old_corefiles_start_and_become_modern_ones(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Issue 4, items 4 and 5."""
    path = tmp_path / "Corefile"
    status, out = _check(path, text, capsys)
    assert status == 0, out
    assert "  warning  " in out
    _, modern = _check(path, text, capsys, "--migrate")
    status, out = _check(path, modern, capsys)

    assert status == 0, out
    assert "translated" not in out
    assert _check(path, modern, capsys, "--migrate")[1] == modern
