"""YAML and JSON text as plain values that know their lines."""

import pytest

from svcdns.errors import ManifestError
from svcdns.kube.documents import MAX_DEPTH, MAX_OCTETS, parse, resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("80", 80),
        ("-3", -3),
        ("+3", 3),
        ("0777", 0o777),
        ("0o17", 0o17),
        ("0x1f", 31),
        ("0b11", 3),
        ("1_000", 1000),
        ("089", 89.0),
        ("1.10", 1.1),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("no", False),
        ("On", True),
        ("YES", True),
        ("true", True),
        ("y", "y"),
        ("n", "n"),
        ("nO", "nO"),
        ("12:30:45", "12:30:45"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02", "2026-01-02"),
        ("10.0.0.1", "10.0.0.1"),
        ("1.2.3", "1.2.3"),
        ("0x", "0x"),
        ("", None),
        ("~", None),
        ("Null", None),
        ("-", "-"),
        ("_", "_"),
        ("9" * 30, float("9" * 30)),
    ],
)
def test_a_plain_scalar_means_what_it_means_to_kubectl(text: str, value: object) -> None:
    found = resolve(text)

    assert found == value
    assert type(found) is type(value)


def test_documents_know_their_lines_and_empty_ones_are_left_out() -> None:
    found = parse(b"# note\n---\na: 1\nb:\n- x\n- y: 2\n---\n---\n# nothing\n---\nc: 3\n", "f")

    assert [document.value for document in found] == [{"a": 1, "b": ["x", {"y": 2}]}, {"c": 3}]
    assert [document.line for document in found] == [3, 11]
    assert found[0].line_of(("b", 1, "y")) == 6
    assert found[0].line_of(("b", 7, "nowhere")) == 4


def test_an_object_inside_a_document_keeps_its_line() -> None:
    (document,) = parse(b"items:\n- a: 1\n-\n  a: 2\n  b: yes\n  b: 3\n", "f")

    second = document.item(("items", 1), {"a": 2})

    assert second.line == 4
    assert second.line_of(("a",)) == 4
    assert second.line_of(("missing",)) == 4
    assert second.duplicates == ((("items", 1, "b"), 6),)


def test_quoted_and_tagged_scalars_are_text() -> None:
    (document,) = parse(b"a: 'no'\nb: \"1\"\nc: !!str 2\nd: |\n  3\ne: ! 4\nf: no\n", "f")

    assert document.value == {"a": "no", "b": "1", "c": "2", "d": "3\n", "e": "4", "f": False}
    assert document.plain_text(("f",)) == "no"
    assert document.plain_text(("a",)) is None


def test_aliases_and_merge_keys_work_as_in_kubectl() -> None:
    text = b"base: &b {x: 1, y: 2}\nmade: {<<: *b, y: 3}\nlist: {<<: [*b, {z: 4}]}\nsame: *b\n"

    (document,) = parse(text, "f")

    assert document.value == {
        "base": {"x": 1, "y": 2},
        "made": {"x": 1, "y": 3},
        "list": {"x": 1, "y": 2, "z": 4},
        "same": {"x": 1, "y": 2},
    }
    assert document.duplicates == ()


def test_json_is_read_with_its_escapes_and_tabs() -> None:
    text = b'{\n\t"kind": "List",\n\t"emoji": "\\ud83d\\ude00 \\/ \\u00e9"\n}'

    (document,) = parse(text, "x.json")

    assert document.value == {"kind": "List", "emoji": "😀 / é"}
    assert document.line_of(("emoji",)) == 3


def test_a_byte_order_mark_does_no_harm() -> None:
    assert parse(b"\xef\xbb\xbfa: 1\n", "f")[0].value == {"a": 1}


BOMB = b"a0: &a0 [1, 1]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 12)
)
TOWER = b"a0: &a0 [1]\n" + b"".join(
    b"a%d: &a%d %s*a%d%s\n" % (n, n, b"[" * 40, n - 1, b"]" * 40) for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (b"a: b\n c: d\n", 2, "mapping values are not allowed"),
        (b"a:\n\t- b\n", 2, "cannot start any token"),
        (b"a: [1,\n", 2, "did not find"),
        (b"a: *x\n", 1, "anchor 'x' is not defined"),
        (b"a: &a [*a]\n", 1, "anchor 'a' contains itself"),
        (b"a: 1\n---\nb: *a\n", 3, "anchor 'a' is not defined"),
        (b"a: !python/object:os.system x\n", 1, "is not known in manifests"),
        (b"a: 1\nb: !ruby x\n", 2, "'!ruby' is not known in manifests"),
        (b"? [a]\n: 1\n", 1, "a key must be text"),
        (b"a: {<<: 3}\n", 1, "'<<' takes a mapping"),
        (b"a: 1\nb: \xff\n", 2, "not UTF-8"),
        (b"a: 1\nb: \x00\n", 2, "control characters"),
        (b"[" * 100_000, 1, f"nested deeper than {MAX_DEPTH}"),
        (TOWER, 4, f"nested deeper than {MAX_DEPTH}"),
        (BOMB, 7, "more than 1,000,000 values"),
        (b"#" * (MAX_OCTETS + 1), 1, "larger than 16 MiB"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(
    content: bytes, line: int, reason: str
) -> None:
    with pytest.raises(ManifestError, match=r".") as caught:
        parse(content, "f.yaml")

    assert reason in caught.value.message
    assert caught.value.line == line
    assert str(caught.value).startswith(f"f.yaml:{line}: ")


def test_every_truncation_is_read_or_refused() -> None:
    text = b"a: &x {b: ['c', \"d\"], e: |\n  f\n}\n---\n- *x\n- !!int '3'\n- 0x1f # \xc3\xa9\n"
    lines = []
    for size in range(len(text)):
        try:
            lines += [document.line for document in parse(text[:size], "f")]
        except ManifestError as error:
            lines.append(error.line)
    assert set(lines) <= set(range(1, 9))
    assert len(lines) >= len(text) - 1
