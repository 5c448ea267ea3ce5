"""HOST:PORT in arguments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.corefile.endpoints import is_address, parse_network, split_host_port

ROWS = [
    ("10.0.0.1", 53, ("10.0.0.1", 53)),
    ("10.0.0.1:5353", 53, ("10.0.0.1", 5353)),
    ("fdaa::3", 53, ("fdaa::3", 53)),
    ("[fdaa::3]", 53, ("fdaa::3", 53)),
    ("[1001:AAAA:BBBB:CCCC::2222]:53", 5353, ("1001:AAAA:BBBB:CCCC::2222", 53)),
    ("localhost", 53, ("localhost", 53)),
    (":8080", None, ("", 8080)),
    ("localhost:6053", None, ("localhost", 6053)),
    ("127.0.0.1:0", None, ("127.0.0.1", 0)),
    ("[::]:9153", None, ("::", 9153)),
]


@pytest.mark.parametrize(("text", "default", "result"), ROWS)
def test_an_address_is_split(text: str, default: int | None, result: tuple[str, int]) -> None:
    assert split_host_port(text, default) == result


BAD = [
    ("localhost", None, "missing port in address"),
    ("10.0.0.1", None, "missing port in address"),
    ("fdaa::3", None, "too many colons in address"),
    ("a:b:53", 53, "too many colons in address"),
    ("[::1", 53, r"missing '\]' in address"),
    ("[::1]53", 53, "missing port in address"),
    ("a:", 53, "invalid port"),
    ("a:65536", 53, "invalid port"),
    ("a:-1", 53, "invalid port"),
    ("a:dns", 53, "invalid port"),
    ("a:" + "9" * 5000, 53, "invalid port"),
    ("a:٣", 53, "invalid port"),
    ("", None, "missing port in address"),
]


@pytest.mark.parametrize(("text", "default", "message"), BAD)
def test_what_is_none_is_refused(text: str, default: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_host_port(text, default)


@given(st.text(), st.one_of(st.none(), st.just(53)))
def test_any_text_is_an_address_or_a_value_error(text: str, default: int | None) -> None:
    try:
        _, port = split_host_port(text, default)
    except ValueError:
        return
    assert 0 <= port <= 65535


def test_addresses_are_told_from_names() -> None:
    assert is_address("10.0.0.1")
    assert is_address("::1")
    assert not is_address("example.org")
    assert not is_address("10.0.0.0/8")


def test_networks_are_read_with_bits_behind_the_mask() -> None:
    assert str(parse_network("10.1.2.3/8")) == "10.0.0.0/8"
    assert str(parse_network("10.1.2.3")) == "10.1.2.3/32"
    with pytest.raises(ValueError, match="illegal CIDR notation"):
        parse_network("10.0.0.0/33")
