"""A NodeLocal DNSCache in a network namespace, by the arguments of the stock manifest."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from svcdns.aio import nodecache
from svcdns.aio.nodecache import NodeCache, NodeCacheSettings
from svcdns.errors import ConfigError
from tests.support.deploy import DEPLOY, one_of, pod_templates, resources
from tests.support.namespaces import Namespace, program, require_root
from tests.support.waiting import until

UPSTREAM = """\
.:53 {
    bind 10.96.77.3
    hosts {
        10.96.1.1 web.default.svc.cluster.local
    }
}
"""


@pytest.fixture
def node() -> Iterator[Namespace]:
    require_root("nft")
    program("dig")
    found = Namespace(f"svcdns-nc-{os.getpid()}")
    found.address("10.96.77.3/32")
    try:
        yield found
    finally:
        found.close()


def _arguments(directory: Path) -> list[str]:
    """The manifest's arguments, with the files in *directory*."""
    [template] = pod_templates(resources(DEPLOY / "node-local"))
    arguments = [str(one) for one in template["spec"]["containers"][0]["args"]]
    places = {"/etc/Corefile": "Corefile", "/tmp/node-cache.pid": "pid"}
    return [str(directory / places[one]) if one in places else one for one in arguments]


def _dig(node: Namespace, server: str, *words: str) -> str:
    return node.run("dig", "+short", "+time=20", "+tries=1", f"@{server}", *words).stdout.strip()


async def test_the_stock_arguments_make_a_cache_and_take_it_back_in_the_end(
    node: Namespace, tmp_path: Path
) -> None:
    config = one_of(resources(DEPLOY / "node-local"), "ConfigMap")
    (tmp_path / "Corefile.base").write_text(config["data"]["Corefile"])
    (tmp_path / "upstream").write_text(UPSTREAM)
    env = {**os.environ, "KUBE_DNS_UPSTREAM_SERVICE_HOST": "10.96.77.3"}
    serve = (sys.executable, "-m", "svcdns", "dns")
    upstream = node.start(
        *serve, "-conf", str(tmp_path / "upstream"), env=env, log=tmp_path / "upstream.log"
    )
    cache = node.start(
        *serve, *_arguments(tmp_path), "-basecorefile", str(tmp_path / "Corefile.base"),
        env=env, log=tmp_path / "log",
    )  # fmt: skip
    try:
        for log in ("upstream.log", "log"):
            await until(lambda log=log: "svcdns-" in (tmp_path / log).read_text())  # type: ignore[misc]
        assert (tmp_path / "pid").exists()
        await until(lambda: "notrack" in node.run("nft", "list", "ruleset").stdout)

        # the cluster IP of kube-dns is served by the node itself
        for address in ("169.254.20.10", "10.96.0.10"):
            assert _dig(node, address, "web.default.svc.cluster.local", "A") == "10.96.1.1"
            assert _dig(node, address, "+tcp", "web.default.svc.cluster.local", "A") == "10.96.1.1"

        cache.send_signal(signal.SIGTERM)
        assert cache.wait(60) == 0
        assert "notrack" not in node.run("nft", "list", "ruleset").stdout
        assert "169.254.20.10" not in node.run("ip", "address").stdout
    except (AssertionError, TimeoutError, subprocess.TimeoutExpired):
        print((tmp_path / "log").read_text(), (tmp_path / "upstream.log").read_text())
        raise
    finally:
        for process in (upstream, cache):
            process.kill()
            process.wait(60)


def test_what_cannot_be_taken_back_is_told_and_the_rest_is(node: Namespace, tmp_path: Path) -> None:
    """An address of the cluster's DNS that stays on a node leads its queries to nobody."""
    (tmp_path / "base").write_text("# one\n")
    settings = NodeCacheSettings(
        "169.254.20.10,169.254.20.11",
        corefile=str(tmp_path / "Corefile"),
        template=str(tmp_path / "base"),
        interface="a-name-that-no-interface-can-have",
        untrack=False,
    )
    code = f"""
import subprocess
from svcdns.aio.nodecache import *
cache = NodeCache({settings!r}, {{}})
cache.prepare()
subprocess.run(["ip", "address", "delete", "169.254.20.10/32", "dev", "lo"], check=True)
cache.tear_down()
"""
    done = node.run(sys.executable, "-c", code)

    assert "169.254.20.11" not in node.run("ip", "address").stdout
    assert "could not be taken back: ip address delete 169.254.20.10/32 dev lo: " in done.stderr


async def test_a_changed_template_is_taken_up_and_a_broken_config_map_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(nodecache, "LOOK", 0.01)
    template, made, kube_dns = tmp_path / "base", tmp_path / "Corefile", tmp_path / "kube-dns"
    template.write_text("# one\n")
    settings = NodeCacheSettings(
        "169.254.20.10", corefile=str(made), template=str(template), kube_dns=str(kube_dns),
        make_interface=False, untrack=False,
    )  # fmt: skip
    cache = NodeCache(settings, {})
    cache.prepare()
    assert made.read_text() == "# one\n"

    keeping = asyncio.create_task(cache.keep())
    try:
        template.write_text("# two\n")
        await until(lambda: made.read_text() == "# two\n")
        kube_dns.mkdir()
        (kube_dns / "stubDomains").write_text("{")
        await until(lambda: "the Corefile stays as it was" in caplog.text)
        assert made.read_text() == "# two\n"
    finally:
        keeping.cancel()


def test_a_template_that_is_missing_is_named(tmp_path: Path) -> None:
    settings = NodeCacheSettings(
        "169.254.20.10", corefile=str(tmp_path / "Corefile"), template=str(tmp_path / "base")
    )

    with pytest.raises(ConfigError, match=r"base: no such file or directory"):
        NodeCache(settings, {}).prepare()


def test_a_network_that_cannot_be_had_is_an_error_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "base").write_text("# one\n")
    settings = NodeCacheSettings(
        "169.254.20.10", corefile=str(tmp_path / "Corefile"), template=str(tmp_path / "base"),
    )  # fmt: skip
    code = "import sys; from svcdns.aio.nodecache import *; from svcdns.errors import ConfigError\n"
    code += f"try: NodeCache({settings!r}, {{}}).prepare()\nexcept ConfigError as e: print(e)"
    require_root("setpriv")

    done = subprocess.run(
        ["setpriv", "--bounding-set=-net_admin", sys.executable, "-c", code],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert "ip address replace 169.254.20.10/32" in done.stdout
    assert "Operation not permitted" in done.stdout
