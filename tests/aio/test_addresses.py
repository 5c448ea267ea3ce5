import errno
import socket

import pytest

from svcdns.aio.addresses import call_reason, reason, sockaddr
from svcdns.hostport import host_port


@pytest.mark.parametrize(
    ("address", "family", "value"),
    [
        ("127.0.0.1", socket.AF_INET, ("127.0.0.1", 53)),
        ("::1", socket.AF_INET6, ("::1", 53, 0, 0)),
        ("fe80::1%lo", socket.AF_INET6, ("fe80::1", 53, 0, socket.if_nametoindex("lo"))),
        ("fe80::1%7", socket.AF_INET6, ("fe80::1", 53, 0, 7)),
    ],
)
def test_literal_addresses(address: str, family: int, value: tuple[object, ...]) -> None:
    found = sockaddr(address, 53)

    assert (found.family, found.value) == (family, value)


@pytest.mark.parametrize("text", ["localhost", "", "127.0.0.256", "1.2.3"])
def test_names_are_no_addresses(text: str) -> None:
    with pytest.raises(ValueError):
        sockaddr(text, 53)


def test_ipv6_gets_brackets() -> None:
    assert (host_port("::1", 53), host_port("10.0.0.1", 53)) == ("[::1]:53", "10.0.0.1:53")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ECONNREFUSED, "x"), "connection refused"),
        (OSError(errno.EADDRINUSE, "x"), "address already in use"),
        (OSError(errno.ENOTDIR, "x"), "not a directory"),
        (TimeoutError(), "i/o timeout"),
        (ValueError("odd"), "odd"),
    ],
)
def test_errors_read_as_in_go(error: Exception, text: str) -> None:
    assert reason(error) == text


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ECONNREFUSED, "x"), "connect: connection refused"),
        (TimeoutError(), "i/o timeout"),
        (OSError("without a number"), "without a number"),
        (ValueError("odd"), "odd"),
    ],
)
def test_failed_calls_are_named_as_in_go(error: Exception, text: str) -> None:
    assert call_reason("connect", error) == text
