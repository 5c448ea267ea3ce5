"""The errors of svcdns, by who is to blame.

::

    SvcdnsError
    ├── ConfigError            the operator's fault: ends start-up, never a reload
    │   ├── CorefileError      file, line, message
    │   ├── ProxyConfigError   file, field path, message
    │   ├── ManifestError      file, line, object, message
    │   └── CredentialsError   kubeconfig, token or certificate
    ├── ApiError               the API server said no: status, reason, message
    │   ├── ApiUnavailable     transport, 5xx, 429 (retry_after)
    │   └── ResourceExpired    410 Gone: list again
    └── NftError               nft refused a transaction: stderr and the transaction

Foreign exceptions (aiohttp, OSError, CalledProcessError) end in :mod:`svcdns.aio`, chained with
``from``.  Bad input on the answer path is a value, not an exception
(:class:`svcdns.dns.query.Rejected`).
"""

FOREIGN_TEXT_LIMIT = 256
"""Characters of a peer's text that a message may carry: enough to act on, too few to leak."""

NFT_TEXT_LIMIT = 1000
"""Characters of nft's complaints in a message: it repeats the transaction line by line."""

COREFILE_TEXT_LIMIT = 500
"""Characters of a message about a Corefile: it repeats words of a file that may be anything."""


def legible(text: str, limit: int = COREFILE_TEXT_LIMIT) -> str:
    """Make one line for a terminal or a log of *text* that repeats what a file holds.

    Control characters are escaped, because they steer terminals and end lines; what is longer
    than *limit* is cut.
    """
    cut = text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
    if cut.isprintable():
        return cut
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in cut)


def about_file(error: OSError) -> str:
    """Say what a file's error is, in the words of Go's programs: ``open NAME: no such file…``."""
    what = (error.strerror or str(error)).lower()
    return what if error.filename is None else f"open {error.filename}: {what}"


class SvcdnsError(Exception):
    """Anything svcdns raises on purpose; the text is for the operator."""


class ConfigError(SvcdnsError):
    """A configuration that cannot be used."""


class CorefileError(ConfigError):
    """A Corefile that cannot be used.

    The text is CoreDNS's: ``FILE:LINE - message``, the message made :func:`legible`.
    """

    def __init__(self, file: str, line: int, message: str) -> None:
        message = legible(message)
        super().__init__(f"{file}:{line} - {message}")
        self.file = file
        self.line = line
        self.message = message


class ProxyConfigError(ConfigError):
    """A KubeProxyConfiguration that cannot be used.

    *path* names the field: ``nftables.syncPeriod``.
    """

    def __init__(self, file: str, path: str, message: str) -> None:
        super().__init__(f"{file}: {path}: {message}" if path else f"{file}: {message}")
        self.file = file
        self.path = path
        self.message = message


class ManifestError(ConfigError):
    """A manifest, or one object of it, that cannot be used; *line* counts from 1."""

    def __init__(self, file: str, line: int, message: str, *, subject: str = "") -> None:
        what = f"{subject}: {message}" if subject else message
        super().__init__(f"{file}:{line}: {what}")
        self.file = file
        self.line = line
        self.subject = subject
        self.message = message


class CredentialsError(ConfigError):
    """A kubeconfig, token or certificate that cannot be used."""


class ApiError(SvcdnsError):
    """The API server refused a request for good (4xx other than 410 and 429)."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        text = message[:FOREIGN_TEXT_LIMIT]
        # Status 0: there was no answer, and a number in front would look as if there was.
        what = " ".join(part for part in (str(status) if status else "", reason) if part)
        super().__init__(f"{what}: {text}" if what else text)
        self.status = status
        self.reason = reason
        self.message = text


class ApiUnavailable(ApiError):
    """The API server cannot be reached or asks for patience; *status* is 0 without an answer."""

    def __init__(
        self, status: int, reason: str, message: str, *, retry_after: float | None = None
    ) -> None:
        super().__init__(status, reason, message)
        self.retry_after = retry_after
        "Seconds the server asked us to wait, if it did."


class ResourceExpired(ApiError):
    """410: the resource version or continue token is too old; list again."""


class NftError(SvcdnsError):
    """nft refused a transaction; nothing of it was applied."""

    def __init__(self, stderr: str, transaction: str) -> None:
        super().__init__(stderr.strip()[:NFT_TEXT_LIMIT] or "nft failed without a message")
        self.stderr = stderr
        self.transaction = transaction


def fault_of(error: BaseException) -> ConfigError | None:
    """Give what the operator got wrong, when nothing else is wrong; else nothing.

    Of several in a group it is the first: the others mostly follow from the same mistake.
    """
    if isinstance(error, BaseExceptionGroup):
        faults, others = error.split(ConfigError)
        return fault_of(faults.exceptions[0]) if faults and not others else None
    return error if isinstance(error, ConfigError) else None
