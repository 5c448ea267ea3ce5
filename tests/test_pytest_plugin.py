import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]

TESTS = '''\
WEB = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 8080}]}
"""

ports = []

def test_one(svcdns):
    svcdns.apply(WEB)
    ports.append(svcdns.dns_port)
    assert svcdns.ask("web.default.svc.cluster.local").data == (svcdns.address("web")[0],)

def test_every_test_has_its_own(svcdns):
    assert svcdns.ask("web.default.svc.cluster.local").rcode == "NXDOMAIN"
'''


def _pytest(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words],
        cwd=directory, env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_fixture_gives_each_test_a_network_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)

    done = _pytest(tmp_path, "-p", "svcdns.pytest_plugin", "-W", "error")
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_the_plugin_is_cheap_for_those_who_do_not_use_it(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\ndef test_it():\n    assert 'svcdns.aio' not in sys.modules\n"
    )

    done = _pytest(tmp_path, "-p", "svcdns.pytest_plugin")
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_package_offers_the_plugin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["entry-points"]["pytest11"] == {"svcdns": "svcdns.pytest_plugin"}
