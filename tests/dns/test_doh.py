"""DNS messages in HTTP (RFC 8484), built and read by dnspython."""

import base64

import dns.message
import dns.rcode
import dns.rrset
import pytest

from svcdns.dns.doh import Refusal, max_age, read_request

WIRE = dns.message.make_query("www.example.", "A").to_wire()
TEXT = base64.urlsafe_b64encode(WIRE).decode().rstrip("=")
TYPE = "application/dns-message"


def status(method: str, target: str, media_type: str = TYPE, body: bytes = WIRE) -> int:
    found = read_request(method, target, media_type, body)
    return found.status if isinstance(found, Refusal) else 200


@pytest.mark.parametrize("size", range(40))
def test_every_length_of_a_message_is_read_from_a_get(size: int) -> None:
    """RFC 8484 §4.1.1: base64url without padding, whatever is left over."""
    wire = bytes(range(200, 200 + 12)) + b"\xfb\xff" * size
    text = base64.urlsafe_b64encode(wire).decode()

    assert read_request("GET", f"/dns-query?dns={text.rstrip('=')}", "", b"") == wire
    assert read_request("GET", f"/dns-query?ct=x&dns={text}", "", b"") == wire


@pytest.mark.parametrize("media_type", [TYPE, "Application/DNS-Message; x=y", ""])
def test_a_post_carries_the_message_itself(media_type: str) -> None:
    assert read_request("POST", "/dns-query", media_type, WIRE) == WIRE
    assert read_request("POST", "/dns-query?bla=foo:443", media_type, WIRE) == WIRE


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/", 404),
        ("GET", "", 404),
        ("POST", "/dns-query/", 404),
        ("GET", "/dns-query", 400),
        ("GET", "/dns-query?dns=", 400),
        ("GET", "/dns-query?dns=AAAA", 400),
        ("GET", f"/dns-query?dns={TEXT}&dns={TEXT}", 400),
        ("GET", f"/dns-query?dns={TEXT[:-1]}!", 400),
        ("GET", "/dns-query?dns=ü", 400),
        ("GET", "/dns-query?dns=%FF", 400),
        ("GET", "/dns-query?dns=A", 400),
        ("PUT", "/dns-query", 405),
        ("HEAD", f"/dns-query?dns={TEXT}", 405),
        ("", "/dns-query", 405),
    ],
)
def test_what_is_no_request_is_refused(method: str, target: str, expected: int) -> None:
    assert status(method, target) == expected


@pytest.mark.parametrize(
    ("media_type", "size", "expected"),
    [(TYPE, 65535, 200), (TYPE, 65536, 413), (TYPE, 11, 400), (TYPE, 0, 400),
     ("application/dns-json", 12, 415), ("text/plain", 12, 415)],
)  # fmt: skip
def test_posts_are_bounded_and_of_one_type(media_type: str, size: int, expected: int) -> None:
    assert status("POST", "/dns-query", media_type, bytes(size)) == expected


SOA = "example. {ttl} IN SOA ns. host. 1 2 3 4 {minimum}"


@pytest.mark.parametrize(
    ("rcode", "answer", "authority", "expected"),
    [
        ("NOERROR", ["www.example. 30 IN A 192.0.2.1"], [], 30),
        ("NOERROR", ["www.example. 30 IN CNAME a.", "a. 7 IN A 192.0.2.1"], [], 7),
        ("NOERROR", ["www.example. 30 IN A 192.0.2.1"], [SOA.format(ttl=60, minimum=5)], 30),
        ("NOERROR", [], [SOA.format(ttl=60, minimum=9)], 9),
        ("NXDOMAIN", [], [SOA.format(ttl=8, minimum=9)], 8),
        ("NXDOMAIN", ["www.example. 30 IN CNAME a."], [SOA.format(ttl=60, minimum=9)], 9),
        ("NXDOMAIN", [], [], 5),
        ("SERVFAIL", [], [], 0),
        ("REFUSED", ["www.example. 30 IN A 192.0.2.1"], [], 0),
    ],
)
def test_an_answer_may_be_kept_as_long_as_its_records(
    rcode: str, answer: list[str], authority: list[str], expected: int
) -> None:
    """RFC 8484 §5.1, RFC 2308 §5."""
    message = dns.message.make_response(dns.message.from_wire(WIRE))
    message.set_rcode(dns.rcode.from_text(rcode))
    for section, lines in ((message.answer, answer), (message.authority, authority)):
        for line in lines:
            owner, ttl, _, rrtype, *rest = line.split()
            section.append(dns.rrset.from_text(owner, int(ttl), "IN", rrtype, " ".join(rest)))
    wire = message.to_wire()

    assert max_age(wire) == expected
    assert all(max_age(wire[:end]) >= 0 for end in range(len(wire)))
