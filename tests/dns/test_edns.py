"""The OPT record of answers, read by dnspython."""

import dns.edns
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.dns.constants import EdnsOption, Rcode
from svcdns.dns.edns import Edns, Options, answer_opt, opt_record, read_options
from svcdns.dns.query import HEADER_OCTETS
from tests.support.wire import decode

COOKIE = (EdnsOption.COOKIE, b"12345678")
NSID = (EdnsOption.NSID, b"")
ECS = (EdnsOption.ECS, b"\x00\x01\x18\x00\x0a\x00\x00")
ALL = (NSID, (9, b""), COOKIE, (11, b""), (12, b"\x00"))
EDE = (15, b"\x00\x0f")


def message_with(opt: bytes) -> dns.message.Message:
    return decode(b"\x00\x01\x80\x00" + bytes(6) + b"\x00\x01" + opt)


def options(message: dns.message.Message) -> Options:
    return tuple((int(option.otype), option.to_wire() or b"") for option in message.options)


def test_no_opt_without_opt_in_the_query() -> None:
    """J8."""
    assert answer_opt(None, Rcode.NOERROR, nsid=b"me", options=(EDE,)) == b""


@pytest.mark.parametrize("size", [0, 512, 1232, 65535])
@pytest.mark.parametrize("do", [False, True])
def test_size_and_do_are_echoed(size: int, do: bool) -> None:
    """J8: also where the size is no useful one."""
    message = message_with(answer_opt(Edns(size, do=do), Rcode.NXDOMAIN))
    assert (message.payload, message.edns) == (size, 0)
    assert bool(message.ednsflags & 0x8000) is do
    assert message.options == ()


@pytest.mark.parametrize(
    ("rule", "asked", "answered"),
    [
        ("J8 cookie", (COOKIE,), (COOKIE,)),
        ("J8 all kept", ALL, ALL),
        ("J8 ECS dropped", (ECS, COOKIE), (COOKIE,)),
        ("J8 unknown dropped", ((65001, b"x"), (4, b"")), ()),
        ("J9 NSID without the plugin", (NSID,), (NSID,)),
    ],
)  # fmt: skip
def test_known_options_are_echoed(rule: str, asked: Options, answered: Options) -> None:
    opt = answer_opt(Edns(1232, options=asked), Rcode.NOERROR)
    assert read_options(opt[11:]) == answered
    message_with(opt)


def test_nsid_is_told_to_who_asks() -> None:
    """J9, RFC 5001."""
    asked = answer_opt(Edns(1232, options=(NSID, COOKIE)), Rcode.NOERROR, nsid=b"pod-1")
    assert options(message_with(asked)) == ((3, b"pod-1"), COOKIE)
    assert options(message_with(answer_opt(Edns(1232), Rcode.NOERROR, nsid=b"pod-1"))) == ()


def test_options_of_ours_come_last_and_replace_echoed_ones() -> None:
    opt = answer_opt(Edns(1232, options=(COOKIE,)), 0, options=(EDE, (10, b"87654321" * 2)))
    assert options(message_with(opt)) == (EDE, (10, b"87654321" * 2))


def test_badvers_has_a_bare_opt() -> None:
    """J5: version 0, size 0; rcode 16 is spread over header and OPT."""
    edns = Edns(1232, version=3, do=True, options=(COOKIE,))
    message = message_with(answer_opt(edns, Rcode.BADVERS))
    assert (message.edns, message.payload, message.ednsflags, message.options) == (
        0,
        0,
        1 << 24,
        (),
    )
    assert message.rcode() == dns.rcode.BADVERS


def test_options_that_do_not_fit_are_left_out() -> None:
    edns = Edns(512, do=True, options=((12, bytes(600)),))
    opt = answer_opt(edns, 0, room=512 - HEADER_OCTETS)
    message = message_with(opt)
    assert (message.payload, message.ednsflags, message.options) == (512, 0x8000, ())


@given(st.integers(0, 4095), st.integers(0, 255), st.binary(max_size=50))
def test_an_opt_record_is_read_by_dnspython(rcode: int, version: int, data: bytes) -> None:
    opt = opt_record(1400, rcode=rcode, version=version, options=((65001, data), (65002, b"")))
    message = message_with(opt)
    assert (message.edns, message.payload) == (version, 1400)
    assert message.ednsflags >> 24 == rcode >> 4
    assert options(message) == ((65001, data), (65002, b""))


@given(st.binary(max_size=40))
def test_options_are_read_whole_or_refused(data: bytes) -> None:
    try:
        found = read_options(data)
    except ValueError:
        return
    assert opt_record(0, options=found)[11:] == data


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5, 11])
def test_options_cut_off_are_refused(cut: int) -> None:
    data = opt_record(0, options=(COOKIE,))[11:]
    with pytest.raises(ValueError):
        read_options(data[:cut])
