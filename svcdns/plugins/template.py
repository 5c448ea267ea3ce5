r"""Answers made from the question.

Name
----
*template*: writes answers with templates of Go, which see the question and what a regular
expression finds in its name.

Syntax
------
::

    template CLASS TYPE [ZONE...] {
        match REGEX...
        answer RR...
        additional RR...
        authority RR...
        rcode CODE
        ederror CODE [REASON]
        fallthrough [ZONES...]
    }

CLASS and TYPE may be ``ANY``.  A question of the zones, class and type whose name matches no
REGEX goes on to the next template, or the next plugin, when it falls through; otherwise it gets
SERVFAIL.  Templates know ``.Zone``, ``.Name``, ``.Class``, ``.Type``, ``.Match``, ``.Group``,
``.Question``, ``.Message``, ``.Remote``, ``.Meta "plugin/label"`` and ``parseInt``.

Examples:
--------
::

    . {
        template IN A example {
            match (^|[.])ip-(?P<a>[0-9]+)-(?P<b>[0-9]+)-(?P<c>[0-9]+)-(?P<d>[0-9]+)[.]example[.]$
            answer "{{ .Name }} 60 IN A {{ .Group.a }}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
            fallthrough
        }
        template ANY AAAA {
            rcode NOERROR
        }
        forward . /etc/resolv.conf
    }

Metrics
-------
``coredns_template_matches_total`` {server, zone, view, class, type};
``coredns_template_template_failures_total`` and ``coredns_template_rr_failures_total``
{server, zone, view, class, type, section, template}.

Differences
-----------
* A template that comes out empty adds no record.
* ``.Message`` has ID, opcode, flags and question.
* The options ``var`` and ``expr`` of CoreDNS 1.14 are refused.

Parity: CoreDNS ``plugin/template``.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from svcdns.corefile.fallthrough import Fallthrough
from svcdns.corefile.options import Line, each
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import (
    AD,
    CD,
    RD,
    Rcode,
    RRClass,
    RRType,
    class_number,
    class_text,
    rcode_number,
    type_number,
    type_text,
)
from svcdns.dns.message import EXTENDED_ERROR
from svcdns.dns.name import is_subdomain, to_text
from svcdns.dns.query import Query
from svcdns.dns.response import Record, Response
from svcdns.dns.text import record_from_text
from svcdns.metrics import Family
from svcdns.plugins.base import Context, Failed, Handler, Need, Outcome, Reply, Request, Storable
from svcdns.plugins.goregexp import GoRegexp
from svcdns.plugins.lookups import Looked, look_up
from svcdns.plugins.templatetext import Fieldset, Template

NAME = "template"

Value = TypeVar("Value")

SECTIONS = ("answer", "additional", "authority")

_OF_THE_CLIENT = frozenset({"Remote", "Meta", "Message", "."})
"""Fields that differ from client to client, or from query to query."""


class Settings(Struct, frozen=True):
    """One ``template`` directive."""

    qclass: int
    qtype: int
    zones: tuple[bytes, ...]
    matches: tuple[GoRegexp, ...]
    sections: dict[str, tuple[Template, ...]]
    rcode: int
    options: tuple[tuple[int, bytes], ...]
    fallthrough: Fallthrough

    @property
    def storable(self) -> bool:
        """Whether equal packets get equal answers."""
        return not any(
            _OF_THE_CLIENT & template.names
            for templates in self.sections.values()
            for template in templates
        )


class _Matched(Struct, frozen=True):
    """A template that is for a question."""

    settings: Settings
    labels: tuple[str, ...]
    "server, zone, view, class, type: of the metrics."
    data: Fieldset


class _Not(Enum):
    """What a template that does not match means for the question."""

    THIS_ONE = 1
    "The next one may be for it."
    ANY = 2
    "It was for this one, and there is no answer."


class _Unusable(Exception):
    """A record that a template should have given."""


class Templates:
    """All ``template`` directives of a block."""

    name = NAME

    def __init__(self, templates: Sequence[Settings], context: Context) -> None:
        self._templates = tuple(templates)
        self._server, self._view = context.server, context.view
        matched = ("server", "zone", "view", "class", "type")
        failed = (*matched, "section", "template")
        registry = context.registry
        self._matches = registry.counter(
            "coredns_template_matches_total", "Queries that a template was for.", matched
        )
        self._failures = registry.counter(
            "coredns_template_template_failures_total",
            "Templates that could not be carried out.",
            failed,
        )
        self._bad_records = registry.counter(
            "coredns_template_rr_failures_total", "Templates that gave no record.", failed
        )

    @property
    def needs(self) -> tuple[Need, ...]:
        """Nothing."""
        return ()

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Answer with the first template that is for the question."""
        for settings in self._templates:
            matched = self._match(settings, request)
            if matched is _Not.THIS_ONE:
                continue
            if matched is _Not.ANY:
                return Failed(Rcode.SERVFAIL, plugin=NAME)
            cell = self._matches.cell(*matched.labels)
            cell.value += 1
            if settings.rcode == Rcode.SERVFAIL:
                return Failed(Rcode.SERVFAIL, plugin=NAME)
            try:
                response = self._response(matched)
            except _Unusable as error:
                return Failed(Rcode.SERVFAIL, f"plugin/{NAME}: {error}", NAME)
            store = Storable(cells=(cell,)) if settings.storable else None
            return _followed(request, Reply(response, NAME, store))
        return proceed(request)

    def _match(self, settings: Settings, request: Request) -> "_Matched | _Not":
        """Give what the template needs, if it is for the question."""
        query = request.query
        zone = max(
            (zone for zone in settings.zones if is_subdomain(query.name, zone)),
            key=len,
            default=None,
        )
        if zone is None or not _wanted(settings, query):
            return _Not.THIS_ONE
        name = to_text(query.name)
        for regexp in settings.matches:
            groups = regexp.search(name)
            if groups is not None:
                data = _data(request, settings, zone, regexp, groups)
                kind = (str(data["Class"]), str(data["Type"]))
                labels = (self._server, to_text(zone), self._view, *kind)
                return _Matched(settings, labels, data)
        return _Not.THIS_ONE if settings.fallthrough.through(query.name) else _Not.ANY

    def _response(self, matched: _Matched) -> Response:
        settings = matched.settings
        made = {
            section: tuple(
                [
                    record
                    for template in settings.sections[section]
                    if (record := self._record(matched, section, template))
                ]
            )
            for section in SECTIONS
        }
        return Response(
            settings.rcode,
            made["answer"],
            made["authority"],
            made["additional"],
            aa=True,
            options=settings.options,
        )

    def _record(self, matched: _Matched, section: str, template: Template) -> Record | None:
        labels = (*matched.labels, section, template.source)
        text = self._counted(self._failures, labels, lambda: template.render(matched.data))
        if not text.strip():
            return None
        return self._counted(self._bad_records, labels, lambda: record_from_text(text))

    def _counted(
        self, failures: Family, labels: tuple[str, ...], make: Callable[[], Value]
    ) -> Value:
        try:
            return make()
        except ValueError as error:
            failures.cell(*labels).value += 1
            raise _Unusable(str(error)) from error


