"""What is read as a template, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svcdns.plugins.templatesyntax import Text, parse


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{", "unclosed action"),
        ("{{ .Name", "unclosed action"),
        ("{{}}", "missing value"),
        ("{{ if .Name }}", "without {{end}}"),
        ("{{ end }}", "unexpected {{end}}"),
        ("{{ else }}", "unexpected {{else}}"),
        ("{{ if .A }}{{ else }}{{ else }}{{ end }}", "without {{end}}"),
        ("{{ range .A }}{{ else if .B }}{{ end }}", "unexpected 'else if .B'"),
        ("{{ if }}{{ end }}", "missing value for if"),
        ("{{ nope }}", 'function "nope" not defined'),
        ("{{ $x }}", 'undefined variable "$x"'),
        ("{{ if $x := .A }}{{ end }}{{ $x }}", 'undefined variable "$x"'),
        ("{{ $x = 1 }}", 'undefined variable "$x"'),
        ("{{ (index .A 1 }}", "unclosed left parenthesis"),
        ("{{ index .A 1) }}", "unexpected ')'"),
        ("{{ .A | }}", "missing value"),
        ("{{ .A | 1 }}", "a constant cannot take"),
        ("{{ 1a }}", "unexpected"),
        ('{{ "\\q" }}', "bad escape"),
        ("{{ 'ab' }}", "malformed character"),
        ("{{ .A ; }}", "unexpected"),
        ('{{ define "x" }}', "unexpected {{EOF}} in template 'x'"),
        ('{{ define "x" }}{{ else }}{{ end }}', "unexpected {{else}} in template 'x'"),
        ('{{ define "x" . }}{{ end }}', "unexpected '.'"),
        ("{{ define }}{{ end }}", "missing name in define"),
        ("{{ define x }}{{ end }}", "missing name in define"),
        ('{{ if .A }}{{ define "x" }}{{ end }}{{ end }}', "unexpected {{define}}"),
        ("{{ template . }}", "missing name in template"),
        ('{{ block "x" }}{{ end }}', "missing value for block"),
        ('{{ $x := 1 }}{{ define "y" }}{{ $x }}{{ end }}', 'undefined variable "$x"'),
        ("{{ break }}", "{{break}} outside {{range}}"),
        ("{{ if .A }}{{ continue }}{{ end }}", "{{continue}} outside {{range}}"),
        ("{{ range .A }}{{ else }}{{ break }}{{ end }}", "{{break}} outside {{range}}"),
        ('{{ range .A }}{{ block "x" . }}{{ break }}{{ end }}{{ end }}', "outside {{range}}"),
        ("{{ range .A }}{{ break 1 }}{{ end }}", "unexpected '1' in break"),
        ("{{ end x }}", "unexpected"),
    ],
)
def test_errors_are_found_when_reading(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse(source)

    assert message in str(caught.value)


@given(st.text(alphabet="{}-. $ab\"|()if endrangelsw/*:=,1`'okcutmp", max_size=40))
def test_any_text_is_read_or_refused(source: str) -> None:
    try:
        parse(source)
    except ValueError:
        pass


@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_actions_stays_as_it_is(source: str) -> None:
    assert parse(source).nodes == ((Text(source),) if source else ())
