r"""Changes questions on their way down the chain, and answers on their way up.

Name
----
*rewrite*: rewrites name, type, class and EDNS options of questions, and names, TTLs, response
codes and CNAMEs of answers; the client sees the question that it asked.

Syntax
------
::

    rewrite [continue | stop] name [exact | prefix | suffix | substring | regex] FROM TO [ANSWER...]
    rewrite [continue | stop] type FROM TO
    rewrite [continue | stop] class FROM TO
    rewrite [continue | stop] edns0 local append | replace | set CODE DATA [revert]
    rewrite [continue | stop] edns0 local unset CODE [revert]
    rewrite [continue | stop] edns0 nsid append | replace | set | unset [revert]
    rewrite [continue | stop] edns0 subnet append | replace | set V4-BITS V6-BITS [revert]
    rewrite [continue | stop] edns0 subnet unset [revert]
    rewrite [continue | stop] ttl [exact | prefix | suffix | substring | regex] NAME TTL | MIN-MAX
    rewrite [continue | stop] rcode [exact | prefix | suffix | substring | regex] NAME FROM TO
    rewrite [continue | stop] cname [exact | prefix | suffix | substring | regex] FROM TO
    rewrite [continue | stop] {
        name [exact | prefix | suffix | substring | regex] FROM TO
        answer auto | name FROM TO | value FROM TO
    }

ANSWER is ``answer auto``, ``answer name FROM TO`` or ``answer value FROM TO``.  DATA is text, hex
digits behind ``0x``, or one of ``{qname}``, ``{qtype}``, ``{client_ip}``, ``{client_port}``,
``{protocol}``, ``{server_ip}``, ``{server_port}`` and ``{plugin/label}`` of ``metadata``.

Rules are tried in the order of the file.  The first one that matches is the last one, unless it
says ``continue``.  Answers are changed in the opposite order.  ``prefix`` and ``substring`` get a
final dot like the others, so they match up to the end of a label.

Examples:
--------
::

    . {
        rewrite stop {
            name regex (.*)\.prod\.example\.org {1}.prod.svc.cluster.local
            answer auto
        }
        rewrite continue ttl suffix cluster.local 5-30
        kubernetes cluster.local
        forward . /etc/resolv.conf
    }

Differences
-----------
* The client's own name comes back in the client's case; CoreDNS gives it in lower case.
* The question is the client's in every answer; after a ``continue`` without an answer rule CoreDNS
  shows the rewritten one.
* ``cname`` gives all that there is about the new target; CoreDNS leaves out what has another name.
* A client that did not speak EDNS gets no OPT record because of an ``edns0`` rule.
* ``rcode`` works on answers without any record.

Parity: CoreDNS ``plugin/rewrite``.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import Rcode
from svcdns.plugins.base import Context, Failed, Handler, Need, Outcome, Reply, Request, then
from svcdns.plugins.rewriteanswers import Undo, own_case
from svcdns.plugins.rewriteread import rule_of
from svcdns.plugins.rewriterules import Line

NAME = "rewrite"


class Rewrite:
    """All ``rewrite`` directives of a block."""

    name = NAME

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = tuple(lines)

    @property
    def needs(self) -> tuple[Need, ...]:
        """Nothing."""
        return ()

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Have the rewritten question answered, and put the answer right."""
        inner = request
        undo: list[Undo] = []
        per_client = False
        for line in self._lines:
            try:
                applied = line.rule.apply(inner)
            except ValueError as error:
                return Failed(Rcode.SERVFAIL, f"plugin/{NAME}: {error}", NAME)
            if applied is None:
                continue
            inner = replace(inner, query=applied.query)
            undo += applied.undo
            per_client = per_client or applied.per_client
            if line.stop:
                break
        if inner is request:
            return proceed(request)
        if inner.query.name != request.query.name:
            undo.insert(0, own_case)
        outcome = proceed(inner)
        for change in reversed(undo):
            outcome = _after(outcome, change, request)
        return then(outcome, _unstored, request.now) if per_client else outcome


def _after(outcome: Outcome, change: Undo, request: Request) -> Outcome:
    return then(outcome, lambda found, now: change(found, replace(request, now=now)), request.now)


def _unstored(outcome: Outcome, _now: float) -> Outcome:
    """Keep an answer out of the answer table: the next client's question may be another one."""
    return replace(outcome, store=None) if isinstance(outcome, Reply) else outcome


def setup(directives: tuple[Directive, ...], context: Context) -> Rewrite:
    """Read the directives."""
    return Rewrite([rule_of(directive) for directive in directives])
