"""What the operator's pages name exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / name for name in ("swap-in.md", "operations.md")]
SOURCES = "\n".join(path.read_text() for path in (ROOT / "svcdns").rglob("*.py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = set(re.findall(r"\b((?:deploy|tests|config)/[\w./-]*\w)", page.read_text()))

    assert named or page.name == "operations.md"
    assert [one for one in sorted(named) if not (ROOT / one).exists()] == []


def test_metrics_that_are_explained_exist() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    named = set(re.findall(r"`((?:coredns|svcdns|kubeproxy)_[a-z_]+)", text))

    def known(name: str) -> bool:
        short = re.sub(r"^(coredns_kubernetes_|kubeproxy_)", "", name)
        return name in SOURCES or short in SOURCES

    assert len(named) > 10
    assert [one for one in sorted(named) if not known(one)] == []


def test_log_lines_that_are_explained_exist() -> None:
    """Each line's longest piece of fixed words stands in the code."""
    text = (ROOT / "docs" / "operations.md").read_text()
    section = text.partition("## Log lines")[2].partition("## Size")[0]
    lines = [
        line
        for row in re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
        for line in re.findall(r"`([^`]+)`", row)
    ]
    missing = []
    for line in lines:
        pieces = re.split(
            r"(?: at)? URL|the Kubernetes API|TABLE|…|: |\d[\d.]*|plugin/\w+|; |, |\bservices\b|\[",
            line,
        )
        longest = max((piece.strip() for piece in pieces), key=len)
        if longest not in SOURCES:
            missing.append(longest)

    assert len(lines) > 8
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_flags_of_ours_that_a_page_names_exist(page: Path) -> None:
    words = re.findall(r"svcdns (?:explain|proxy|dns|check)\b[^`\n]*", page.read_text())
    flags = {flag for text in words for flag in re.findall(r"(?<=\s)--?([a-z][\w.-]+)", text)}

    assert [one for one in sorted(flags) if f'"{one}"' not in SOURCES and f'"--{one}"' not in SOURCES] == []  # fmt: skip
