"""One zone, one listener, one block (corefile-features a)."""

import pytest

from svcdns.corefile.overlap import check_overlap, listeners
from svcdns.corefile.parser import parse
from svcdns.corefile.syntax import ServerBlock
from svcdns.errors import CorefileError


def _parse(text: str) -> tuple[ServerBlock, ...]:
    return parse(text, "Corefile", {}, lambda *_: None, lambda _: None)


@pytest.mark.parametrize(
    "text",
    [
        ". {\n}\na {\n}",
        ". {\n}\n.:54 {\n}",
        ". {\n}\ntls://. {\n}",
        ". {\nbind 127.0.0.1\n}\n. {\nbind 127.0.0.2\n}",
        "a {\nbind 127.0.0.1\n}\nb {\n}",
        ". {\nview a {\nexpr true\n}\n}\n. {\n}",
        ". {\nview a\n}\n. {\nview b\n}\n. {\n}",
        ". {\nbind 127.0.0.1 127.0.0.1\n}",
    ],
)
def test_blocks_may_share_what_they_do_not_both_claim(text: str) -> None:
    check_overlap(_parse(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (". {\n}\n. {\n}", "Corefile:3 - cannot serve dns://.:53 - it is already defined"),
        ("X.org {\n}\nx.ORG.:53 {\n}", "Corefile:3 - cannot serve dns://x.org.:53 - it is already defined"),
        (". . {\n}", "Corefile:1 - cannot serve dns://.:53 - it is already defined"),
        (". {\n}\n. {\nview a\n}", "Corefile:3 - cannot serve dns://.:53 - it is already defined"),
        (". {\nbind ::1\n}\n. {\nbind lo ::1\n}", "Corefile:4 - cannot serve dns://.:53 on ::1 - it is already defined"),
        (". {\nbind 10.0.0.1\n}\n. {\n}", "Corefile:4 - cannot serve dns://.:53 - zone overlap listener capacity with dns://.:53 on 10.0.0.1"),
        (". {\n}\n. {\nbind 10.0.0.1\n}", "Corefile:3 - cannot serve dns://.:53 on 10.0.0.1 - zone overlap listener capacity with dns://.:53"),
        ("10.0.0.0/8 {\n}\n10.in-addr.arpa {\n}", "Corefile:3 - cannot serve dns://10.in-addr.arpa.:53 - it is already defined"),
    ],
)  # fmt: skip
def test_what_two_blocks_claim_is_refused(text: str, message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        check_overlap(_parse(text))

    assert str(caught.value) == message


def test_listeners_come_from_keys_and_bind() -> None:
    (block,) = _parse("a b tls://c:8853 {\nbind 127.0.0.1\nbind ::1 127.0.0.1\n}")

    assert [str(listener) for listener in listeners(block)] == [
        "dns://127.0.0.1:53",
        "dns://[::1]:53",
        "tls://127.0.0.1:8853",
        "tls://[::1]:8853",
    ]


def test_without_bind_a_block_listens_on_all_addresses() -> None:
    assert [str(listener) for listener in listeners(_parse(".:1053 {\n}")[0])] == ["dns://:1053"]
