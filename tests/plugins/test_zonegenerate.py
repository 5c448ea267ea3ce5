import pytest

from svcdns.plugins.zonegenerate import MAX_NUMBERS, generate

ROWS = [
    ("1-3 h$ A 10.0.0.$", ["h1 A 10.0.0.1", "h2 A 10.0.0.2", "h3 A 10.0.0.3"]),
    ("  0-4/2\th$ 5 IN MX 10 m$ ", ["h0 5 IN MX 10 m0", "h2 5 IN MX 10 m2", "h4 5 IN MX 10 m4"]),
    ('7-7 h TXT "a $ b;" c$', ['h TXT "a 7 b;" c7']),
    ("7-7 h$$ TXT \\$ a\\.b", ["h$ TXT $ a\\.b"]),
    ("7-7 ${1} A 10.0.0.${-7}", ["8 A 10.0.0.0"]),
    ("10-11 ${0,3} A ${0,4,x} ${0,0,X} ${0,2,o}", ["010 A 000a A 12", "011 A 000b B 13"]),
    ("5-6/9 h$", ["h5"]),
]


@pytest.mark.parametrize(("text", "lines"), ROWS)
def test_the_number_goes_where_the_dollar_is(text: str, lines: list[str]) -> None:
    assert list(generate(text)) == [line + "\n" for line in lines]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "START-STOP"),
        ("1-2", "START-STOP"),
        ("1 h$ A 10.0.0.1", "bad range"),
        ("2-1 h$ A 10.0.0.1", "bad range"),
        ("1-2/0 h$ A 10.0.0.1", "bad range"),
        ("-1-2 h$ A 10.0.0.1", "bad range"),
        (f"0-{MAX_NUMBERS} h$ A 10.0.0.1", "more than 65,536 numbers"),
        (f"0-{2**31} h$ A 10.0.0.1", "bad range"),
        ("1-2 ${", "bad modifier"),
        ("1-2 ${1", "bad modifier"),
        ("1-2 ${}", "bad modifier"),
        ("1-2 ${1,2,3,4}", "bad modifier"),
        ("1-2 ${0,1,n}", "bad modifier"),
        ("1-2 ${0,x}", "bad modifier"),
        ("1-2 ${0,256}", "bad width"),
        ("1-2 ${0,-1}", "bad width"),
        ("1-2 ${-2}", "bad offset"),
        ("1-2 ${2147483647}", "bad offset"),
    ],
)
def test_what_cannot_be_understood_is_said(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(generate(text))


def test_as_many_records_as_a_directive_may_make() -> None:
    assert sum(1 for _ in generate(f"1-{MAX_NUMBERS} h$ A 10.0.0.1")) == MAX_NUMBERS
