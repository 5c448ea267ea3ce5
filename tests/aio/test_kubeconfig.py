import base64
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from svcdns.aio import kubeconfig
from svcdns.aio.credentials import Access
from svcdns.errors import CredentialsError
from tests.support.certificates import Certificate, authority

ENVIRON = {"PATH": os.environ["PATH"]}
SERVER = {"server": "https://api.example:6443/"}
EXEC = {
    "apiVersion": "client.authentication.k8s.io/v1",
    "command": "sh",
    "args": ["-c", """printf %s '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"fresh\\n"}}'"""],
}  # fmt: skip


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return authority(tmp_path_factory.mktemp("certificates"), "api.example")


def config(
    user: dict[str, Any] | None = None,
    cluster: dict[str, Any] | None = None,
    name: str = "one",
    **more: object,
) -> dict[str, Any]:
    context = {"cluster": name, **({"user": name} if user is not None else {})}
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "contexts": [{"name": name, "context": context}],
        "clusters": [{"name": name, "cluster": cluster or SERVER}],
        "users": [{"name": name, "user": user}] if user is not None else [],
        **more,
    }  # fmt: skip


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


async def read(path: Path | str, context: str = "", warnings: list[str] | None = None) -> Access:
    warn = warnings.append if warnings is not None else pytest.fail
    return await kubeconfig.load(str(path), context, ENVIRON, warn=warn)


@pytest.mark.parametrize(
    ("user", "authorization"),
    [
        ({"token": "T1"}, "Bearer T1"),
        ({"token": "T1\n"}, "Bearer T1"),
        ({"username": "me", "password": "pw"}, "Basic " + base64.b64encode(b"me:pw").decode()),
        ({"exec": EXEC}, "Bearer fresh"),
        ({}, ""),
        (None, ""),
    ],
)
async def test_a_user_says_who_we_are(
    tmp_path: Path, user: dict[str, Any] | None, authorization: str
) -> None:
    access = await read(write(tmp_path / "config", config(user)))

    assert access.url == "https://api.example:6443"
    assert access.context
    assert access.authorization() == authorization


async def test_a_token_file_is_read_again_and_wins_over_a_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one\n")
    path = write(tmp_path / "config", config({"tokenFile": "token", "token": "old"}))
    access = await read(path)
    assert access.authorization() == "Bearer one"
    (tmp_path / "token").write_text("two\n")

    assert access.authorization() == "Bearer two"


@pytest.mark.parametrize("form", ["absolute", "relative", "data"])
async def test_certificates_come_from_files_or_from_data(
    tmp_path: Path, certificate: Certificate, form: str
) -> None:
    user: dict[str, str] = {}
    cluster = dict(SERVER)
    for target, field, path in (
        (cluster, "certificate-authority", certificate.authority),
        (user, "client-certificate", certificate.certificate),
        (user, "client-key", certificate.key),
    ):
        content = Path(path).read_bytes()  # noqa: ASYNC240 - a test's file
        if form == "data":
            target[f"{field}-data"] = base64.b64encode(content).decode()
        elif form == "relative":
            write(tmp_path / "pki" / field, content.decode())
            target[field] = f"pki/{field}"
        else:
            target[field] = path
    access = await read(write(tmp_path / "config", config(user, cluster)))

    assert access.context
    assert [one["subject"] for one in access.context.get_ca_certs()] == [
        ((("commonName", "test authority"),),)
    ]


async def test_the_rest_of_a_cluster_is_taken_over(tmp_path: Path) -> None:
    cluster = {
        "server": "https://10.0.0.1", "tls-server-name": "api.internal",
        "insecure-skip-tls-verify": True, "proxy-url": "http://proxy:3128",
    }  # fmt: skip
    access = await read(write(tmp_path / "config", config({}, cluster)))

    assert (access.server_hostname, access.proxy) == ("api.internal", "http://proxy:3128")
    assert access.context
    assert not access.context.check_hostname


async def test_a_plain_server_needs_no_tls(tmp_path: Path) -> None:
    access = await read(
        write(tmp_path / "config", config(None, {"server": "http://127.0.0.1:8001"}))
    )

    assert (access.url, access.context) == ("http://127.0.0.1:8001", None)


async def test_g8_a_context_can_be_named(tmp_path: Path) -> None:
    both = config({"token": "a"}, {"server": "https://one"})
    other = config({"token": "b"}, {"server": "https://two"}, name="two")
    for section in ("contexts", "clusters", "users"):
        both[section] += other[section]
    path = write(tmp_path / "config", both)

    assert (await read(path)).url == "https://one"
    assert (await read(path, "two")).url == "https://two"
    assert (await read(path, "two")).authorization() == "Bearer b"


async def test_several_files_are_one_and_paths_start_from_their_own(tmp_path: Path) -> None:
    first = config({"token": "first"}, {"server": "https://first"})
    second = config({"tokenFile": "token"}, {"server": "https://second"}, name="two")
    second["users"].append({"name": "one", "user": {"token": "later ones do not count"}})
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "token").write_text("from b")
    paths = f"{write(tmp_path / 'a' / 'config', first)}:{write(tmp_path / 'b' / 'config', second)}"
    warnings: list[str] = []

    assert (await read(paths, "one")).authorization() == "Bearer first"
    assert (await read(paths, "two")).authorization() == "Bearer from b"
    assert (await read(f"{paths}:/nonexistent", "one", warnings)).url == "https://first"
    assert warnings == [
        f"kubeconfig /nonexistent does not exist; the others of {paths}:/nonexistent are used"
    ]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (config({"as": "admin"}), "user one has as: impersonation is not supported"),
        (config({"as-groups": ["x"]}), "user one has as-groups: impersonation"),
        (config(None, {"certificate-authority": "x"}), "cluster one has no server"),
        (config(None, {**SERVER, "certificate-authority": "missing"}), "missing"),
        (config({"tokenFile": "missing"}), "token file .*/missing: no such file"),
        (config({"client-certificate": "missing", "client-key": "missing"}), "missing"),
        (config({"token": "a\x01b"}), "cannot be sent in a header"),
        (config({"exec": {**EXEC, "command": "no-such-program"}}), "no-such-program cannot be run"),
        (config({"exec": {**EXEC, "args": ["-c", "exit 9"]}}), "exec: sh ended with 9"),
        ({**config({}), "current-context": ""}, "no current-context; name a context"),
        ({**config({}), "current-context": "gone"}, "there is no context gone, only: one"),
        ({**config({}), "users": []}, "there is no user one, only: none"),
        ({**config({}), "clusters": None}, "there is no cluster one, only: none"),
        ("[]", "it is empty or does not have the form"),
        ("", "it is empty or does not have the form"),
        ("just text", "it is empty or does not have the form"),
        ("a: [", "it cannot be used"),
        ("current-context: one\ncontexts: [7]", "does not have the form of a kubeconfig"),
        (config(None, {"server": "api.example"}), "server api.example: an http or https URL"),
    ],
)
async def test_what_is_wrong_is_told_with_the_file(
    tmp_path: Path, content: object, text: str
) -> None:
    path = write(tmp_path / "config", content)

    with pytest.raises(CredentialsError, match=text) as caught:
        await read(path)
    assert str(caught.value).startswith(f"kubeconfig {path}: ")


async def test_a_file_that_does_not_exist_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(CredentialsError, match="kubeconfig /nonexistent: no such file"):
        await read("/nonexistent")
    assert not caplog.records  # the kubernetes package has a warning of its own
