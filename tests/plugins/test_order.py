"""The order of plugin.cfg (corefile-features b)."""

import pytest

from svcdns.plugins.order import BY_NAME, ENTRIES, NAMES, Support


def test_all_plugins_are_there_once() -> None:
    assert len(ENTRIES) == len(BY_NAME) == 60
    assert len(set(NAMES)) == 60


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("metadata", "log"),
        ("errors", "log"),
        ("log", "cache"),
        ("rewrite", "autopath"),
        ("autopath", "cache"),
        ("acl", "cache"),
        ("loadbalance", "cache"),
        ("cache", "header"),
        ("cache", "template"),
        ("template", "hosts"),
        ("hosts", "kubernetes"),
        ("k8s_external", "kubernetes"),
        ("kubernetes", "file"),
        ("file", "etcd"),
        ("loop", "forward"),
        ("forward", "whoami"),
    ],
)
def test_what_a_query_meets_first(first: str, then: str) -> None:
    assert NAMES.index(first) < NAMES.index(then)


def test_every_entry_says_what_it_does_and_why_it_is_not_there() -> None:
    for entry in ENTRIES:
        assert entry.note
        assert entry.why
        assert entry.without is not Support.SUPPORTED
