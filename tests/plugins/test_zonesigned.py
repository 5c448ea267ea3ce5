"""What goes along for those who verify; that it does verify is tried with Knot and delv."""

import pytest
from msgspec.structs import replace

from svcdns.corefile.fallthrough import Fallthrough
from svcdns.dns.edns import Edns
from svcdns.dns.response import Record, Response
from svcdns.plugins.base import Failed, Reply
from svcdns.plugins.zoneanswers import Zones
from tests.support.examplezone import ORIGIN, zone_of
from tests.support.records import zone_texts
from tests.support.serving import request


def signature(owner: str, covered: str, labels: int = 3) -> str:
    times = "20300101000000 20200101000000"
    return f"{owner} RRSIG {covered} 8 {labels} 60 {times} 1 example.org. AAAA\n"


PLAIN = """$ORIGIN example.org.
$TTL 60
@ SOA ns hostmaster 7 7200 1800 86400 60
@ NS ns
ns A 10.0.0.1
www CNAME web
web A 10.0.0.3
*.wild A 10.0.0.5
a.deep A 10.0.0.4
cut NS ns.cut
"""
SIGNATURES = (
    signature("@", "SOA", 2) + signature("@", "NS", 2) + signature("ns", "A")
    + signature("www", "CNAME") + signature("web", "A") + signature("*.wild", "A")
)  # fmt: skip
CHAIN = ["@ cut", "cut a.deep", "a.deep ns", "ns web", "web *.wild", "*.wild www", "www @"]
PROOFS = "".join(
    f"{owner} NSEC {following} A RRSIG NSEC\n" + signature(owner, "NSEC")
    for owner, following in (entry.split() for entry in CHAIN)
)


def ask(text: str, zone: str, *, do: bool = True) -> Response:
    zones = Zones("file", lambda _owners: None)
    zones.put(ORIGIN, zone_of(zone.encode()))
    asked = request(text)
    asked = replace(asked, query=replace(asked.query, edns=Edns(1232, do=do)))
    outcome = zones.serve(asked, lambda _request: Failed(5), Fallthrough())
    assert isinstance(outcome, Reply)
    return outcome.response


def short(records: tuple[Record, ...]) -> list[str]:
    """Owner and type, and what a signature covers."""
    found = []
    for line in zone_texts(records):
        owner, _, rrtype, first, *_ = line.split()
        name = owner.removesuffix("example.org.").removesuffix(".") or "@"
        found.append(f"{name} RRSIG {first}" if rrtype == "RRSIG" else f"{name} {rrtype}")
    return sorted(found)


TOP = ["@ NS", "@ RRSIG NS"]
NONE = ["@ RRSIG SOA", "@ SOA"]


def proof(*owners: str) -> list[str]:
    return [f"{owner} {kind}" for owner in owners for kind in ("NSEC", "RRSIG NSEC")]


@pytest.mark.parametrize(
    ("rule", "text", "answer", "authority"),
    [
        ("RFC 4035 §3.1.1", "web A", ["web A", "web RRSIG A"], TOP),
        ("every link of a chain", "www A",
         ["web A", "web RRSIG A", "www CNAME", "www RRSIG CNAME"], TOP),
        ("the client's case", "WEB A", ["WEB A", "WEB RRSIG A"], TOP),
        ("§3.1.3.1: no such type", "web AAAA", [], [*NONE, *proof("web")]),
        ("no such type behind a CNAME", "www AAAA", ["www CNAME", "www RRSIG CNAME"],
         [*NONE, *proof("web")]),
        ("§3.1.3.2: no such name, no wildcard", "q A", [], [*NONE, *proof("@", "ns")]),
        ("two NSEC, each for one", "x.cut0 A", [], [*NONE, *proof("@", "cut")]),
        ("§3.1.3.3: a wildcard's answer", "b.wild A", ["b.wild A", "b.wild RRSIG A"],
         [*TOP, *proof("*.wild")]),
        ("§3.1.3.4: a wildcard without such a type", "b.wild AAAA", [], [*NONE, *proof("*.wild")]),
        ("a name with nothing but names below", "deep A", [], [*NONE, *proof("cut")]),
        ("§3.1.4: a cut without DS", "x.cut A", [], ["cut NS", *proof("cut")]),
        ("signatures when asked for", "web RRSIG", ["web RRSIG A", "web RRSIG NSEC"], TOP),
    ],
)  # fmt: skip
def test_signatures_and_proofs(
    rule: str, text: str, answer: list[str], authority: list[str]
) -> None:
    name, rrtype = text.split()
    found = ask(f"{name}.example.org {rrtype}", PLAIN + SIGNATURES + PROOFS)

    assert short(found.answer) == sorted(answer), rule
    assert short(found.authority) == sorted(authority), rule


@pytest.mark.parametrize("name", ["web", "q", "x.cut", "b.wild", "deep"])
def test_who_does_not_verify_gets_none_of_it(name: str) -> None:
    found = ask(f"{name}.example.org A", PLAIN + SIGNATURES + PROOFS, do=False)

    assert found == ask(f"{name}.example.org A", PLAIN), "as from the zone before it was signed"


def test_a_ds_goes_with_a_referral_instead_of_the_proof_that_there_is_none() -> None:
    ds = f"cut DS 1 13 2 {'a' * 64}\n" + signature("cut", "DS")
    found = ask("x.cut.example.org A", PLAIN + SIGNATURES + PROOFS + ds)

    assert short(found.authority) == ["cut DS", "cut NS", "cut RRSIG DS"]
    assert not found.aa


def test_a_zone_without_nsec_gets_signatures_and_no_proofs() -> None:
    """As one with NSEC3 does."""
    found = ask("q.example.org A", PLAIN + SIGNATURES)

    assert short(found.authority) == NONE


def test_a_zone_that_is_not_signed_is_answered_as_ever() -> None:
    assert ask("q.example.org A", PLAIN) == ask("q.example.org A", PLAIN, do=False)
