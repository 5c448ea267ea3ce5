"""Templates carried out."""

import pytest

from svcdns.plugins.templatetext import Fieldset, Template

DATA = Fieldset(
    Name="ip-10-0.example.",
    Empty="",
    Match=("whole", "one", "two"),
    Group={"a": "10", "b": "0"},
    Question=Fieldset(Name="IP.example."),
    Meta=lambda name: {"p/x": "y"}.get(name, ""),
)

ROWS = [
    ("{{ .Name }} 60", "ip-10-0.example. 60"),
    ("{{.Name}}", "ip-10-0.example."),
    ("a {{- .Name -}} b", "aip-10-0.example.b"),
    ("a {{/* why */}} b {{- /* why */ -}} c", "a  bc"),
    ("{{ .Group.a }}.{{ .Group.none }}", "10.<no value>"),
    ("{{ index .Match 1 }}", "one"),
    ("{{ index .Group \"a\" }}", "10"),
    ("{{ .Question.Name }}", "IP.example."),
    ("{{ .Meta \"p/x\" }}{{ .Meta \"p/y\" }}", "y"),
    ("{{ if .Empty }}a{{ else if eq .Group.a \"10\" }}b{{ else }}c{{ end }}", "b"),
    ("{{ if and .Name (not .Empty) }}a{{ end }}", "a"),
    ("{{ if or .Empty .Nope }}a{{ end }}", None),
    ("{{ if or .Name .Nope }}short{{ end }}", "short"),
    ("{{ if and .Empty .Nope }}a{{ end }}", ""),
    ("{{ range .Match }}[{{ . }}]{{ end }}", "[whole][one][two]"),
    ("{{ range $i, $m := .Match }}{{ $i }}{{ $m }} {{ end }}", "0whole 1one 2two "),
    ("{{ range $k, $v := .Group }}{{ $k }}={{ $v }};{{ end }}", "a=10;b=0;"),
    ("{{ range .Empty2 }}{{ else }}none{{ end }}", None),
    ("{{ with .Group }}{{ .a }}{{ $.Name }}{{ end }}", "10ip-10-0.example."),
    ("{{ with .Empty }}x{{ else }}y{{ end }}", "y"),
    ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"),
    ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ end }}{{ $x }}", "1"),
    ("{{ .Group.a | printf \"%s-%s\" \"x\" }}", "x-10"),
    ("{{ parseInt .Group.a 16 8 }}", "16"),
    ("{{ (index .Match 1) | len }}", "3"),
    ("{{ printf \"%q\" `raw` }}", '"raw"'),
    ("{{ print 'a' 0x10 1.5 nil }}", "97 16 1.5 <nil>"),
    ("{{ slice .Name 0 2 }}", "ip"),
    ("{{ \"a\\tb\\u00e9\" }}", "a\tbé"),
    ("{{ \"}}\" }}", "}}"),
    ("{{ range .Match }}{{ if eq . \"one\" }}{{ continue }}{{ end }}{{ . }}{{ end }}", "wholetwo"),
    ("{{ range .Match }}{{ if eq . \"two\" }}{{ break }}{{ end }}{{ . }}{{ end }}!", "wholeone!"),
    ("{{ range .Match }}{{ range $.Match }}{{ break }}{{ end }}x{{ end }}", "xxx"),
    ("{{ range .Match }}{{ with . }}{{ break }}{{ end }}x{{ end }}", ""),
    ('{{ define "t" }}<{{ . }}>{{ end }}{{ template "t" .Name }}', "<ip-10-0.example.>"),
    ('{{ template "t" . }}{{ define `t` }}{{ .Name }}{{ end }}', "ip-10-0.example."),
    ('{{ define "t" }}[{{ . }}]{{ end }}{{ template "t" }}', "[<nil>]"),
    ('{{ define "t" }}{{ $.a }}{{ end }}{{ template "t" .Group }}{{ $.Empty }}', "10"),
    ('{{ block "t" .Group }}{{ .b }}{{ end }}{{ template "t" .Group }}', "00"),
    ('{{ $x := 1 }}{{ block "t" 2 }}{{ $x := . }}{{ $x }}{{ end }}{{ $x }}', "21"),
    ('{{ range .Match }}{{ template "t" . }}{{ end }}{{ define "t" }}{{ range $i, $x := "" | len }}{{ break }}{{ end }}.{{ end }}', "..."),
    ('{{ define "t" }}{{ if . }}{{ len . }}{{ template "t" (slice . 1) }}{{ end }}{{ end }}{{ template "t" "abc" }}', "321"),
    ('{{ define "t" }}{{ template "t" }}{{ end }}{{ template "t" }}', None),
    ('{{ template "nope" . }}', None),
    ('{{ html "<a&\'\\\"" }}', "&lt;a&amp;&#39;&#34;"),
    ("{{ call .Name }}", None),
    ("{{ index .Match 9 }}", None),
    ("{{ .Nope }}", None),
    ("{{ .Name.Nope }}", None),
    ("{{ .Name 1 }}", None),
    ("{{ 1 2 }}", None),
    ("{{ len }}", None),
    ("{{ .Meta }}", None),
    ("{{ range 100000 }}x{{ end }}", None),
]  # fmt: skip


@pytest.mark.parametrize(("source", "written"), ROWS)
def test_templates(source: str, written: str | None) -> None:
    template = Template(source)
    if written is None:
        with pytest.raises(ValueError, match=r"."):
            template.render(DATA)
    else:
        assert template.render(DATA) == written


def test_a_template_knows_what_it_asks_for() -> None:
    source = "{{ .Name }}{{ if $.Remote }}{{ (index .Match 1) }}{{ end }}{{ with .Group }}{{ . }}{{ end }}"

    assert Template(source).names == {"Name", "Remote", "Match", "Group", "."}


def test_a_template_asks_for_what_the_templates_ask_for_that_it_defines() -> None:
    source = (
        '{{ define "t" }}{{ .Remote }}{{ end }}{{ template "t" $ }}{{ block "u" .Name }}{{ end }}'
    )

    assert Template(source).names == {"Remote", ".", "Name"}
