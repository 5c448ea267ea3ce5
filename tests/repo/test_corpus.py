"""Corefiles of the world: what distributions install, and the oddities that people write.

From corefile-features b and corefile-corpus ("Oddities worth testing").
"""

import pytest

from svcdns.corefile.migration import migrate
from svcdns.corefile.overlap import check_overlap
from svcdns.corefile.parser import parse
from svcdns.corefile.printer import print_corefile
from svcdns.corefile.syntax import Directive, ServerBlock
from svcdns.errors import CorefileError
from svcdns.plugins.order import BY_NAME
from svcdns.plugins.registry import groups
from tests.support.stock import STOCK


def _parse(text: str, warnings: list[str] | None = None, **env: str) -> tuple[ServerBlock, ...]:
    warn = (warnings if warnings is not None else []).append
    return parse(text, "Corefile", env, lambda *_: None, warn, known=BY_NAME)


@pytest.mark.parametrize("text", STOCK.values(), ids=STOCK)
def test_stock_corefiles_are_read_and_need_no_translation(text: str) -> None:
    blocks = _parse(text)

    check_overlap(blocks)
    assert migrate(blocks).changes == ()
    assert all(block.directives for block in blocks)
    assert print_corefile(_parse(print_corefile(blocks))) == print_corefile(blocks)


@pytest.mark.parametrize("text", STOCK.values(), ids=STOCK)
def test_stock_corefiles_are_read_with_crlf_and_quoted_yamls_blanks(text: str) -> None:
    changed = text.replace("\n", "  \r\n").replace(" . ", "  .\t")

    assert print_corefile(_parse(changed)) == print_corefile(_parse(text))


@pytest.mark.parametrize(
    ("name", "keys", "chain"),
    [
        ("kubeadm", [".:53"], "reload ready health prometheus errors loadbalance cache kubernetes loop forward"),
        ("minikube", [".:53"], "reload ready health prometheus errors log loadbalance cache hosts kubernetes loop forward"),
        ("AKS", [".:53"], "reload ready health prometheus errors loadbalance cache template kubernetes loop forward"),
        ("OpenShift", ["stub.example.:5353", ".:5353", "hostname.bind.:5353"], "bufsize prometheus errors log cache forward"),
        ("NodeLocal DNSCache", ["cluster.local.:53", "in-addr.arpa.:53", "ip6.arpa.:53", ".:53"],
         "reload bind health prometheus errors cache loop forward"),
    ],
)  # fmt: skip
def test_keys_and_order_of_stock_corefiles(name: str, keys: list[str], chain: str) -> None:
    blocks = _parse(STOCK[name])

    assert [f"{key.zone}:{key.port}" for block in blocks for key in block.keys] == keys
    assert [group[0].name for group in groups(blocks[0])] == chain.split()


def test_globs_of_k3s_that_match_nothing_are_only_warnings() -> None:
    warnings: list[str] = []
    _parse(STOCK["k3s"], warnings)

    assert len(warnings) == 2


def _named(text: str, name: str, **env: str) -> tuple[Directive, ...]:
    return _parse(". {\n" + text + "\n}", None, **env)[0].named(name)


ODD = [
    ("a zone twice (002)", "kubernetes cluster.local cluster.local in-addr.arpa ip6.arpa", "kubernetes", 1),
    ("networks as zones (061)", "kubernetes cluster.local 10.98.100.0/22 10.98.96.0/24", "kubernetes", 1),
    ("log stdout (032)", "log stdout", "log", 1),
    ("log twice (114)", "log\nlog . {\nclass denial\n}", "log", 2),
    ("acl twice (185)", "acl {\nallow\n}\nacl a {\nblock type ANY net *\n}", "acl", 2),
    ("forward several times", "forward a 10.0.0.1\nforward b 10.0.0.1\nforward . 10.0.0.1", "forward", 3),
    ("no_recursive in hosts", "hosts {\nno_recursive\n10.0.0.1 a\nfallthrough\n}", "hosts", 1),
    ("an IPv6 upstream with a port", "forward . [1001:AAAA:BBBB:CCCC::2222]:53", "forward", 1),
    ("a bare IPv6 upstream (066)", "forward . fdaa::3", "forward", 1),
    ("a trailing comment in Chinese", "forward . 114.114.114.114 # 上游", "forward", 1),
    ("a block of rewrite", "rewrite stop {\nname regex (.*)\\.a {1}.b\nanswer name (.*)\\.b {1}.a\n}", "rewrite", 1),
    ("quoted template", 'template IN AAAA {\nrcode NOERROR\nauthority "{{ .Zone }} 60 IN SOA a. b. (1 60 60 60 60)"\n}', "template", 1),
]  # fmt: skip


