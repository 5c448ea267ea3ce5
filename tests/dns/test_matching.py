import dns.message
import dns.rcode
import pytest

from svcdns.dns.matching import answers, question_end


def _query(name: str = "www.example.org.", rrtype: str = "A") -> dns.message.Message:
    query = dns.message.make_query(name, rrtype)
    query.id = 0x1234
    return query


def _check(query: dns.message.Message, message: bytes) -> bool:
    wire = query.to_wire()
    return answers(wire, question_end(wire), message)


def test_an_answer_with_the_same_id_and_question_matches() -> None:
    query = _query()

    assert _check(query, dns.message.make_response(query).to_wire())


def test_the_name_may_come_back_in_other_case() -> None:
    answer = dns.message.make_response(_query("WWW.Example.ORG.")).to_wire()

    assert _check(_query(), answer)


@pytest.mark.parametrize("rcode", ["FORMERR", "NOTIMP", "REFUSED", "SERVFAIL"])
def test_an_error_without_a_question_matches(rcode: str) -> None:
    answer = dns.message.make_response(_query())
    answer.set_rcode(dns.rcode.from_text(rcode))
    answer.question = []

    assert _check(_query(), answer.to_wire())


def _changed(**changes: object) -> bytes:
    query = _query()
    answer = dns.message.make_response(query)
    for name, value in changes.items():
        setattr(answer, name, value)
    return answer.to_wire()


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("RFC 5452 §9.1: another ID", _changed(id=0x1235)),
        ("another name", dns.message.make_response(_query("www.example.com.")).to_wire()),
        ("another type", dns.message.make_response(_query(rrtype="AAAA")).to_wire()),
        ("a query, not an answer", _query().to_wire()),
        ("success without a question", _changed(question=[])),
        ("nothing", b""),
        ("half a header", b"\x12\x34\x80\x00"),
    ],
)
def test_what_does_not_match(rule: str, message: bytes) -> None:
    assert not _check(_query(), message)


def test_types_that_differ_in_bit_5_only_are_different() -> None:
    """65 (HTTPS) is the letter A; 97 is the letter a."""
    answer = dns.message.make_response(_query(rrtype="TYPE97")).to_wire()

    assert not _check(_query(rrtype="HTTPS"), answer)


def test_an_answer_cut_at_any_octet_of_its_question_does_not_match() -> None:
    query = _query()
    answer = dns.message.make_response(query).to_wire()

    assert [cut for cut in range(len(answer)) if _check(query, answer[:cut])] == []
