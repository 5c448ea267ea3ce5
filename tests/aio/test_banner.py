import platform

from svcdns import __version__
from svcdns.aio.banner import banner, version_lines
from svcdns.dns.name import ROOT, from_text
from svcdns.metrics import Registry
from svcdns.plugins.accounts import Accounts
from svcdns.plugins.chain import Block
from svcdns.plugins.server import Listen, Server


def _server(listen: Listen, *zones: bytes) -> Server:
    return Server(
        listen,
        [Block(zones, [])],
        accounts=Accounts("x", Registry()),
        clock=lambda: 0.0,
        panic=lambda question, error: None,
        spawn=lambda ask: None,
    )


def test_a_line_for_every_zone_and_address() -> None:
    servers = [
        _server(Listen("dns", (), 53), ROOT),
        _server(Listen("dns", ("169.254.20.10",), 53), from_text("cluster.local"), ROOT),
        _server(Listen("tls", (), 853), ROOT),
    ]

    assert list(banner(servers)) == [
        ".:53",
        "cluster.local.:53 on 169.254.20.10",
        ".:53 on 169.254.20.10",
        "tls://.:853",
    ]


def test_the_version_says_what_it_runs_on() -> None:
    name, where = version_lines()

    assert name == f"svcdns-{__version__}"
    assert where.endswith(f", python{platform.python_version()}")