def _wanted(settings: Settings, query: Query) -> bool:
    right_class = RRClass.ANY in (settings.qclass, query.qclass) or settings.qclass == query.qclass
    return right_class and (
        RRType.ANY in (settings.qtype, query.qtype) or settings.qtype == query.qtype
    )


def _data(
    request: Request, settings: Settings, zone: bytes, regexp: GoRegexp, groups: tuple[str, ...]
) -> Fieldset:
    query = request.query
    metadata = request.metadata or {}
    by_name = {str(number): value for number, value in enumerate(groups)}
    by_name |= {name: groups[i] for i, name in enumerate(regexp.names, 1) if name}
    qclass = settings.qclass if query.qclass == RRClass.ANY else query.qclass
    qtype = settings.qtype if query.qtype == RRType.ANY else query.qtype
    question = Fieldset(Name=to_text(query.qname), Qtype=query.qtype, Qclass=query.qclass)
    message = Fieldset(
        Id=query.id,
        Opcode=query.opcode,
        RecursionDesired=bool(query.flags & RD),
        AuthenticatedData=bool(query.flags & AD),
        CheckingDisabled=bool(query.flags & CD),
        Question=(question,),
    )
    return Fieldset(
        Zone=to_text(zone),
        Name=to_text(query.name),
        Class=class_text(qclass),
        Type=type_text(qtype),
        Match=groups,
        Group=by_name,
        Question=question,
        Message=message,
        Remote=request.client.address,
        Regex=regexp.pattern,
        Meta=lambda name: metadata.get(name, ""),
    )


