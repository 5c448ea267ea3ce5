"""Lines of ``rewrite`` that are rules, and lines that are none."""

import pytest

from svcdns.errors import CorefileError
from svcdns.plugins.rewriteedns import EdnsRule
from svcdns.plugins.rewriteread import rule_of
from svcdns.plugins.rewriterules import ClassRule, TypeRule
from tests.support.setups import directives

GOOD = [
    ("name a b", True),
    ("NAME exact a b", True),
    ("stop name a b", True),
    ("continue name a b", False),
    ("continue {\nttl regex (.*)\\.coredns\\.rocks 15\n}", False),
    ("stop {\nname regex (.*)-(us) {1}.{2}\nanswer name (.*)\\.(us) {1}-{2}\n}", True),
    ("{\nname suffix a b\nanswer auto\n}", True),
    ("name regex a b answer name c d answer value e f", True),
    ("name suffix a b answer value e f auto", True),
    ("ttl a 5", True),
    ("ttl exact a 5-", True),
    ("ttl suffix a -5", True),
    ("ttl substring a 5-10", True),
    ("rcode a SERVFAIL noerror", True),
    ("rcode regex .* 2 3", True),
    ("cname a b", True),
    ("cname regex (a) {1}.b", True),
    ("edns0 nsid set", True),
    ("edns0 local append 0xffee {server_ip} revert", True),
    ("edns0 local set 0xffee {a-plugin/a-label}", True),
]


@pytest.mark.parametrize(("text", "stop"), GOOD)
def test_rules_are_read(text: str, stop: bool) -> None:
    assert rule_of(directives("rewrite " + text)[0]).stop is stop


BAD = [
    ("", "no rule type"),
    ("continue", "no rule type"),
    ("answer name a b", "must begin with a name rule"),
    ("nope a b", "invalid rule type 'nope'"),
    ("name a", "too few arguments"),
    ("name glob a b", "only exact, prefix"),
    ("name a b c d", "only exact, prefix"),
    ("name exact a b c d", "exceeded the number of arguments"),
    ("name regex a b answer", "type missing"),
    ("name regex a b answer nope c d", "invalid type 'nope'"),
    ("name regex a b answer name c", "2 arguments required"),
    ("name regex a b answer auto answer name c d", "cannot be combined"),
    ("name regex a {1}", "more subexpressions"),
    ("name regex (a {1}", "error parsing regexp"),
    ("name regex a b answer name (c d", "error parsing regexp"),
    ("type ANY", "exactly two arguments"),
    ("type ANY HINF", "invalid type 'HINF'"),
    ("class CH IN x", "exactly two arguments"),
    ("class XX IN", "invalid class 'XX'"),
    ("ttl a", "too few"),
    ("ttl exact a 5 6", "too many"),
    ("ttl a -", "invalid TTL"),
    ("ttl a 9-5", "invalid TTL"),
    ("ttl a 4294967296", "invalid TTL"),
    ("rcode a SERVFAIL", "too few"),
    ("rcode a SERVFAIL NOPE", "invalid rcode 'NOPE'"),
    ("cname a", "too few"),
    ("cname glob a b", "only exact, prefix"),
    ("edns0 local", "too few arguments"),
    ("edns0 local nope 1 2", "invalid action"),
    ("edns0 nope set", "invalid rule type"),
    ("edns0 local set 1", "exactly three args"),
    ("edns0 local unset", "exactly two arguments"),
    ("edns0 local set 70000 a", "not between"),
    ("edns0 local set 0xffee 0xa", "hex"),
    ("edns0 local set 0xffee {nope}", "unsupported variable"),
    ("edns0 nsid set x", "only have two args"),
    ("edns0 subnet set 33 56", "not between"),
    ("edns0 subnet set 24", "exactly three args"),
    ("name a b {\nanswer auto\n}", "takes no block"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_what_is_no_rule_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message) as caught:
        rule_of(directives("log\nrewrite " + text)[1])

    assert str(caught.value).startswith("Corefile:3 - Error during parsing: plugin/rewrite: ")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("type ANY HINFO", TypeRule(255, 13)),
        ("class ch in", ClassRule(3, 1)),
        ("edns0 local set 0xffee 0x61626364", EdnsRule("set", 0xFFEE, b"abcd")),
        ("edns0 local set 65518 abcd revert", EdnsRule("set", 0xFFEE, b"abcd", revert=True)),
        ("edns0 local unset 010", EdnsRule("unset", 8)),
        ("edns0 subnet set 24 56", EdnsRule("set", 8, subnet=(24, 56))),
        ("edns0 subnet unset", EdnsRule("unset", 8)),
        ("edns0 nsid set", EdnsRule("set", 3)),
    ],
)
def test_rules_say_what_the_line_says(text: str, rule: object) -> None:
    assert rule_of(directives("rewrite " + text)[0]).rule == rule
