"""Endpoints that were packed are the endpoints they were."""

from typing import Any

import msgspec
import pytest

from svcdns.kube.objects import Endpoint
from svcdns.kube.packing import JUST_READ, PackedEndpoints, pack

CASES: list[list[dict[str, Any]]] = [
    [],
    [{}],
    [{"addresses": None}],
    [{"addresses": []}],
    [{"addresses": ["10.0.0.1"]}],
    [{"addresses": ["10.0.0.1", "fd00::1"], "hostname": "db-0"}],
    [{"addresses": ["10.0.0.1"], "nodeName": "n", "zone": "zürich"}],
    [
        {"addresses": ["10.0.0.1"], "conditions": conditions}
        for conditions in (
            {},
            {"ready": True},
            {"ready": False, "serving": True, "terminating": True},
            {"serving": None},
        )
    ],
    [{"targetRef": {}}, {"targetRef": {"kind": "Pod", "namespace": "a", "name": "web-0"}}],
    [
        {"hints": {}},
        {"hints": {"forZones": [{"name": "a"}, {"name": "b"}], "forNodes": []}},
        {"hints": {"forZones": None, "forNodes": [{"name": "n"}]}},
    ],
    [{"addresses": [f"10.0.{number >> 8}.{number & 255}"]} for number in range(1000)],
]


def endpoints(case: list[dict[str, Any]]) -> tuple[Endpoint, ...]:
    return msgspec.convert(case, tuple[Endpoint, ...])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_was_packed_is_read_again(case: list[dict[str, Any]]) -> None:
    plain = endpoints(case)

    packed = pack(plain)

    assert len(packed) == len(plain)
    assert bool(packed) == bool(plain)
    assert msgspec.convert(list(packed), list[Endpoint], from_attributes=True) == list(plain)
    for found, expected in zip(packed, plain, strict=True):
        assert (found.ready, found.serving, found.terminating) == (
            expected.ready,
            expected.serving,
            expected.terminating,
        )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_packed_endpoints_equal_those_they_were_made_of(case: list[dict[str, Any]]) -> None:
    plain = endpoints(case)
    assert pack(plain) == pack(list(plain)) == plain
    assert hash(pack(plain)) == hash(pack(list(plain)))
    assert pack(plain) != (*plain, Endpoint(hostname="another"))
    assert pack(plain) != pack((*plain, Endpoint(hostname="another")))
    assert pack(plain) != "endpoints"


def test_what_is_packed_stays_as_it_is() -> None:
    packed = pack(endpoints(CASES[4]))
    assert pack(packed) is packed
    assert PackedEndpoints(packed.octets) == packed


def test_they_are_picked_like_those_of_a_tuple() -> None:
    packed = pack(endpoints(CASES[-1]))
    assert packed[7].addresses == ("10.0.0.7",)
    assert packed[-1].addresses == ("10.0.3.231",)
    assert [one.addresses for one in packed[1:3]] == [("10.0.0.1",), ("10.0.0.2",)]
    with pytest.raises(IndexError):
        packed[1000]


def test_equal_endpoints_are_one_in_a_set() -> None:
    first, again = pack(endpoints(CASES[7])), pack(endpoints(CASES[7]))
    for number in range(2 * JUST_READ):
        assert len(pack(endpoints([{"hostname": str(number)}]))) == 1
    assert len({*first, *again}) == len(set(endpoints(CASES[7])))


def test_they_show_themselves() -> None:
    assert "10.0.0.1" in repr(pack(endpoints(CASES[4])))