def _followed(request: Request, reply: Reply) -> Outcome:
    """Add what the whole server says about targets of CNAMEs, for A and AAAA."""
    query, response = request.query, reply.response
    aliases = [record for record in response.answer if record.rrtype == RRType.CNAME]
    if query.qtype not in (RRType.A, RRType.AAAA) or not aliases:
        return reply

    def finish(found: Looked) -> Outcome:
        if not found.answer and not found.tc:
            return replace(reply, store=None)
        whole = replace(response, answer=(*response.answer, *found.answer), tc=found.tc)
        return Reply(whole, NAME, background=found.background)

    return look_up(request, [alias.rdata for alias in aliases], finish)


def setup(directives: tuple[Directive, ...], context: Context) -> Templates:
    """Read the directives."""
    return Templates(
        [_read(line, context.zones) for line in each(directives, context.warn)], context
    )


def _read(line: Line, zones: tuple[bytes, ...]) -> Settings:
    qclass, qtype = line.read(_class), line.read(_type)
    settings = Settings(
        qclass, qtype, line.zones(zones), (), dict.fromkeys(SECTIONS, ()), 0, (), Fallthrough()
    )
    for option in line.options():
        settings = _option(option, settings)
    if not settings.matches:
        settings = replace(settings, matches=(GoRegexp(".*"),))
    return settings


def _option(option: Line, settings: Settings) -> Settings:
    match option.name:
        case "match":
            found = [option.read(GoRegexp), *_all(option, GoRegexp)]
            return replace(settings, matches=(*settings.matches, *found))
        case "answer" | "additional" | "authority":
            made = [option.read(_template), *_all(option, _template)]
            section = (*settings.sections[option.name], *made)
            return replace(settings, sections={**settings.sections, option.name: section})
        case "rcode":
            return replace(settings, rcode=option.read(_rcode))
        case "ederror":
            code = option.integer(0, 0xFFFF)
            data = code.to_bytes(2, "big") + option.word(default="").encode()
            return replace(settings, options=((EXTENDED_ERROR, data),))
        case "fallthrough":
            return replace(settings, fallthrough=option.fallthrough())
        case "upstream":
            option.rest()  # targets are always looked up; the option says nothing any more
            return settings
        case _:
            raise option.unknown()


def _all(option: Line, parse: Callable[[str], Value]) -> list[Value]:
    found = []
    while option.more:
        found.append(option.read(parse))
    return found


def _class(text: str) -> int:
    found = class_number(text)
    if found is None:
        raise ValueError(f"invalid query class {text}")
    return found


def _type(text: str) -> int:
    found = type_number(text)
    if found is None:
        raise ValueError(f"invalid RR class {text}")
    return found


def _rcode(text: str) -> int:
    found = rcode_number(text)
    if found is None:
        raise ValueError(f"unknown rcode {text}")
    return found


def _template(text: str) -> Template:
    try:
        return Template(text)
    except ValueError as error:
        raise ValueError(f"could not compile template: {text}, {error}") from error
