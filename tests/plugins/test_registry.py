"""From directives to plugins: order, modules found by name, refusals."""

import random
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

import svcdns.plugins
from svcdns.corefile.parser import parse
from svcdns.corefile.syntax import ServerBlock
from svcdns.dns.name import ROOT
from svcdns.errors import CorefileError
from svcdns.metrics import Registry
from svcdns.plugins import registry
from svcdns.plugins.base import Context
from svcdns.plugins.clusters import Clusters
from svcdns.plugins.order import NAMES, Support
from svcdns.plugins.slices import finish

MODULE = """
from types import SimpleNamespace

def late():
    yield
    return {}["key"]

def setup(directives, context):
    if directives[0].args == ("none",):
        return None
    if directives[0].args == ("file",):
        context.read("/none")
    if directives[0].args == ("bug",):
        return {}["key"]
    if directives[0].args == ("late",):
        return late()
    return SimpleNamespace(name=directives[0].name, count=len(directives))
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules for two plugins that svcdns will never have, and one without a set-up."""
    for name, text in {"nomad": MODULE, "azure": MODULE, "sign": ""}.items():
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, f"svcdns.plugins.{name}", raising=False)
        # So that what the import leaves behind is taken away again.
        monkeypatch.setitem(sys.modules, f"svcdns.plugins.{name}", sys)
        del sys.modules[f"svcdns.plugins.{name}"]
    monkeypatch.setattr(svcdns.plugins, "__path__", [str(tmp_path), *svcdns.plugins.__path__])


def _block(directives: str) -> ServerBlock:
    (block,) = parse(". {\n" + directives + "\n}", "Corefile", {}, lambda *_: None, lambda _: None)
    return block


def _context(warnings: list[str] | None = None) -> Context:
    def read(path: str) -> bytes:
        raise FileNotFoundError(2, "No such file or directory", path)

    return Context(
        zones=(ROOT,),
        server="dns://:53",
        registry=Registry(),
        read=read,
        random=random.random,
        warn=(warnings if warnings is not None else []).append,
        wall=lambda: 0.0,
    )


def test_directives_come_in_the_order_of_execution_whatever_the_file_says() -> None:
    block = _block("forward . 10.0.0.1\nlog a\ncache\nerrors\nlog b")

    assert [[d.tokens for d in group] for group in registry.groups(block)] == [
        [("errors",)],
        [("log", "a"), ("log", "b")],
        [("cache",)],
        [("forward", ".", "10.0.0.1")],
    ]


def test_unknown_directives_are_refused_with_their_place() -> None:
    with pytest.raises(CorefileError) as caught:
        list(registry.groups(_block("log\nnope")))

    assert str(caught.value) == "Corefile:3 - Error during parsing: Unknown directive 'nope'"


@pytest.mark.usefixtures("modules")
def test_plugins_are_set_up_from_the_modules_of_their_names() -> None:
    chain = finish(registry.build(_block("nomad\nazure\nnomad\n"), _context()))

    assert [(plugin.name, plugin.count) for plugin in chain] == [("azure", 1), ("nomad", 2)]  # type: ignore[attr-defined]  # the plugin above


@pytest.mark.usefixtures("modules")
def test_a_plugin_may_stay_out_of_the_chain() -> None:
    assert finish(registry.build(_block("nomad none"), _context())) == ()


@pytest.mark.usefixtures("modules")
def test_a_file_that_is_missing_is_the_directives_fault() -> None:
    with pytest.raises(CorefileError) as caught:
        finish(registry.build(_block("\nnomad file"), _context()))

    assert str(caught.value).startswith("Corefile:3 - plugin/nomad: open ")


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize("word", ["bug", "late"])
def test_a_bug_in_a_set_up_fails_a_reload_and_not_the_server(word: str) -> None:
    with pytest.raises(CorefileError) as caught:
        finish(registry.build(_block(f"nomad {word}"), _context()))

    text = str(caught.value)
    assert text.startswith("Corefile:2 - plugin/nomad: a bug in svcdns: KeyError ('key') at /")
    assert "nomad.py:" in text


@pytest.mark.usefixtures("modules")
def test_support_is_whether_there_is_a_module_with_a_set_up() -> None:
    assert registry.support_of("nomad") is Support.SUPPORTED
    assert registry.support_of("sign") is Support.REFUSED
    assert registry.find_setup("order") is None, "a module that is no plugin"


def test_without_a_module_the_entry_decides() -> None:
    assert registry.support_of("nomad") is Support.REFUSED
    assert registry.support_of("pprof") is Support.ACCEPTED
    assert registry.find_setup("pprof") is None


@pytest.mark.parametrize(
    "name", [name for name in NAMES if registry.support_of(name) is Support.REFUSED]
)
def test_a_refused_plugin_says_why_at_its_place(name: str) -> None:
    with pytest.raises(CorefileError, match=rf"^Corefile:2 - plugin/{name}: \w"):
        finish(registry.build(_block(name), _context()))


@pytest.mark.parametrize(
    "name", [name for name in NAMES if registry.support_of(name) is Support.ACCEPTED]
)
def test_an_accepted_plugin_warns_once_and_is_not_in_the_chain(name: str) -> None:
    warnings: list[str] = []

    assert finish(registry.build(_block(f"{name} x\n{name} y"), _context(warnings))) == ()
    (warning,) = warnings
    assert warning.startswith(f"Corefile:2 - {name} has no effect: ")


@pytest.mark.parametrize(
    "text",
    [
        "any thing",
        "local host",
        "erratic x",
        "header x {\n response set aa\n}",
        "bufsize 1232 {\n x\n}",
        "chaos v {\n x\n}",
        "multisocket 1 {\n x\n}",
        "dns64 64:ff9b::/96 {\n translate_all\n}",
        "reload 30s {\n jitter 5s\n}",
        "cache {\n success 10 20 5 x\n}",
        "cache {\n denial 10 20 5 x\n}",
        "k8s_external a {\n ttl 5 x\n}",
        "k8s_external a {\n apex dns x\n}",
        "hosts {\n ttl 5 x\n}",
        "auto {\n directory /\n reload 5s x\n}",
        "file /none {\n reload 5s x\n}",
        "kubernetes a {\n ttl 5 x\n}",
        "kubernetes a {\n ignore empty_service x\n}",
    ],
)
def test_what_the_set_ups_of_coredns_do_not_look_at_has_a_warning(text: str) -> None:
    warnings: list[str] = []
    context = replace(_context(warnings), clusters=Clusters(lambda: 0.0))
    finish(registry.build(_block(text), context))

    assert [line for line in warnings if line.endswith("has no effect")] != []


@pytest.mark.parametrize("text", ["log", "acl", "any", "header {\n set aa\n}", "loadbalance"])
def test_a_brace_on_a_line_of_its_own_keeps_few_plugins_from_starting(text: str) -> None:
    block = _block(f"{text}\n{{\n a b\n}}")

    assert len(finish(registry.build(block, _context()))) == 1


@pytest.mark.parametrize("text", ["cache", "errors", "hosts", "kubernetes a", "ready", "loop"])
def test_it_keeps_those_that_may_be_there_once(text: str) -> None:
    with pytest.raises(CorefileError, match="can only be used once"):
        finish(registry.build(_block(f"{text}\n{{\n a b\n}}"), _context()))
