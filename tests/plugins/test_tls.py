import pytest

from svcdns.errors import CorefileError
from svcdns.plugins.tls import ClientAuth, setup
from tests.support.corefile import Outside, directives, set_up

FILES = {name: b"PEM" for name in ("cert.pem", "key.pem", "ca.pem", "/k/cert.pem", "/k/key.pem")}


def test_files_and_options_are_read() -> None:
    text = "tls cert.pem key.pem ca.pem {\nclient_auth require_and_verify\nkeylog keys\n}"
    found = setup(directives(text), Outside(FILES).context())

    assert (found.certificate, found.key, found.authority) == ("cert.pem", "key.pem", "ca.pem")
    assert (found.client_auth, found.keylog) == (ClientAuth.REQUIRE_AND_VERIFY, "keys")
    assert not found.serves


@pytest.mark.parametrize("value", list(ClientAuth))
def test_every_client_auth_of_go_is_known(value: ClientAuth) -> None:
    text = f"tls cert.pem key.pem {{\nclient_auth {value}\n}}"

    assert setup(directives(text), Outside(FILES).context()).client_auth is value


def test_the_last_of_several_directives_counts() -> None:
    found = setup(directives("tls cert.pem key.pem\ntls /k/cert.pem /k/key.pem"),
                  Outside(FILES).context())  # fmt: skip

    assert found.certificate == "/k/cert.pem"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tls", "Wrong argument count"),
        ("tls cert.pem", "Wrong argument count"),
        ("tls a b c d", "Wrong argument count"),
        ("tls a b {\nclient_auth\n}", "Wrong argument count"),
        ("tls a b {\nclient_auth maybe\n}", "unknown value 'maybe'"),
        ("tls a b {\nverify\n}", "unknown property 'verify'"),
        ("tls acme {\ndomain example.org\n}", "acme is not supported; give CERT and KEY"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(CorefileError, match=r"Corefile:[23] .*" + message):
        set_up(setup, text)


def test_a_missing_file_is_an_error_of_reading() -> None:
    """The registry makes it one of the Corefile, with the directive's line."""
    with pytest.raises(FileNotFoundError):
        set_up(setup, "tls cert.pem key.pem")
