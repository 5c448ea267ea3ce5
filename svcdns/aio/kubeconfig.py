"""Access from kubeconfig files, read by the kubernetes package.

The package merges the files and reads clusters, certificates, passwords and OIDC logins.  What it
gets wrong or leaves out (dependency notes 1.3) is settled here before it is asked, or refused:
users that are missing, token files, login commands, impersonation.

This module imports the package (21 MiB of memory); import it only where it is used.

Spec: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

import base64
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kubernetes.aio.client import Configuration
from kubernetes.aio.config.kube_config import KubeConfigLoader, KubeConfigMerger

from svcdns.aio import execcredential
from svcdns.aio.credentials import Access, TokenFile, bearer, checked_url, tls_context
from svcdns.errors import CredentialsError, SvcdnsError

IMPERSONATION = ("as", "as-uid", "as-groups", "as-user-extra")
"""Fields of a user that change who one is; ignoring them would give other rights than asked for."""


async def load(
    paths: str, context: str, environ: Mapping[str, str], *, warn: Callable[[str], None]
) -> Access:
    """Read access from one or several kubeconfigs.

    Args:
        paths: One path, or several with colons between them (``KUBECONFIG``); of a name that
            occurs twice the first one counts.
        context: Which one; empty for the current one.
        environ: For login commands.
        warn: Told what is odd but no error.

    Raises:
        CredentialsError: With the file, what is wrong with it, and what to do.
    """
    named = [path for path in paths.split(os.pathsep) if path]
    missing = [path for path in named if not _exists(path)]
    if missing == named:
        raise CredentialsError(f"kubeconfig {paths}: no such file")
    try:
        merged = KubeConfigMerger(paths)
        for path in missing:
            warn(f"kubeconfig {path} does not exist; the others of {paths} are used")
        return await _access(merged.config.value, context, environ)
    except CredentialsError as error:
        raise CredentialsError(_about(paths, str(error))) from error
    except SvcdnsError:
        raise
    except (AttributeError, TypeError) as error:  # empty, or something else than a mapping
        text = "it is empty or does not have the form of a kubeconfig"
        raise CredentialsError(_about(paths, text)) from error
    except Exception as error:  # the package answers odd files with whatever comes up
        raise CredentialsError(_about(paths, f"it cannot be used: {error}")) from error


async def _access(config: dict[str, Any], context: str, environ: Mapping[str, str]) -> Access:
    context = context or config.get("current-context") or ""
    if not context:
        raise CredentialsError("it has no current-context; name a context")
    chosen = _named(config, "contexts", context, "context")[0]
    cluster, cluster_directory = _named(config, "clusters", chosen.get("cluster"), "cluster")
    if not cluster.get("server"):
        raise CredentialsError(f"cluster {chosen.get('cluster')} has no server")
    user: dict[str, Any] = {}
    directory = cluster_directory
    if chosen.get("user"):
        user, directory = _named(config, "users", chosen["user"], "user")
    for field in IMPERSONATION:
        if user.get(field):
            raise CredentialsError(
                f"user {chosen['user']} has {field}: impersonation is not supported;"
                " use a context of the user that is meant"
            )
    token: Callable[[], str] | None = None
    if path := user.get("tokenFile"):
        token = TokenFile(directory / path)
        token()
    elif section := user.get("exec"):
        described = _described(cluster, cluster_directory)
        login = await execcredential.run(section, described, directory, environ)
        user = {key: value for key, value in user.items() if key != "exec"} | _as_user(login)
    settings = await _settings(cluster, cluster_directory, user, directory)
    return _from(settings, token)


async def _settings(
    cluster: dict[str, Any],
    cluster_directory: Path,
    user: dict[str, Any],
    directory: Path,
) -> Configuration:
    """Have the package read one cluster and one user, which may come from different files."""
    cluster = _absolute(cluster, cluster_directory, "certificate-authority")
    user = _absolute(user, directory, "client-certificate", "client-key")
    user.pop("tokenFile", None)
    plain = {
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "it", "user": user}],
    }
    settings = Configuration()
    # Nothing is written back: a refreshed OIDC login lasts as long as this process.
    await KubeConfigLoader(plain, active_context="it", config_base_path="").load_and_set(settings)
    return settings


def _from(settings: Any, token: Callable[[], str] | None) -> Access:
    url = checked_url(str(settings.host), "server")
    context = None
    if url.startswith("https://"):
        context = tls_context(
            settings.ssl_ca_cert or "",
            settings.cert_file or "",
            settings.key_file or "",
            verify=settings.verify_ssl,
        )
    if token is None:
        value = _header(settings.api_key.get("BearerToken") or "")
        token = lambda: value  # noqa: E731 - one value, given for every request
    return Access(url, context, token, settings.tls_server_name or "", settings.proxy or "")


def _header(value: str) -> str:
    """Clean what the package made of a token; ``Basic`` values are clean already."""
    scheme, _, token = value.partition(" ")
    return bearer(token) if scheme == "Bearer" else value


def _named(
    config: dict[str, Any], section: str, name: str | None, what: str
) -> tuple[dict[str, Any], Path]:
    """Find an entry, and the directory that its relative paths start from."""
    for node in config.get(section) or ():
        # The merger wraps entries in nodes that know their file.
        if node.value.get("name") == name:
            return dict(node.value.get(what) or {}), Path(os.path.abspath(node.path)).parent
    names = ", ".join(str(node.value.get("name")) for node in config.get(section) or ())
    raise CredentialsError(f"there is no {what} {name}, only: {names or 'none'}")


def _absolute(entry: dict[str, Any], directory: Path, *fields: str) -> dict[str, Any]:
    paths = {field: str(directory / entry[field]) for field in fields if entry.get(field)}
    return {**entry, **paths}


def _as_user(login: execcredential.Login) -> dict[str, str]:
    found: dict[str, str] = {}
    if login.token:
        found["token"] = login.token
    if login.client_certificate_data:
        found["client-certificate-data"] = _base64(login.client_certificate_data)
        found["client-key-data"] = _base64(login.client_key_data)
    return found


def _described(cluster: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Describe the cluster for a login command; files become data, as client-go does it."""
    found: dict[str, Any] = {
        key: cluster[key]
        for key in ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url")
        if key in cluster
    }
    data = cluster.get("certificate-authority-data")
    if not data and (path := cluster.get("certificate-authority")):
        data = base64.b64encode((directory / path).read_bytes()).decode()
    if data:
        found["certificate-authority-data"] = data
    for extension in cluster.get("extensions") or ():
        if extension.get("name") == "client.authentication.k8s.io/exec":
            found["config"] = extension.get("extension")
    return found


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _exists(path: str) -> bool:
    return Path(path).expanduser().exists()


def _about(paths: str, text: str) -> str:
    return text if text.startswith("kubeconfig ") else f"kubeconfig {paths}: {text}"
