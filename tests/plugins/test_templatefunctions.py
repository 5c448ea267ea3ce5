"""Functions of templates; the expected values are those of Go's documentation of fmt and template."""

import pytest

from svcdns.plugins.templatefunctions import FUNCTIONS, MISSING, printf, text

CALLS: list[tuple[str, tuple[object, ...], object]] = [
    ("index", (("a", "b"), 1), "b"),
    ("index", ({"a": "x"}, "a"), "x"),
    ("index", ({"a": "x"}, "b"), ""),
    ("index", ("ab", 1), 98),
    ("slice", ("abcd", 1, 3), "bc"),
    ("slice", ("abcd", 2), "cd"),
    ("slice", (("a", "b"),), ("a", "b")),
    ("len", ("añ",), 3),
    ("len", ((),), 0),
    ("eq", (1, 2, 1), True),
    ("eq", ("a", "b"), False),
    ("ne", ("a", "b"), True),
    ("lt", (1, 2), True),
    ("ge", ("b", "a"), True),
    ("not", ("",), True),
    ("and", (1, "", 2), ""),
    ("or", ("", 0, "x"), "x"),
    ("print", ("a", 1, 2, "b"), "a1 2b"),
    ("println", ("a", 1), "a 1\n"),
    ("html", ("<a href='x\0'>", 1), "&lt;a href=&#39;x\ufffd&#39;&gt;1"),
    ("js", ("it's \"<>&=\"\\\n",), "it\\'s \\\"\\u003C\\u003E\\u0026\\u003D\\\"\\\\\\u000A"),
    ("urlquery", ("a b&c~", 1), "a+b%26c~1"),
    ("parseInt", ("ff", 16, 8), 255),
    ("parseInt", ("0x1f", 0, 64), 31),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "value"), CALLS)
def test_functions(name: str, arguments: tuple[object, ...], value: object) -> None:
    assert FUNCTIONS[name](*arguments) == value


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("index", (("a",), 1), "out of range"),
        ("index", (("a",), -1), "out of range"),
        ("index", (1, 1), "cannot index int"),
        ("slice", ("abc", 2, 1), "out of range"),
        ("call", ("x", 1), "non-function of type string"),
        ("slice", (1,), "cannot slice"),
        ("len", (1,), "len of type int"),
        ("eq", (1,), "missing argument"),
        ("eq", (1, "1"), "incompatible types"),
        ("lt", (1, "1"), "incompatible types"),
        ("parseInt", ("100", 16, 8), "value out of range"),
        ("parseInt", ("-1", 10, 8), "invalid syntax"),
        ("parseInt", ("1_0", 10, 8), "invalid syntax"),
        ("parseInt", (1, 10, 8), "expected string"),
        ("parseInt", ("1", "10", 8), "expected integer"),
    ],
)
def test_what_go_refuses_is_refused(name: str, arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FUNCTIONS[name](*arguments)


@pytest.mark.parametrize(
    ("form", "values", "written"),
    [
        ("%s-%d", ("a", 7), "a-7"),
        ("%03d|%-4d|%4d|%+d", (7, 7, 7, 7), "007|7   |   7|+7"),
        ("%x %X %#x %o %b", (255, 255, 255, 8, 5), "ff FF 0xff 10 101"),
        ("%x", ("ab",), "6162"),
        ("%q %v %c %t", ('a"b', 1.5, 65, True), '"a\\"b" 1.5 A true'),
        ("%.2f %.2s", (1.234, "abc"), "1.23 ab"),
        ("%d", ("a",), "%!d(string=a)"),
        ("%d %d", (1,), "1 %!d(MISSING)"),
        ("%d", (1, 2), "1%!(EXTRA int=2)"),
        ("100%%", (), "100%"),
        ("%03d", (-7,), "-07"),
    ],
)
def test_printf(form: str, values: tuple[object, ...], written: str) -> None:
    assert printf(form, *values) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [("a", "a"), (True, "true"), (None, "<nil>"), (MISSING, "<no value>"), (("a", "b"), "[a b]"),
     ({"b": "1", "a": "2"}, "map[a:2 b:1]"), (0.5, "0.5"), (3, "3")],
)  # fmt: skip
def test_values_are_printed_as_go_prints_them(value: object, written: str) -> None:
    assert text(value) == written
