"""Runs the login command of a kubeconfig's user (``exec``).

Done here and not by the kubernetes package, which looks for relative commands in the wrong place,
leaves out the cluster, waits without end, and turns a failure into an anonymous client (dependency
notes 1.3).

Spec: https://kubernetes.io/docs/reference/access-authn-authz/authentication/
      #client-go-credential-plugins
Parity: client-go ``plugin/pkg/client/auth/exec/exec.go``.
"""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from svcdns.errors import FOREIGN_TEXT_LIMIT, CredentialsError

TIMEOUT_SECONDS = 60.0
"""Nobody is there to answer a question that the command might ask."""

API_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")


class _Variable(msgspec.Struct):
    name: str
    value: str = ""


class Plugin(msgspec.Struct, rename="camel"):
    """The ``exec`` section of a user."""

    command: str
    api_version: str
    args: list[str] | None = None
    env: list[_Variable] | None = None
    install_hint: str | None = None
    provide_cluster_info: bool = False


class Login(msgspec.Struct, rename="camel"):
    """What the command gave: a token, a certificate with its key, or all of them."""

    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""


class _Credential(msgspec.Struct, rename="camel"):
    api_version: str
    kind: str
    status: Login


async def run(
    section: dict[str, Any],
    cluster: dict[str, Any],
    directory: Path,
    environ: Mapping[str, str],
    *,
    limit: float = TIMEOUT_SECONDS,
) -> Login:
    """Run the command and read what it prints.

    Args:
        section: The user's ``exec``.
        cluster: The cluster as the command may know it (``provideClusterInfo``).
        directory: Of the kubeconfig; relative commands with a slash start there.
        environ: The environment to add to.
        limit: Seconds that the command may take.

    Raises:
        CredentialsError: The command fails, or prints something else than a credential.
    """
    try:
        plugin = msgspec.convert(section, Plugin)
    except msgspec.ValidationError as error:
        raise CredentialsError(f"exec: {error}") from error
    if plugin.api_version not in API_VERSIONS:
        raise CredentialsError(
            f"exec: apiVersion {plugin.api_version} is not supported, only {API_VERSIONS}"
        )
    output = await _output(plugin, _environment(plugin, cluster, environ), directory, limit)
    try:
        credential = msgspec.json.decode(output, type=_Credential)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CredentialsError(
            f"exec: {plugin.command} printed no ExecCredential: {error}"
        ) from error
    login = credential.status
    if credential.kind != "ExecCredential" or credential.api_version != plugin.api_version:
        raise CredentialsError(
            f"exec: {plugin.command} printed a {credential.kind} of {credential.api_version},"
            f" an ExecCredential of {plugin.api_version} is expected"
        )
    if bool(login.client_certificate_data) != bool(login.client_key_data):
        raise CredentialsError(f"exec: {plugin.command} gave a certificate or a key, not both")
    if not login.token and not login.client_certificate_data:
        raise CredentialsError(f"exec: {plugin.command} gave neither token nor certificate")
    return login


def _environment(
    plugin: Plugin, cluster: dict[str, Any], environ: Mapping[str, str]
) -> dict[str, str]:
    spec: dict[str, object] = {"interactive": False}
    if plugin.provide_cluster_info:
        spec["cluster"] = cluster
    info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}
    variables = {one.name: one.value for one in plugin.env or ()}
    return {**environ, **variables, "KUBERNETES_EXEC_INFO": json.dumps(info)}


async def _output(plugin: Plugin, env: dict[str, str], directory: Path, limit: float) -> bytes:
    command = plugin.command
    if "/" in command:
        command = str(directory / command)
    try:
        process = await asyncio.create_subprocess_exec(
            command,
            *(plugin.args or ()),
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except (OSError, ValueError) as error:
        hint = f" ({plugin.install_hint.strip()})" if plugin.install_hint else ""
        raise CredentialsError(f"exec: {plugin.command} cannot be run: {error}{hint}") from error
    try:
        async with asyncio.timeout(limit):
            output, complaint = await process.communicate()
    except TimeoutError as error:
        raise CredentialsError(f"exec: {plugin.command} did not end within {limit:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        text = complaint.decode(errors="replace").strip()[-FOREIGN_TEXT_LIMIT:]
        raise CredentialsError(
            f"exec: {plugin.command} ended with {process.returncode}: {text or 'no message'}"
        )
    return output
