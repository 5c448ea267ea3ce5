import subprocess
import sys
from pathlib import Path

import pytest

from svcdns.aio.credentials import TokenFile, endpoint, load, tls_context
from svcdns.errors import CredentialsError
from svcdns.kube.source import ApiSource
from tests.support.certificates import Certificate, authority


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return authority(tmp_path_factory.mktemp("certificates"), "kubernetes")


def account(directory: Path, certificate: Certificate, token: str = "secret\n") -> Path:
    (directory / "token").write_text(token)
    (directory / "ca.crt").write_text(Path(certificate.authority).read_text())
    return directory


@pytest.mark.parametrize(
    ("host", "url"),
    [("10.96.0.1", "https://10.96.0.1:443"), ("fd00::1", "https://[fd00::1]:443")],
)
async def test_g8_a_pod_needs_two_variables_and_two_files(
    tmp_path: Path, certificate: Certificate, host: str, url: str
) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "443"}
    access = await load(
        ApiSource(kinds=()), environ, warn=print, service_account=account(tmp_path, certificate)
    )

    assert (access.url, access.authorization()) == (url, "Bearer secret")
    assert access.context
    (tmp_path / "token").write_text("rotated")
    assert access.authorization() == "Bearer rotated"


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        ("token missing", "token file .*/token: no such file or directory"),
        ("token empty", "token file .*/token: it is empty"),
        ("token binary", "cannot be sent in a header|can't decode"),
        ("ca missing", "certificate authority .*/ca.crt: no such file or directory"),
        ("ca empty", "certificate authority .*/ca.crt: not usable as PEM"),
        ("ca garbage", "certificate authority .*/ca.crt: not usable as PEM"),
    ],
)
async def test_g8_a_broken_service_account_is_told(
    tmp_path: Path, certificate: Certificate, broken: str, text: str
) -> None:
    account(tmp_path, certificate)
    match broken.split():
        case ["token", "missing"]:
            (tmp_path / "token").unlink()
        case ["token", "empty"]:
            (tmp_path / "token").write_text(" \n")
        case ["token", "binary"]:
            (tmp_path / "token").write_bytes(b"a\x00\nb")
        case ["ca", "missing"]:
            (tmp_path / "ca.crt").unlink()
        case ["ca", "empty"]:
            (tmp_path / "ca.crt").write_text("")
        case _:
            (tmp_path / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\nx\n")
    environ = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}

    with pytest.raises(CredentialsError, match=text):
        await load(ApiSource(kinds=()), environ, warn=print, service_account=tmp_path)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"KUBERNETES_SERVICE_HOST": "10.96.0.1"},
        {"KUBERNETES_SERVICE_HOST": "", "KUBERNETES_SERVICE_PORT": ""},
    ],
)
async def test_g8_outside_of_a_cluster_one_is_told_what_to_do(environ: dict[str, str]) -> None:
    with pytest.raises(
        CredentialsError, match=r"unable to load in-cluster configuration: .*name a"
    ):
        await load(ApiSource(kinds=()), environ, warn=print)


@pytest.mark.parametrize(
    ("url", "expected", "secure"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", False),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080", False),
        ("https://api.example:6443", "https://api.example:6443", True),
        ("127.0.0.1:8080", "http://127.0.0.1:8080", False),
    ],
)
def test_g8_an_endpoint_is_used_as_it_is_given(url: str, expected: str, secure: bool) -> None:
    access = endpoint(url, ())

    assert access.url == expected
    assert (access.context is not None) is secure
    assert access.authorization() == ""


def test_g8_an_endpoint_with_certificates(certificate: Certificate) -> None:
    paths = (certificate.certificate, certificate.key, certificate.authority)

    assert endpoint("api.example:6443", paths).url == "https://api.example:6443"


@pytest.mark.parametrize(
    ("which", "text"),
    [
        (0, "client certificate /nonexistent with key .*: no such file or directory"),
        (1, "client certificate .* with key /nonexistent: no such file or directory"),
        (2, "certificate authority /nonexistent: no such file or directory"),
    ],
)
def test_g8_a_file_that_is_missing_is_named(
    certificate: Certificate, which: int, text: str
) -> None:
    paths = [certificate.certificate, certificate.key, certificate.authority]
    paths[which] = "/nonexistent"

    with pytest.raises(CredentialsError, match=text):
        endpoint("https://api.example", (paths[0], paths[1], paths[2]))


def test_a_key_with_a_password_is_refused_and_never_asked_for(
    tmp_path: Path, certificate: Certificate
) -> None:
    locked = tmp_path / "locked.pem"
    subprocess.run(
        ["openssl", "ec", "-in", certificate.key, "-aes256", "-passout", "pass:x", "-out", locked],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip

    with pytest.raises(CredentialsError, match=f"with key {locked}: not usable as PEM"):
        tls_context("", certificate.certificate, str(locked))


@pytest.mark.parametrize(
    "url",
    ["unix:///x", "http://", "http://host:port", "http://[::1", "http://a b", "https:///x", ""],
)
def test_an_endpoint_that_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(CredentialsError, match="an http or https URL with a host is expected"):
        endpoint(url, ())


def test_a_token_is_stripped_because_a_newline_is_forbidden_in_a_header(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("\n T1 \r\n")

    assert TokenFile(tmp_path / "t")() == "Bearer T1"


def test_only_a_kubeconfig_costs_the_memory_of_the_kubernetes_package() -> None:
    program = (
        "import sys, svcdns.aio.feed, svcdns.aio.credentials as c;"
        "c.endpoint('http://127.0.0.1:1', ());"
        "assert not [m for m in sys.modules if m.split('.')[0] in ('kubernetes', 'pydantic')]"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
