"""The page of what svcdns does with each plugin."""

import re

import pytest

from svcdns.plugins.compatibility import differences, render
from svcdns.plugins.order import NAMES, Support
from svcdns.plugins.registry import support_of

PAGE = render()
PLUGINS = PAGE.partition("## The answers")[0]
ROWS = [line.split(" | ") for line in PLUGINS.splitlines() if re.match(r"\| \d+ \|", line)]


def test_there_is_a_row_for_every_plugin_in_order() -> None:
    assert [row[1].strip("`") for row in ROWS] == list(NAMES)


@pytest.mark.parametrize("row", ROWS, ids=[row[1] for row in ROWS])
def test_a_row_says_what_will_happen(row: list[str]) -> None:
    name, support, remark = row[1].strip("`"), row[3], row[4]

    assert support == support_of(name)
    assert support == Support.SUPPORTED or len(remark) > len("|")
    assert remark.startswith("[differs]") == (f"\n### {name}\n" in PAGE)


@pytest.mark.parametrize(
    ("text", "section"),
    [
        ("A.\n\nDifferences\n-----------\nOne.\n\nTwo.\n\nParity: x\n", "One.\n\nTwo."),
        ("A.\n\nDifferences\n-----------\n* One.\n\nMetrics\n-------\nB.\n", "* One."),
        ("Differences\n-----------\nOne.", "One."),
        ("A.\n", ""),
    ],
)
def test_the_section_of_a_docstring_is_found(text: str, section: str) -> None:
    assert differences(text) == section
