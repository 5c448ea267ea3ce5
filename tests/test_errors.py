"""What the operator reads."""

import pytest

from svcdns import errors
from svcdns.errors import (
    ApiError,
    ApiUnavailable,
    ConfigError,
    CorefileError,
    ManifestError,
    NftError,
    ProxyConfigError,
    ResourceExpired,
    SvcdnsError,
    about_file,
    fault_of,
)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (CorefileError("Corefile", 7, "unknown option 'pod'"), "Corefile:7 - unknown option 'pod'"),
        (ProxyConfigError("p.yaml", "nftables.syncPeriod", "no duration"), "p.yaml: nftables.syncPeriod: no duration"),
        (ProxyConfigError("p.yaml", "", "no mapping"), "p.yaml: no mapping"),
        (ManifestError("m.yaml", 3, "no ports", subject="Service a/b"), "m.yaml:3: Service a/b: no ports"),
        (ManifestError("m.yaml", 3, "not YAML"), "m.yaml:3: not YAML"),
        (ApiError(403, "Forbidden", "no access"), "403 Forbidden: no access"),
        (ApiUnavailable(503, "", "later"), "503: later"),
        (ApiUnavailable(0, "", "connection refused"), "connection refused"),
        (ApiUnavailable(0, "ClientConnectorError", "refused"), "ClientConnectorError: refused"),
        (ResourceExpired(410, "Expired", "too old"), "410 Expired: too old"),
        (NftError("Error: syntax error\n", "add table"), "Error: syntax error"),
        (NftError("\n", "add table"), "nft failed without a message"),
    ],
)  # fmt: skip
def test_an_error_says_what_and_where(error: SvcdnsError, text: str) -> None:
    assert str(error) == text


def test_the_api_servers_text_is_bounded() -> None:
    error = ApiError(500, "Internal", "x" * 10_000)
    assert len(error.message) == errors.FOREIGN_TEXT_LIMIT
    assert len(str(error)) < errors.FOREIGN_TEXT_LIMIT + 20


def test_a_corefile_that_is_not_text_steers_no_terminal_and_fills_no_log() -> None:
    error = CorefileError("Corefile", 1, "Unknown directive '\x1b[2J\n\ufffdé'")
    assert str(error) == "Corefile:1 - Unknown directive '\\x1b[2J\\n\ufffdé'"
    error = CorefileError("Corefile", 1, "x" * 10_000_000)
    assert len(error.message) < errors.COREFILE_TEXT_LIMIT + 40
    assert error.message.endswith("… (10000000 characters)")


def test_nfts_text_is_bounded_in_the_message_and_whole_in_the_attribute() -> None:
    error = NftError("x" * 10_000, "add table ip svcdns")
    assert len(str(error)) == errors.NFT_TEXT_LIMIT
    assert len(error.stderr) == 10_000
    assert error.transaction == "add table ip svcdns"


def test_a_retry_hint_is_kept() -> None:
    assert ApiUnavailable(429, "TooManyRequests", "", retry_after=3.0).retry_after == 3.0


def test_no_error_of_ours_is_a_foreign_one() -> None:
    """A handler for OSError must not swallow a configuration error, nor the reverse."""
    ours = [item for item in vars(errors).values() if isinstance(item, type)]
    assert len(ours) == 10
    for kind in ours:
        assert kind.__mro__[-4:] == (SvcdnsError, Exception, BaseException, object)
        assert all(base in ours for base in kind.__mro__[:-3])


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FileNotFoundError(2, "No such file or directory", "a/b"), "open a/b: no such file or directory"),
        (IsADirectoryError(21, "Is a directory", "/etc"), "open /etc: is a directory"),
        (PermissionError(13, "Permission denied"), "permission denied"),
        (OSError("odd"), "odd"),
    ],
)  # fmt: skip
def test_errors_of_files_are_words_of_go(error: OSError, text: str) -> None:
    assert about_file(error) == text


FAULT = ConfigError("Corefile:7: taken")


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (FAULT, FAULT),
        (KeyError("a bug"), None),
        (ExceptionGroup("", [FAULT]), FAULT),
        (ExceptionGroup("", [ExceptionGroup("", [FAULT]), ConfigError("second")]), FAULT),
        (ExceptionGroup("", [FAULT, KeyError("a bug")]), None),
        (BaseExceptionGroup("", [KeyboardInterrupt()]), None),
    ],
)
def test_it_is_the_fault_of_an_operator_when_nothing_else_is_wrong(
    error: BaseException, fault: ConfigError | None
) -> None:
    assert fault_of(error) is fault
