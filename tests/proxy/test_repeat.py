"""RFC 9110 §9.2.2: which requests a proxy may repeat; RFC 8446: which records ask for nothing."""

import ssl

import pytest

from svcdns.proxy.repeat import harmless, repeatable

HEAD = b"GET /a?b HTTP/1.1\r\nHost: web\r\n\r\n"


def client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="web")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(
    "words",
    [
        HEAD,
        HEAD.replace(b"GET", b"HEAD"),
        HEAD.replace(b"GET", b"OPTIONS"),
        HEAD.replace(b"GET", b"TRACE"),
        *[HEAD[:end] for end in range(len(b"GET "), len(HEAD))],
        client_hello(),
    ],
)
def test_what_changes_nothing_may_be_said_again(words: bytes) -> None:
    assert harmless(words)


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"ping",
        b"GET",
        b"GETTER 1",
        b"get / HTTP/1.1\r\n\r\n",
        HEAD.replace(b"GET", b"POST"),
        HEAD.replace(b"GET", b"PUT"),
        HEAD.replace(b"GET", b"DELETE"),
        HEAD.replace(b"GET", b"PATCH"),
        HEAD.replace(b"GET", b"CONNECT"),
        HEAD + b"a body",
        HEAD + HEAD,
        HEAD + HEAD.replace(b"GET", b"POST"),
        b"GET / HTTP/1.0\n\nPOST /pay HTTP/1.0\n\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16",
        b"\x16\x03\x01\x00\x00",
        *[client_hello()[:end] for end in range(1, 60)],
        client_hello() + b"\x17\x03\x03\x00\x05early",
        b"\x17" + client_hello()[1:],
    ],
)
def test_everything_else_is_said_once(words: bytes) -> None:
    assert not harmless(words)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", (False, True, False)),
        ("always", (False, True, False)),
        ("empty-response", (True, True, True)),
    ],
)
def test_the_annotation_widens_it(text: str, expected: tuple[bool, ...]) -> None:
    may = repeatable(text)
    assert may
    assert tuple(may(words) for words in (b"", HEAD, b"pay")) == expected


def test_or_forbids_it() -> None:
    assert repeatable("never") is None
