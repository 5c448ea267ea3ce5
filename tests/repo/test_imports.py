"""What the processes import is what they need: memory and time of start are counted in clusters."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

AIOHTTP = {
    "aiohappyeyeballs", "aiohttp", "aiosignal", "attr", "frozenlist", "idna", "multidict",
    "propcache", "yarl", "typing_extensions", "cython_runtime",
}  # fmt: skip
DNS = AIOHTTP | {"cachetools", "msgspec", "prometheus_client"}

STOCK = """
from tests.support.deploy import DEPLOY, one_of, resources
from tests.support.explaining import configured
text = one_of(resources(DEPLOY / "dns"), "ConfigMap")["data"]["Corefile"]
"""


def _imported(code: str, before: str = "") -> set[str]:
    """Run *code* in a fresh interpreter; give the modules that it brought, *before* not counted."""
    lines = [
        before,
        "import json, sys",
        "known = set(sys.modules)",
        code,
        "print(json.dumps(sorted(set(sys.modules) - known)))",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return set(json.loads(done.stdout))


def _foreign(modules: set[str]) -> set[str]:
    """Top-level packages that are neither Python's nor ours."""
    tops = {module.partition(".")[0] for module in modules}
    ours = {"svcdns", "tests", "__mp_main__"}
    return {one for one in tops - sys.stdlib_module_names - ours if not one.startswith("_")}


def test_the_dns_server_imports_nothing_that_it_does_not_need() -> None:
    """Not the kubernetes package (in a Pod), no YAML, no HTTP/2, no dnslib, no dnspython."""
    modules = _imported("import svcdns.cli.dns, svcdns.aio.feed")

    assert _foreign(modules) - DNS == set()
    assert {one for one in modules if one.startswith("svcdns.proxy")} == set()


def test_the_stock_corefile_brings_no_more() -> None:
    """Plugins are imported when a Corefile names them; kubeadm's names no expensive one."""
    before = STOCK.replace("from tests.support.explaining import configured\n", "")
    code = "from tests.support.explaining import configured\nconfigured(corefile=text)"

    assert _foreign(_imported(code, before)) - DNS == set()


def test_the_proxy_imports_no_dns_server() -> None:
    modules = _imported("import svcdns.cli.proxy, svcdns.aio.proxy")

    assert _foreign(modules) - DNS - {"yaml"} == set()
    assert "svcdns.plugins.server" not in modules
    assert "svcdns.zones.zone" not in modules


def test_the_command_line_imports_only_the_command_that_is_asked_for() -> None:
    assert _foreign(_imported("import svcdns.cli")) == set()


def test_a_package_too_many_would_be_seen() -> None:
    assert "yaml" in _foreign(_imported("import svcdns.kube.manifests"))
