"""Ranges to capture: what is taken, what is refused, and the messages to the kernel."""

import socket
import struct

import pytest

from svcdns.errors import ProxyConfigError
from svcdns.proxy.capture import (
    ROUTE_PROTOCOL,
    Action,
    Captured,
    check_own,
    holds,
    leads_here,
    ranges,
    request,
)

V4, V6 = Captured(4, "10.96.0.0/12"), Captured(6, "fd00:10:96::/108")


@pytest.mark.parametrize(
    ("texts", "cidrs"),
    [
        ((), []),
        (("10.96.0.0/12",), ["10.96.0.0/12"]),
        ((" 010.96.0.0/12 ",), ["10.96.0.0/12"]),
        (("10.96.0.0/12", "fd00:10:96::/108"), ["10.96.0.0/12", "fd00:10:96::/108"]),
        (("FD00:10:96:0::/108",), ["fd00:10:96::/108"]),
        (("10.96.0.0/12", "10.96.0.0/12"), ["10.96.0.0/12"]),
        (("10.96.0.0/12", "10.97.0.0/16"), ["10.96.0.0/12"]),
        (("10.97.0.0/16", "10.96.0.0/12"), ["10.96.0.0/12"]),
        (("10.97.0.0/16", "10.98.0.0/16"), ["10.97.0.0/16", "10.98.0.0/16"]),
        (("10.96.0.10/32", "fd00::10/128"), ["10.96.0.10/32", "fd00::10/128"]),
        (("10.0.0.0/8",), ["10.0.0.0/8"]),
    ],
)
def test_ranges_are_read_and_those_within_others_left_out(
    texts: tuple[str, ...], cidrs: list[str]
) -> None:
    assert [one.cidr for one in ranges(texts)] == cidrs


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no CIDR"),
        ("10.96.0.0", "is no CIDR"),
        ("10.96.0.0/", "is no CIDR"),
        ("10.96.0.0/33", "is no CIDR"),
        ("10.96.0.0/-1", "is no CIDR"),
        ("10.96.0.0/255.240.0.0", "is no CIDR"),
        ("services", "is no CIDR"),
        ("fd00::/129", "is no CIDR"),
        ("10.96.0.1/12", "10.96.0.0/12 is meant"),
        ("fd00:10:96::1/108", "fd00:10:96::/108 is meant"),
        ("0.0.0.0/0", "too wide"),
        ("8.0.0.0/7", "too wide"),
        ("::/0", "too wide"),
        ("fd00::/8", "too wide"),
        ("127.0.0.0/8", "not a range that Services can have"),
        ("127.5.0.0/16", "not a range that Services can have"),
        ("::1/128", "not a range that Services can have"),
        ("224.0.0.0/8", "not a range that Services can have"),
        ("169.254.0.0/16", "not a range that Services can have"),
        ("fe80::/64", "not a range that Services can have"),
        ("ff02::/64", "not a range that Services can have"),
    ],
)
def test_what_cannot_be_captured_is_refused_by_name(text: str, why: str) -> None:
    with pytest.raises(ProxyConfigError, match="--capture-cidrs") as error:
        ranges([text])
    assert why in str(error.value)


@pytest.mark.parametrize("own", ["10.100.1.5", "10.96.0.0", "fd00:10:96::1%eth0"])
def test_a_range_with_an_address_of_this_machine_is_not_the_services(own: str) -> None:
    with pytest.raises(ProxyConfigError, match="an address of this machine"):
        check_own((V4, V6), ["127.0.0.1", own])


def test_addresses_elsewhere_do_not_matter() -> None:
    check_own((V4, V6), ["127.0.0.1", "::1", "10.244.1.5", "fe80::1%eth0", "fd00:10:244::5"])


def test_an_address_is_in_a_range_of_its_family() -> None:
    assert holds((V4, V6), "10.96.0.10")
    assert holds((V4, V6), "fd00:10:96::a")
    assert not holds((V4, V6), "10.95.255.255")
    assert not holds((V4,), "fd00:10:96::a")
    assert not holds((), "10.96.0.10")


def test_whoever_has_no_privilege_may_ask_where_a_range_leads() -> None:
    got = request(Action.LOOK_UP, V4, 1, 7)
    assert got == b"".join(
        (
            struct.pack("=IHHII", len(got), 26, 0x1, 7, 0),
            struct.pack("=8BI", socket.AF_INET, 32, 0, 0, 0, 0, 0, 0, 0),
            struct.pack("=HH", 8, 1) + bytes((10, 96, 0, 0)),
        )
    )


def test_an_answer_says_whether_it_leads_here_and_torn_ones_say_no() -> None:
    local = struct.pack("=8BI", socket.AF_INET, 32, 0, 0, 255, 0, 0, 2, 0) + bytes(8)
    unicast = struct.pack("=8BI", socket.AF_INET, 32, 0, 0, 254, 0, 0, 1, 0) + bytes(8)
    assert leads_here(local)
    assert not leads_here(unicast)
    assert not any(leads_here(local[:size]) for size in range(12))


@pytest.mark.parametrize(
    ("action", "captured", "kind", "flags", "head"),
    [
        (Action.ADD, V4, 24, 0x605, (socket.AF_INET, 12, 254)),
        (Action.ADD, V6, 24, 0x605, (socket.AF_INET6, 108, 0)),
        (Action.DELETE, V4, 25, 0x5, (socket.AF_INET, 12, 254)),
        (Action.DELETE, V6, 25, 0x5, (socket.AF_INET6, 108, 0)),
    ],
)
def test_messages_are_laid_out_as_rtnetlink_says(
    action: Action, captured: Captured, kind: int, flags: int, head: tuple[int, int, int]
) -> None:
    """``rtnetlink(7)``: nlmsghdr, rtmsg, RTA_DST, RTA_OIF."""
    family, length, scope = head
    got = request(action, captured, 1, 7)
    packed = socket.inet_pton(family, captured.cidr.partition("/")[0])
    assert got == b"".join(
        (
            struct.pack("=IHHII", len(got), kind, flags, 7, 0),
            struct.pack("=8BI", family, length, 0, 0, 255, ROUTE_PROTOCOL, scope, 2, 0),
            struct.pack("=HH", 4 + len(packed), 1) + packed,
            struct.pack("=HHI", 8, 4, 1),
        )
    )