@pytest.mark.parametrize(("text", "name", "count"), [r[1:] for r in ODD], ids=[r[0] for r in ODD])
def test_odd_directives_are_read(text: str, name: str, count: int) -> None:
    assert len(_named(text, name)) == count


def test_a_glued_brace_is_a_zone_and_the_block_has_none() -> None:
    """Corpus 156."""
    first, second = _parse("example.com:53 172.16.10.0/24{\nfile db\n}\n. {\nlog\n}")

    assert [key.zone for key in first.keys] == ["example.com.", "172.16.10.0/24{."]
    assert [directive.tokens for directive in first.directives] == [("file", "db")]
    assert [directive.name for directive in second.directives] == ["log"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (". {\nrewirte name a b\n}", "Corefile:2 - Error during parsing: Unknown directive 'rewirte'"),
        (". {\nrewrite stop{\nname a b\nanswer c\n}\n}", "Corefile:3 - Error during parsing: Unknown directive 'name'"),
        (". {\n. /etc/resolv.conf {\n}\n}", "Corefile:2 - Error during parsing: Unknown directive '.'"),
        (". {\nmulticluster\n}", "Corefile:2 - Error during parsing: Unknown directive 'multicluster'"),
    ],
)  # fmt: skip
def test_typos_and_foreign_plugins_are_refused(text: str, message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        _parse(text)

    assert str(caught.value) == message


def test_a_zone_in_two_blocks_is_refused() -> None:
    """Corpus 115."""
    with pytest.raises(CorefileError, match=r"Corefile:3 - cannot serve dns://a\.:53"):
        check_overlap(_parse("a:53 {\n}\na {\n}"))


def test_hosts_twice_becomes_one() -> None:
    """Corpus 019 and 020."""
    blocks = _parse(
        ". {\nhosts {\n10.0.0.1 a\nfallthrough\n}\nhosts /etc/hosts {\nfallthrough\n}\n}"
    )
    found = migrate(blocks)

    assert [d.tokens for d in found.blocks[0].directives] == [("hosts", "/etc/hosts")]
    assert len(found.changes) == 1


def test_variables_inside_a_regular_expression_leave_groups() -> None:
    """Corpus 034."""
    (line,) = _named(
        r"rewrite name regex ^([^.]+)\.{$DOMAIN}\.$ {1}.{$NAMESPACE}.{$DOMAIN}.",
        "rewrite",
        DOMAIN="corp.example",
        NAMESPACE="prod",
    )

    assert line.args[2:] == (r"^([^.]+)\.corp.example\.$", "{1}.prod.corp.example.")


def test_snippets_with_colons_and_keys_with_commas() -> None:
    """Corpus 115 and 168."""
    blocks = _parse(
        "(corp:example:com) {\nerrors\nlog\ncache 30\nreload\n}\n"
        "a.example, b.example {\nimport corp:example:com\nfile db\n}\n"
        "internal.:53 dns://.:1053 {\nimport corp:example:com\n}\n"
    )

    assert [[key.zone for key in block.keys] for block in blocks] == [
        ["a.example.", "b.example."],
        ["internal.", "."],
    ]
    assert [len(block.directives) for block in blocks] == [5, 4]


@pytest.mark.parametrize(
    ("key", "zone", "scheme", "port"),
    [
        ("dns://.:53", ".", "dns", 53),
        ("tls://.:853", ".", "tls", 853),
        ("https://.:443", ".", "https", 443),
        (".:5353", ".", "dns", 5353),
        (".", ".", "dns", 53),
        ("internal.:53", "internal.", "dns", 53),
    ],
)
def test_keys_that_people_write(key: str, zone: str, scheme: str, port: int) -> None:
    (found,) = _parse(key + " {\n}")[0].keys

    assert (found.zone, found.scheme, found.port) == (zone, scheme, port)
