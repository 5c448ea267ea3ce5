"""TLS settings of listeners, from files that openssl wrote."""

import ssl
import subprocess
from pathlib import Path

import pytest

from svcdns.aio.certificates import context, context_of
from svcdns.dns.name import ROOT
from svcdns.errors import CorefileError
from svcdns.plugins.chain import Block
from svcdns.plugins.server import Listen
from svcdns.plugins.tls import ClientAuth, Tls
from tests.support.certificates import Certificate, authority
from tests.support.corefile import directives
from tests.support.serving import server_of


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return authority(tmp_path_factory.mktemp("tls"), "dns.example")


def tls_of(certificate: str, key: str, ca: str = "") -> Tls:
    (line,) = directives("tls CERT KEY")
    return Tls(line, certificate, key, ca)


def test_settings_start_with_tls_1_2(files: Certificate) -> None:
    made = context(tls_of(files.certificate, files.key), ["dot"])

    assert made.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (ClientAuth.NOCERT, ssl.CERT_NONE),
        (ClientAuth.REQUEST, ssl.CERT_NONE),
        (ClientAuth.REQUIRE, ssl.CERT_REQUIRED),
        (ClientAuth.VERIFY_IF_GIVEN, ssl.CERT_OPTIONAL),
        (ClientAuth.REQUIRE_AND_VERIFY, ssl.CERT_REQUIRED),
    ],
)
def test_client_auth_decides_what_is_verified(
    files: Certificate, wanted: ClientAuth, expected: ssl.VerifyMode
) -> None:
    tls = tls_of(files.certificate, files.key, files.authority)
    tls.client_auth = wanted

    assert context(tls, []).verify_mode is expected


def test_a_keylog_is_written_to(files: Certificate, tmp_path: Path) -> None:
    tls = tls_of(files.certificate, files.key)
    tls.keylog = str(tmp_path / "keys")

    assert context(tls, []).keylog_filename == tls.keylog


def test_bad_files_are_told_with_the_line_of_the_directive(
    files: Certificate, tmp_path: Path
) -> None:
    other = authority(tmp_path, "other.example")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no PEM\n")
    secret = tmp_path / "secret.pem"
    subprocess.run(
        ["openssl", "ec", "-aes256", "-passout", "pass:x", "-in", files.key, "-out", secret],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    keylog = tls_of(files.certificate, files.key)
    keylog.keylog = str(tmp_path / "missing" / "keys")
    for tls, text in (
        (tls_of(files.certificate, other.key), "KEY_VALUES_MISMATCH"),
        (tls_of(str(garbage), files.key), "garbage.pem"),
        (tls_of(files.certificate, str(secret)), "the key is encrypted"),
        (tls_of(files.certificate, files.key, str(garbage)), "authorities of clients"),
        (tls_of(str(tmp_path / "none"), files.key), "no such file or directory"),
        (keylog, "keylog"),
    ):
        with pytest.raises(CorefileError, match=r"Corefile:2 - plugin/tls: .*" + text):
            context(tls, [])


def test_a_server_takes_the_first_directive_and_plain_dns_none(files: Certificate) -> None:
    tls = tls_of(files.certificate, files.key)
    server = server_of(Block((ROOT,), []), Block((b"\1a\0",), [], beside=[tls]))

    assert context_of(server) is None
    for scheme in ("tls", "https"):
        server.listen = Listen(scheme, (), 853)
        assert context_of(server) is not None
    bare = server_of(Block((ROOT,), []))
    bare.listen = Listen("tls", (), 853)
    assert context_of(bare) is None
