import struct

import pytest

from svcdns.kube.objects import Kind
from svcdns.kube.replication import Changed, Marked
from svcdns.plugins.figures import Usage
from svcdns.plugins.workers import (
    LAST_DELAY,
    MAX_FRAME,
    Beat,
    BrokenStreamError,
    Drain,
    Report,
    Restarts,
    Serving,
    ToFirst,
    Told,
    ToWorker,
    frame,
    to_first,
    to_worker,
)

TO_WORKER: list[ToWorker] = [
    Changed("api", Kind.SERVICE, ("default", "web"), b"\x00\xff"),
    Changed("api", Kind.NAMESPACE, ("", "gone"), b""),
    Marked("api", (Kind.SERVICE, Kind.NAMESPACE), 1_700_000_000, 0),
    Beat(7),
    Report(8),
    Drain(),
]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_messages_arrive_in_order_however_they_are_cut(size: int) -> None:
    stream = b"".join(frame(one) for one in TO_WORKER)
    frames = to_worker()

    found = [
        message
        for start in range(0, len(stream), size)
        for message in frames.feed(stream[start : start + size])
    ]

    assert found == TO_WORKER


def test_what_a_worker_says_arrives() -> None:
    said: list[ToFirst] = [Serving(), Beat(1), Told(3, (), Usage(1.5, 4096, 7))]

    assert list(to_first().feed(b"".join(map(frame, said)))) == said


@pytest.mark.parametrize(
    "octets",
    [
        struct.pack("!I", MAX_FRAME + 1),
        struct.pack("!I", 1) + b"\xc1",
        struct.pack("!I", 0),
        frame(Serving()),
    ],
)
def test_what_is_no_message_breaks_the_stream(octets: bytes) -> None:
    with pytest.raises(BrokenStreamError):
        list(to_worker().feed(octets))


def test_a_message_cut_at_any_octet_is_none_yet() -> None:
    whole = frame(TO_WORKER[0])
    for end in range(len(whole)):
        frames = to_worker()
        assert list(frames.feed(whole[:end])) == []
        assert list(frames.feed(whole[end:])) == [TO_WORKER[0]]


def test_restarts_wait_longer_and_longer_up_to_a_limit() -> None:
    restarts = Restarts()

    delays = [restarts.died(0.0) for _ in range(20)]

    assert delays[:4] == [0.1, 0.2, 0.4, 0.8]
    assert delays[-1] == LAST_DELAY


def test_a_worker_that_lived_long_is_replaced_at_once() -> None:
    restarts = Restarts()
    for _ in range(20):
        restarts.died(0.0)

    assert restarts.died(3600.0) == 0.1
