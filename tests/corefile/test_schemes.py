"""Schemes without a server, told with file and line (issue item 3)."""

import pytest

from svcdns.corefile.parser import parse
from svcdns.corefile.schemes import check_schemes
from svcdns.corefile.syntax import ServerBlock
from svcdns.errors import CorefileError


def _parse(text: str) -> tuple[ServerBlock, ...]:
    return parse(text, "Corefile", {}, lambda *_: None, lambda _: None)


@pytest.mark.parametrize(
    ("scheme", "sentence"),
    [
        ("quic", "svcdns does not serve DNS over QUIC; use tls:// (DNS over TLS) instead"),
        ("grpc", "svcdns does not serve DNS over gRPC; use tls:// or https:// instead"),
        ("https3", "svcdns does not serve DNS over HTTP/3; use https:// (HTTP/2 and HTTP/1.1)"),
    ],
)
def test_a_scheme_without_a_server_is_refused_at_its_line(scheme: str, sentence: str) -> None:
    with pytest.raises(CorefileError) as error:
        check_schemes(_parse(f". {{\n}}\n\n{scheme}://a.example {{\n}}"), print)

    assert str(error.value).startswith(f"Corefile:4 - {scheme}://a.example: {sentence}")


@pytest.mark.parametrize("scheme", ["tls", "https"])
def test_a_block_that_only_sounds_encrypted_is_told(scheme: str) -> None:
    said: list[str] = []
    check_schemes(_parse(f"{scheme}://. {{\n}}"), said.append)

    expected = f"Corefile:1 - {scheme}:// without a `tls` directive: connections are not encrypted"
    assert said == [expected]


@pytest.mark.parametrize("text", [". {\n}", "dns://. {\n}", "tls://. https://. {\ntls a b\n}"])
def test_nothing_is_said_about_others(text: str) -> None:
    said: list[str] = []
    check_schemes(_parse(text), said.append)

    assert said == []
