"""Every Corefile that the repository shows people is one."""

import inspect
from importlib import import_module
from pathlib import Path

import pytest

from svcdns.plugins.order import NAMES, Support
from svcdns.plugins.registry import support_of
from tests.support.corefiles import files, in_docstring, in_markdown, obstacle, problem
from tests.support.stock import STOCK

ROOT = Path(__file__).parents[2]

PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "config").rglob("*.md")]
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_corefiles_in_documents_are_read(page: Path) -> None:
    assert [found for text in in_markdown(page.read_text()) if (found := problem(text))] == []


@pytest.mark.parametrize(
    "file", files(ROOT / "config"), ids=lambda file: str(file.relative_to(ROOT))
)
def test_corefiles_in_config_are_read(file: Path) -> None:
    assert problem(file.read_text()) is None


@pytest.mark.parametrize("name", [name for name in NAMES if support_of(name) is Support.SUPPORTED])
def test_every_plugin_documents_itself_with_an_example_that_is_read(name: str) -> None:
    text = inspect.getdoc(import_module(f"svcdns.plugins.{name}")) or ""

    assert "\nSyntax\n------\n" in text
    examples = in_docstring(text)
    assert examples
    assert [found for example in examples if (found := problem(example))] == []


@pytest.mark.parametrize("text", STOCK.values(), ids=STOCK)
def test_a_server_starts_with_the_corefiles_that_distributions_install(text: str) -> None:
    assert obstacle(text) is None


@pytest.mark.parametrize(
    "file", files(ROOT / "config"), ids=lambda file: str(file.relative_to(ROOT))
)
def test_a_server_starts_with_the_corefiles_in_config(file: Path) -> None:
    assert obstacle(file.read_text()) is None


def test_what_a_server_does_not_start_with_is_found() -> None:
    assert obstacle(". {\n    acl {\n        deny\n    }\n}\n") is not None


def test_there_are_corefiles_to_copy() -> None:
    assert files(ROOT / "config" / "corefiles")


BAD = "```corefile\n. {\n    rewirte name a b\n}\n```\n"


@pytest.mark.parametrize(
    ("page", "problems"),
    [
        (BAD, ["Corefile:2 - Error during parsing: Unknown directive 'rewirte'"]),
        (BAD.replace("corefile", "Corefile"), ["Corefile:2 - Error during parsing: Unknown directive 'rewirte'"]),
        (BAD.replace("corefile", ""), ["Corefile:2 - Error during parsing: Unknown directive 'rewirte'"]),
        (BAD.replace("corefile", "sh"), []),
        ("```\n. {\n}\n. {\n}\n```\n", ["Corefile:3 - cannot serve dns://.:53 - it is already defined"]),
        ("```corefile\n\n```\n", ["no server block"]),
    ],
)  # fmt: skip
def test_a_bad_corefile_in_a_document_is_found(page: str, problems: list[str]) -> None:
    assert [problem(text) for text in in_markdown(page)] == problems


def test_a_bad_example_in_a_docstring_is_found() -> None:
    text = "X.\n\nExamples:\n--------\n::\n\n    . {\n        nope\n    }\n\nMore::\n\n    a {\n    }\n\nParity: x\n"

    assert [problem(example) for example in in_docstring(text)] == [
        "Corefile:2 - Error during parsing: Unknown directive 'nope'",
        None,
    ]
