"""How to reach an API server, and as whom.

In this order: a kubeconfig where one is named, an endpoint where one is named, the service account
of the pod, and the files of ``KUBECONFIG`` (CoreDNS ends after the third; rule G8).

Only a kubeconfig needs the kubernetes package, which costs 21 MiB of memory: it is imported in
:mod:`svcdns.aio.kubeconfig`, and that is imported when it is used.

Parity: CoreDNS ``plugin/kubernetes/kubernetes.go`` getClientConfig, client-go ``rest/config.go``
InClusterConfig.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from svcdns.errors import CredentialsError
from svcdns.hostport import bracketed
from svcdns.kube.source import ApiSource

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet mounts token and authority of the pod's service account."""


def _anonymous() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Access:
    """All that a connection to an API server takes."""

    url: str
    "Without a slash at the end."
    context: ssl.SSLContext | None = None
    "``None`` for plain HTTP."
    authorization: Callable[[], str] = _anonymous
    "Gives the value of the Authorization header, or nothing; asked for every request."
    server_hostname: str = ""
    "The name to verify, where it is not the URL's."
    proxy: str = ""
    "URL of an HTTP proxy, or nothing."


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A bearer token in a file that somebody else keeps fresh.

    It is read for every request: there are a few a minute, and the kubelet swaps the file.
    """

    path: Path

    def __call__(self) -> str:
        """Give the header's value.

        Raises:
            CredentialsError: The file cannot be read or is empty.
        """
        try:
            # A newline at the end is usual, and forbidden in a header.
            token = self.path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CredentialsError(f"token file {self.path}: {_why(error)}") from error
        if not token:
            raise CredentialsError(f"token file {self.path}: it is empty")
        return bearer(token)


def bearer(token: str) -> str:
    """Give the header's value for a token.

    Raises:
        CredentialsError: The token has characters that no header may have.
    """
    token = token.strip()
    if not token.isascii() or not token.isprintable():
        raise CredentialsError("the bearer token has characters that cannot be sent in a header")
    return f"Bearer {token}"


async def load(
    source: ApiSource,
    environ: Mapping[str, str],
    *,
    warn: Callable[[str], None],
    service_account: Path = SERVICE_ACCOUNT,
) -> Access:
    """Find out how to reach the API server of *source*.

    Args:
        source: What the configuration says.
        environ: The environment variables.
        warn: Told what is odd but no error.
        service_account: Instead of the usual directory.

    Raises:
        CredentialsError: There is no way, or a file of it cannot be used.
    """
    if source.kubeconfig:
        from svcdns.aio import kubeconfig

        return await kubeconfig.load(source.kubeconfig, source.context, environ, warn=warn)
    if source.endpoint:
        return endpoint(source.endpoint, source.tls)
    if environ.get("KUBERNETES_SERVICE_HOST") and environ.get("KUBERNETES_SERVICE_PORT"):
        return in_cluster(environ, service_account)
    if paths := environ.get("KUBECONFIG"):
        from svcdns.aio import kubeconfig

        return await kubeconfig.load(paths, source.context, environ, warn=warn)
    raise CredentialsError(
        "unable to load in-cluster configuration: KUBERNETES_SERVICE_HOST and"
        " KUBERNETES_SERVICE_PORT are not set; outside of a cluster, name a kubeconfig or an"
        " endpoint"
    )


def endpoint(url: str, tls: tuple[str, ...]) -> Access:
    """Use a URL as it is given, with a certificate, key and CA for it or without."""
    if "://" not in url:
        url = f"{'https' if tls else 'http'}://{url}"
    url = checked_url(url, "endpoint")
    if url.startswith("http://"):
        return Access(url)
    certificate, key, authority = (*tls, "", "", "")[:3]
    return Access(url, tls_context(authority, certificate, key))


def checked_url(url: str, what: str) -> str:
    """Give the URL without a slash at the end.

    Raises:
        CredentialsError: It is no URL of a server.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(character.isspace() for character in url):
        raise CredentialsError(f"{what} {url}: an http or https URL with a host is expected")
    return url.rstrip("/")


def in_cluster(environ: Mapping[str, str], service_account: Path) -> Access:
    """Use what every pod has: two variables, and a directory with token and authority."""
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ["KUBERNETES_SERVICE_PORT"]
    authority = service_account / "ca.crt"
    token = TokenFile(service_account / "token")
    token()  # so that a pod without a service account is told at start
    host = bracketed(host)
    return Access(f"https://{host}:{port}", tls_context(str(authority)), token)


def tls_context(
    authority: str = "", certificate: str = "", key: str = "", *, verify: bool = True
) -> ssl.SSLContext:
    """Make a context from paths.

    Args:
        authority: PEM file; empty for the system's authorities.
        certificate: PEM file of the client, or empty.
        key: PEM file of the client's key; empty when it is in *certificate*.
        verify: Whether the server has to prove who it is.

    Raises:
        CredentialsError: A file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=authority or None)
    except (OSError, ValueError) as error:
        raise CredentialsError(f"certificate authority {authority}: {_why(error)}") from error
    # Go does not insist on RFC 5280 in every detail, and the authorities of many clusters rely
    # on that; Python does from 3.13 on.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate:
        try:
            # An empty password, because OpenSSL would ask on the terminal otherwise.
            context.load_cert_chain(certificate, key or None, password="")
        except (OSError, ValueError) as error:
            raise CredentialsError(
                f"client certificate {certificate} with key {key or certificate}: {_why(error)}"
            ) from error
    return context


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"not usable as PEM ({error.reason or error})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)
