import json
import os
from pathlib import Path
from typing import Any

import pytest

from svcdns.aio.execcredential import Login, run
from svcdns.errors import CredentialsError

VERSION = "client.authentication.k8s.io/v1"
ENVIRON = {"PATH": os.environ["PATH"]}


def printing(status: object, version: str = VERSION, kind: str = "ExecCredential") -> str:
    return (
        f"cat <<'EOF'\n{json.dumps({'apiVersion': version, 'kind': kind, 'status': status})}\nEOF\n"
    )


def shell(script: str, **more: object) -> dict[str, Any]:
    return {"apiVersion": VERSION, "command": "sh", "args": ["-c", script], **more}


async def login(section: dict[str, Any], directory: Path = Path("/"), **more: Any) -> Login:
    return await run(section, {"server": "https://api"}, directory, ENVIRON, **more)


async def test_a_command_gives_a_token() -> None:
    found = await login(
        shell(printing({"token": "t", "expirationTimestamp": "2030-01-01T00:00:00Z"}))
    )

    assert found == Login(token="t")


async def test_a_command_gives_a_certificate() -> None:
    status = {"clientCertificateData": "C", "clientKeyData": "K"}

    assert await login(shell(printing(status))) == Login("", "C", "K")


async def test_a_command_with_a_slash_is_relative_to_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "login"
    program.write_text("#!/bin/sh\n" + printing({"token": "t"}))
    program.chmod(0o755)
    section = {"apiVersion": VERSION, "command": "./bin/login", "args": None, "env": None}

    assert (await login(section, tmp_path)).token == "t"


@pytest.mark.parametrize("provide", [True, False])
async def test_a_command_learns_the_cluster_when_it_wants_to(tmp_path: Path, provide: bool) -> None:
    seen = tmp_path / "seen"
    script = f'printf "%s %s" "$EXTRA" "$KUBERNETES_EXEC_INFO" > {seen}; ' + printing(
        {"token": "t"}
    )
    await login(shell(script, provideClusterInfo=provide, env=[{"name": "EXTRA", "value": "x"}]))

    extra, _, info = seen.read_text().partition(" ")
    assert extra == "x"
    assert json.loads(info) == {
        "apiVersion": VERSION,
        "kind": "ExecCredential",
        "spec": {
            "interactive": False,
            **({"cluster": {"server": "https://api"}} if provide else {}),
        },
    }


@pytest.mark.parametrize(
    ("section", "text"),
    [
        (shell("echo no such profile >&2; exit 3"), "sh ended with 3: no such profile"),
        (shell("exit 1"), "sh ended with 1: no message"),
        (shell("kill -9 $$"), "sh ended with -9"),
        (shell("echo hello"), "sh printed no ExecCredential"),
        (shell(""), "sh printed no ExecCredential"),
        (shell(printing({})), "gave neither token nor certificate"),
        (shell(printing({"clientCertificateData": "C"})), "a certificate or a key, not both"),
        (shell(printing({"token": "t"}, kind="Status")), "printed a Status of"),
        (shell(printing({"token": "t"}, version="v9")), "printed a ExecCredential of v9"),
        (
            {"apiVersion": VERSION, "command": "no-such-program", "installHint": "get it\n"},
            r"no-such-program cannot be run: .*\(get it\)",
        ),
        ({"apiVersion": "client.authentication.k8s.io/v1alpha1", "command": "sh"}, "not supported"),
        ({"command": "sh"}, "exec: Object missing required field `apiVersion`"),
        ({"apiVersion": VERSION, "command": ["sh"]}, "exec: Expected `str`, got `array`"),
    ],
)
async def test_a_failure_is_told_and_never_an_anonymous_client(
    section: dict[str, Any], text: str
) -> None:
    with pytest.raises(CredentialsError, match=text):
        await login(section)


async def test_a_command_that_does_not_end_is_killed(tmp_path: Path) -> None:
    number = tmp_path / "pid"
    for limit in (0.2, 2.0, 20.0):  # it has to have begun
        with pytest.raises(CredentialsError, match=rf"sh did not end within {limit:g} s"):
            await login(shell(f"echo $$ > {number}; exec sleep 600"), limit=limit)
        if number.exists() and number.read_text():
            break

    pid = int(number.read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
