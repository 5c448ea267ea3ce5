"""deploy/Dockerfile is clean, pinned, and puts commands where stock manifests look for them."""

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from svcdns import cli

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
HADOLINT = Path(sys.executable).with_name("hadolint")


def _stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each stage, in order; continued lines are joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    stages: dict[str, list[tuple[str, str]]] = {}
    current: list[tuple[str, str]] = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if not line.strip():
            continue
        word, rest = line.split(None, 1)
        if word == "FROM":
            current = stages[rest.split(" AS ")[1]] = []
        current.append((word, rest))
    return stages


def _inherited(name: str) -> list[tuple[str, str]]:
    """The instructions that make a stage, those of the stages under it first."""
    stages = _stages()
    under = stages[name][0][1].split()[0]
    return [*(_inherited(under) if under in stages else []), *stages[name]]


def _last(stage: str, word: str) -> str:
    return next((rest for found, rest in reversed(_inherited(stage)) if found == word), "")


def _asked() -> list[Requirement]:
    """What pyproject.toml asks for; the metadata of an installation may be older."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *project["optional-dependencies"]["zones"]]
    return [Requirement(text) for text in texts]


def _closure(needs: list[Requirement]) -> dict[NormalizedName, str]:
    """Names and versions of everything that is needed at run time, as installed here."""
    found = {canonicalize_name(need.name): metadata.version(need.name) for need in needs}
    waiting = [(need.name, frozenset(need.extras)) for need in needs]
    while waiting:
        one, wanted = waiting.pop()
        for text in metadata.requires(one) or ():
            need = Requirement(text)
            asked = wanted or {""}
            if need.marker and not any(need.marker.evaluate({"extra": e}) for e in asked):
                continue
            key = canonicalize_name(need.name)
            if key not in found:
                found[key] = metadata.version(need.name)
                waiting.append((need.name, frozenset(need.extras)))
    return found


def _constraints() -> dict[str, Requirement]:
    lines = (ROOT / "deploy" / "constraints.txt").read_text().splitlines()
    needs = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(need.name): need for need in needs}


@pytest.mark.skipif(not HADOLINT.exists(), reason="hadolint is not installed")
def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [HADOLINT, "--no-color", DOCKERFILE],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.skipif(not HADOLINT.exists(), reason="hadolint is not installed")
def test_hadolint_would_find_something(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text(re.sub(r"# hadolint ignore.*\n", "", DOCKERFILE.read_text()))

    assert subprocess.run([HADOLINT, bad], capture_output=True, timeout=60).returncode == 1


def test_everything_that_is_installed_is_pinned() -> None:
    needed = _closure(_asked())
    pinned = _constraints()

    assert needed.keys() - pinned.keys() == set()
    assert [str(one) for one in pinned.values() if not str(one.specifier).startswith("==")] == []


def test_pins_agree_with_what_the_package_asks_for() -> None:
    pinned = {name: str(need.specifier).removeprefix("==") for name, need in _constraints().items()}
    wrong = [
        str(need)
        for need in _asked()
        if (version := pinned.get(canonicalize_name(need.name)))
        and not need.specifier.contains(version)
    ]
    assert wrong == []


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    sources = [
        source
        for stage in _stages().values()
        for word, rest in stage
        if word == "COPY" and "--from=" not in rest
        for source in rest.split()[:-1]
    ]

    assert "svcdns" in sources
    assert [one for one in sources if not (ROOT / one).exists()] == []
    assert [one for one in sources if f"!{one}" not in ignored] == []


@pytest.mark.parametrize(
    ("stage", "entry", "command"),
    [
        ("dns", "/coredns", "dns"),
        ("proxy", "/usr/local/bin/kube-proxy", "proxy"),
        ("node-cache", "/node-cache", "dns"),
    ],
)
def test_an_image_is_entered_where_the_stock_one_is(stage: str, entry: str, command: str) -> None:
    assert _last(stage, "ENTRYPOINT") == f'["{entry}"]'
    links = re.findall(r"ln -s (\S+) (\S+)", " ".join(rest for _, rest in _inherited(stage)))
    assert entry in [link for _, link in links]
    assert cli._CALLED_AS[entry.rpartition("/")[2]] == command


def test_the_dns_image_is_the_last_stage_and_runs_as_nobody_in_particular() -> None:
    assert list(_stages())[-1] == "dns"
    assert _last("dns", "USER") == "65532:65532"


def test_the_proxy_images_bring_the_programs_that_the_kernel_data_path_calls() -> None:
    for stage in ("proxy", "node-cache"):
        made = " ".join(rest for _, rest in _inherited(stage))
        assert {"nftables", "conntrack", "iproute2"} <= set(made.split())


def test_bases_are_pinned() -> None:
    given = re.search(r"^ARG PYTHON=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)

    assert given
    assert re.fullmatch(r"3\.11\.\d+-slim-[a-z]+", given[1])


def test_there_is_a_python_that_may_bind_port_53_and_one_that_runs_without_the_right() -> None:
    """With +ep a kernel refuses to start a program whose right the Pod's security context took."""
    built = " ".join(rest for _, rest in _stages()["build"])

    assert "setcap cap_net_bind_service=+ep /opt/svcdns/bin/python-bind" in built
    assert "#!/opt/svcdns/bin/python-bind" in built
