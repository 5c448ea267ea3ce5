"""Questions asked on the way."""

from msgspec.structs import replace

from svcdns.dns.response import Record, Response
from svcdns.plugins.base import Ask, Failed, Outcome, Reply, Request
from svcdns.plugins.commands import Delay
from svcdns.plugins.lookups import Looked, look_up
from tests.support.records import wire_name, zone_texts
from tests.support.serving import request


def test_names_are_asked_one_after_the_other_whether_answers_are_there_or_not() -> None:
    later = Ask(Delay(1.0), lambda result, now: Failed(2))
    asked: list[bytes] = []

    def resolve(inner: Request) -> Outcome:
        name = inner.query.name
        asked.append(name)
        if name == wire_name("none"):
            return Failed(2)
        record = Record(name, 1, 5, bytes((10, 0, 0, len(asked))))
        reply = Reply(Response(answer=(record,), tc=name == wire_name("b")), background=(later,))
        return Ask(Delay(1.0), lambda result, now: reply) if name == wire_name("b") else reply

    found: list[Looked] = []

    def finish(looked: Looked) -> Outcome:
        found.append(looked)
        return Failed(0)

    names = [wire_name(name) for name in ("a", "none", "b", "c")]
    outcome = look_up(replace(request("x A"), resolve=resolve), names, finish)
    assert isinstance(outcome, Ask)
    assert outcome.resume(None, 2.0) == Failed(0)
    assert asked == names
    assert zone_texts(found[0].answer) == ["a. 5 A 10.0.0.1", "b. 5 A 10.0.0.3", "c. 5 A 10.0.0.4"]
    assert found[0].tc
    assert len(found[0].background) == 3
