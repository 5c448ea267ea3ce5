"""Answers of templates, read by dnspython."""

from typing import Any

import pytest

from svcdns.dns.response import Record, Response
from svcdns.errors import CorefileError
from svcdns.metrics import Registry
from svcdns.plugins.base import Failed, Handler, Outcome, Reply, Request
from svcdns.plugins.commands import Transport
from svcdns.plugins.template import Templates, setup
from tests.support.records import wire_name
from tests.support.serving import Scripted, always, answer, rows, server_of
from tests.support.setups import context, directives, value

IP = r"""template IN A example {
match "^ip-(?P<a>[0-9]*)-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$"
match "^(?P<a>[0-9]*)[.](?P<b>[0-9]*)[.](?P<c>[0-9]*)[.](?P<d>[0-9]*)[.]ext[.]example[.]$"
answer "{{ .Name }} 60 IN A {{ .Group.a}}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
%s
}"""


def templates(text: str, registry: Registry | None = None) -> Templates:
    return setup(directives(text), context(registry=registry))


def ask(
    text: str, question: str, **settings: Any
) -> tuple[str, str, list[str], list[str], list[str]]:
    return rows(answer(server_of([templates(text), always(Failed(5))]), question, **settings))


ROWS = [
    ("README: NXDOMAIN for all", "template ANY ANY {\nrcode NXDOMAIN\n}", "a.b MX", "NXDOMAIN", []),
    ("corpus: no AAAA", "template ANY AAAA {\nrcode NOERROR\n}", "a.b AAAA", "NOERROR", []),
    ("corpus: other types pass", "template ANY AAAA {\nrcode NOERROR\n}", "a.b A", "REFUSED", []),
    ("two patterns, first", IP % "", "IP-10-1-2-3.example A", "NOERROR", ["ip-10-1-2-3.example. 60 IN A 10.1.2.3"]),
    ("two patterns, second", IP % "", "10.1.2.3.ext.example A", "NOERROR", ["10.1.2.3.ext.example. 60 IN A 10.1.2.3"]),
    ("no pattern", IP % "", "x.example A", "SERVFAIL", []),
    ("no pattern, falls through", IP % "fallthrough", "x.example A", "REFUSED", []),
    ("falls through elsewhere", IP % "fallthrough in-addr.arpa", "x.example A", "SERVFAIL", []),
    ("another zone", IP % "", "x.example.org A", "REFUSED", []),
    ("no address comes out", IP % "", "ip-999-1-2-3.example A", "SERVFAIL", []),
    ("qtype ANY", IP % "", "ip-10-1-2-3.example ANY", "NOERROR", ["ip-10-1-2-3.example. 60 IN A 10.1.2.3"]),
    ("parseInt", 'template IN A example {\nmatch "^ip0a(?P<b>[a-f0-9]{2})[.]example[.]$"\n'
     'answer "{{ .Name }} 60 IN A 10.{{ parseInt .Group.b 16 8 }}.0.1"\n}',
     "ip0aff.example A", "NOERROR", ["ip0aff.example. 60 IN A 10.255.0.1"]),
    ("SERVFAIL", "template ANY ANY {\nrcode SERVFAIL\n}", "a.b A", "SERVFAIL", []),
    ("nothing comes out", 'template IN A {\nanswer "{{ if eq .Name `x.` }}x. A 10.0.0.1{{ end }}"\n}', "a.b A", "NOERROR", []),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text", "question", "rcode", "found"), ROWS)
def test_answers(rule: str, text: str, question: str, rcode: str, found: list[str]) -> None:
    got = ask(text, question)

    assert (got[0], got[2]) == (rcode, found), rule
    assert got[1] == ("qr aa rd" if rcode in ("NOERROR", "NXDOMAIN") else "qr rd"), rule


def test_all_sections_and_an_extended_error() -> None:
    text = (
        'template ANY ANY invalid {\nrcode NXDOMAIN\n'
        'authority "invalid. 60 {{ .Class }} SOA ns.invalid. hostmaster.invalid. (1 60 60 60 60)"\n'
        'additional "ns.invalid 60 A 203.0.113.8" "ns.invalid 60 A 198.51.100.8"\n'
        'ederror 21 "Blocked according to RFC2606"\n}'
    )  # fmt: skip
    message = answer(server_of([templates(text)]), "a.invalid A", use_edns=0)

    assert rows(message) == (
        "NXDOMAIN",
        "qr aa rd",
        [],
        ["invalid. 60 IN SOA ns.invalid. hostmaster.invalid. 1 60 60 60 60"],
        ["ns.invalid. 60 IN A 198.51.100.8", "ns.invalid. 60 IN A 203.0.113.8"],
    )
    assert [option.to_text() for option in message.options] == [
        "EDE 21 (Not Supported): Blocked according to RFC2606"
    ]


def test_the_first_template_for_the_question_answers_and_the_order_is_the_files() -> None:
    text = "\n".join(
        f'template IN TXT {zone} {{\nmatch {regexp}\nanswer "{{{{ .Name }}}} 1 IN TXT {word}"\nfallthrough\n}}'
        for zone, regexp, word in [
            ("a.b", "^x", "one"),
            ("b", "^[xy]", "two"),
            ("b", ".*", "three"),
        ]
    )
    for name, word in [("x.a.b", "one"), ("y.a.b", "two"), ("x.b", "two"), ("z.b", "three")]:
        assert ask(text, f"{name} TXT")[2] == [f'{name}. 1 IN TXT "{word}"']


def _target(request: Request, proceed: Handler) -> Outcome:
    if request.query.name != wire_name("google.com"):
        return Failed(5)
    return Reply(Response(answer=(Record(request.query.qname, 1, 9, bytes((10, 0, 0, 1))),)))


def test_a_cname_is_followed_for_addresses() -> None:
    text = 'template IN ANY foogle.com {\nmatch "^foogle\\.com\\.$"\nanswer "foogle.com 60 IN CNAME google.com"\n}'
    server = server_of([templates(text), Scripted(_target)])

    alias = "foogle.com. 60 IN CNAME google.com."
    assert rows(answer(server, "foogle.com A"))[2] == [alias, "google.com. 9 IN A 10.0.0.1"]
    assert rows(answer(server, "foogle.com MX"))[2] == [alias]
    missing = server_of([templates(text.replace("google.com", "gone.com"))])
    assert rows(answer(missing, "foogle.com A"))[2] == ["foogle.com. 60 IN CNAME gone.com."]


def test_client_and_metadata_are_at_hand() -> None:
    text = 'template IN TXT {\nanswer "{{ .Name }} 1 TXT {{ .Remote }} {{ .Type }} {{ .Zone }} {{ .Meta `a/b` }}."\n}'

    assert ask(text, "x.y TXT")[2] == ['x.y. 1 IN TXT "127.0.0.1" "TXT" "." "."']


def test_answers_that_only_the_question_decides_are_stored_and_counted() -> None:
    rows_ = [
        ('template IN A {\nanswer "{{ .Name }} 1 IN A 10.0.0.1"\n}', 1),
        ('template IN A {\nanswer "{{ .Name }} 1 IN A {{ .Remote }}"\n}', 0),
        ('template IN A {\nanswer "{{ .Name }} 1 IN A 10.0.0.{{ .Message.Id | len }}"\n}', 0),
        ("template IN A {\nrcode NXDOMAIN\n}", 1),
    ]
    for text, stored in rows_:
        server = server_of([templates(text)])
        answer(server, "a.b A")
        assert len(server.table(Transport.UDP, "1").entries) == stored, text


def test_metrics_name_the_template_that_failed() -> None:
    registry = Registry()
    text = 'template IN A example {\nanswer "{{ .Name }} 60 IN A {{ index .Match 5 }}"\n}\n'
    text += 'template IN MX example {\nanswer "{{ .Name }} 60 IN MX x"\n}'
    server = server_of([templates(text, registry)])

    assert rows(answer(server, "a.example A"))[0] == "SERVFAIL"
    assert rows(answer(server, "a.example MX"))[0] == "SERVFAIL"
    labels = ("dns://:53", "example.", "", "IN")
    assert value(registry, "coredns_template_matches_total", *labels, "A") == 1
    assert value(registry, "coredns_template_template_failures_total", *labels, "A", "answer",
                 "{{ .Name }} 60 IN A {{ index .Match 5 }}") == 1  # fmt: skip
    assert value(registry, "coredns_template_rr_failures_total", *labels, "MX", "answer",
                 "{{ .Name }} 60 IN MX x") == 1  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("template", "Wrong argument count"),
        ("template IN", "Wrong argument count"),
        ("template XX A", "invalid query class XX"),
        ("template IN XX", "invalid RR class XX"),
        ("template IN A {\nmatch (\n}", "error parsing regexp"),
        ("template IN A {\nmatch\n}", "Wrong argument count"),
        ("template IN A {\nanswer\n}", "Wrong argument count"),
        (
            'template IN A {\nanswer "{{ .Name"\n}',
            "could not compile template: {{ .Name, unclosed action",
        ),
        ("template IN A {\nrcode NOPE\n}", "unknown rcode NOPE"),
        ("template IN A {\nederror x\n}", "invalid number"),
        ("template IN A {\nexpr x\n}", "unknown property 'expr'"),
    ],
)
def test_what_is_no_template_is_refused(text: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message):
        templates(text)
