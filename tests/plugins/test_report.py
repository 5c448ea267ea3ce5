"""What is reported about a Corefile."""

from collections.abc import Callable

import pytest

from svcdns.corefile.parser import parse
from svcdns.corefile.syntax import ServerBlock
from svcdns.dns.name import ROOT
from svcdns.metrics import Registry
from svcdns.plugins.base import Context
from svcdns.plugins.report import Report, Status, inspect, to_text


def _context(_number: int, _block: ServerBlock, warn: Callable[[str], None]) -> Context:
    return Context(
        zones=(ROOT,),
        server="dns://:53",
        registry=Registry(),
        read=lambda _path: b"",
        random=lambda: 0.5,
        warn=warn,
        wall=lambda: 0.0,
    )


def _inspect(text: str) -> Report:
    blocks = parse(text, "Corefile", {}, lambda *_: [("extra", "errors")], lambda _: None)
    return inspect("Corefile", blocks, _context)


@pytest.mark.parametrize(
    ("line", "status", "note"),
    [
        ("errors", Status.SUPPORTED, "errors of the chain in the log"),
        ("errors stderr", Status.TRANSLATED, "errors go to the standard output only"),
        ("federation a", Status.TRANSLATED, "CoreDNS 1.7.0 removed federation"),
        ("pprof", Status.IGNORED, "there is no Go runtime here; py-spy attaches to a running process"),
        ("nomad", Status.REFUSED, "svcdns serves Kubernetes; Nomad has a DNS server to forward to"),
        ("rewirte name a b", Status.REFUSED, "CoreDNS has no such directive"),
    ],
)  # fmt: skip
def test_every_directive_has_a_status(line: str, status: Status, note: str) -> None:
    (block,) = _inspect(". {\n" + line + "\n}").blocks

    (directive,) = block.directives
    assert (directive.text, directive.line) == (line, 2)
    assert (directive.status, directive.note) == (status, note)


def test_the_chain_is_in_the_order_of_execution() -> None:
    (block,) = _inspect("a b:54 tls://c {\nbind 127.0.0.1\nloadbalance\nerrors\n}").blocks

    assert block.zones == ("a.", "b.", "c.")
    assert block.listeners == ("dns://127.0.0.1:53", "dns://127.0.0.1:54", "tls://127.0.0.1:853")
    assert [name for name in block.chain if name != "bind"] == ["errors", "loadbalance"]


def test_all_errors_are_found_and_come_by_line() -> None:
    report = _inspect(". {\nnope\nsign\nerrors x y\n}\n. {\n}")

    assert not report.starts
    assert [error.partition(" - ")[0] for error in report.errors] == [
        "Corefile:2",
        "Corefile:3",
        "Corefile:4",
        "Corefile:6",
    ]
    assert report.errors[-1] == "Corefile:6 - cannot serve dns://.:53 - it is already defined"


def test_warnings_are_said_once() -> None:
    report = _inspect(". {\npprof\n}\na {\nerrors stderr\n}")

    assert report.starts
    assert [warning.partition(" - ")[0] for warning in report.warnings] == [
        "Corefile:5",
        "Corefile:2",
    ]


def test_a_text_without_blocks_is_coredns_own() -> None:
    report = _inspect("# nothing")

    assert report.starts
    assert report.warnings == (
        "Corefile has no server block: CoreDNS's own, .:53 { whoami; log }, is used",
    )


def test_the_text_names_other_files_and_shortens_lines() -> None:
    report = _inspect(". {\nimport x\nloadbalance # all\npprof " + "x" * 100 + "\n}")

    assert to_text(report) == (
        "Corefile: Corefile, would start\n"
        "  warning  Corefile:4 - pprof has no effect: there is no Go runtime here; py-spy attaches to a running process\n"
        "\n"
        "Corefile:1 server block\n"
        "  zones      .\n"
        "  listeners  dns://:53\n"
        "  chain      errors -> loadbalance\n"
        "  LINE     DIRECTIVE                                         STATUS     NOTE\n"
        "  extra:1  errors                                            supported  errors of the chain in the log\n"
        "  3        loadbalance                                       supported  the order of addresses in answers\n"
        "  4        pprof " + "x" * 41 + "…  ignored    there is no Go runtime here; py-spy attaches to a running process\n"
    )  # fmt: skip


def test_a_directive_with_a_mistake_in_its_block_is_refused_with_what_is_wrong() -> None:
    text = ". {\nkubernetes cluster.local {\n podz insecure\n}\nerrors\n}"
    kubernetes, errors = _inspect(text).blocks[0].directives

    assert (kubernetes.line, kubernetes.status) == (2, Status.REFUSED)
    assert kubernetes.note == "plugin/kubernetes: unknown property 'podz'"
    assert errors.status is Status.SUPPORTED


def test_a_block_that_would_not_start_has_no_chain() -> None:
    text = to_text(_inspect("a {\ncache x {\nnope\n}\n}\nb {\n}\nc {\nwhoami\n}"))

    assert [line for line in text.splitlines() if line.startswith("  chain")] == [
        "  chain      (none: the block would not start)",
        "  chain      (empty: every query is refused)",
        "  chain      whoami",
    ]


def test_plugins_meet_as_they_do_at_a_start() -> None:
    (block,) = (report := _inspect("a {\nwhoami\nautopath @whoami\n}")).blocks

    assert (report.starts, block.starts) == (False, False)
    assert "whoami does not implement the AutoPather interface" in report.errors[0]
