"""Which queries a server block is for.

Name
----
*view*: has a server block take only queries for which expressions are true; the others go to the
next block of the same zone.

Syntax
------
::

    view NAME {
        expr EXPRESSION
    }

* NAME: the label ``view`` of metrics, and the label ``view/name`` of *metadata*.
* ``expr``: all of them must be true.

Expressions have ``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``in [...]``, ``matches``,
``contains``, ``startsWith``, ``endsWith``, ``not``, ``and``, ``or`` (``!``, ``&&``, ``||``),
arithmetic, ``a ? b : c`` and these functions:

* about the query: ``name()``, ``type()``, ``class()``, ``opcode()``, ``id()``, ``size()``,
  ``bufsize()``, ``do()``;
* about the way it came: ``client_ip()``, ``port()``, ``server_ip()``, ``server_port()``,
  ``proto()``; IPv6 addresses are in brackets;
* ``incidr(IP, NETWORK)``, ``metadata(LABEL)``; ``len``, ``lower``, ``upper``, ``trim``,
  ``hasPrefix``, ``hasSuffix``, ``int``.

Strings are in single quotes, because double ones belong to the Corefile.

Examples:
--------
::

    . {
        view internal {
            expr incidr(client_ip(), '10.0.0.0/8') and type() in ['A', 'AAAA']
        }
        hosts {
            10.0.0.1 www.example.net
            fallthrough
        }
        forward . 172.31.0.10
    }

    . {
        forward . 172.31.0.10
    }

Differences
-----------
* Of the language of expr-lang/expr, maps, ranges, pipes and functions on lists are missing; an
  expression with them stops the start.
* So does an expression that can never be true because it is no truth value.
* ``incidr`` takes IPv6 addresses with and without brackets.
* Where a listener has views, none of its answers comes from the table of ready answers.

Parity: CoreDNS ``plugin/view``, ``plugin/pkg/expression`` (rule J6).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from msgspec.structs import replace

from svcdns.corefile.options import Line, once
from svcdns.corefile.syntax import Directive
from svcdns.dns.constants import class_text, type_text
from svcdns.dns.name import to_text
from svcdns.hostport import bracketed
from svcdns.plugins.base import Context, Plugin, Request
from svcdns.plugins.expression import compile_text
from svcdns.plugins.expressionlexer import ExpressionError
from svcdns.plugins.expressionvalues import ANY, BOOL, INT, STRING, Compiled, Function
from svcdns.plugins.metadata import Metadata
from svcdns.plugins.passive import Passive

NAME = "view"


class View(Passive):
    """One ``view`` directive; it is asked before the block is chosen, not in the chain."""

    def __init__(self, view: str, expressions: Sequence[Compiled]) -> None:
        super().__init__(NAME)
        self.view = view
        self._expressions = tuple(expressions)
        self._collector: Metadata | None = None

    def meet(self, siblings: Sequence[Plugin]) -> None:
        """Note who collects the labels that ``metadata()`` gives."""
        for plugin in siblings:
            if isinstance(plugin, Metadata):
                self._collector = plugin

    def metadata(self, _request: Request) -> dict[str, str]:
        """Give the view's name."""
        return {"view/name": self.view}

    def admits(self, request: Request) -> bool:
        """Whether all expressions are true; one that fails is not."""
        if self._collector is not None:
            request = replace(request, metadata=self._collector.collect(request))
        try:
            return all(expression.run(request) is True for expression in self._expressions)
        except ExpressionError:
            return False


def view_of(plugins: Sequence[Plugin]) -> str:
    """Give the name of a block's view, for the label of metrics; empty without one."""
    return next((plugin.view for plugin in plugins if isinstance(plugin, View)), "")


def setup(directives: tuple[Directive, ...], context: Context) -> View:
    """Read the directive."""
    line = once(directives)
    name = line.word()
    expressions = []
    for option in line.options():
        if option.name != "expr":
            raise option.unknown()
        expressions.append(_read(option))
    return View(name, expressions)


def _read(option: Line) -> Compiled:
    text = " ".join(option.rest(at_least=1))
    try:
        found = compile_text(text, FUNCTIONS)
    except ExpressionError as error:
        raise option.error(f"expr {text}: {error}") from error
    if found.kind not in (BOOL, ANY):
        raise option.error(f"expr {text}: gives {found.kind}, expected {BOOL}")
    return found


# -- functions


@lru_cache(maxsize=256)
def _network(text: str) -> IPv4Network | IPv6Network | None:
    if not text.partition("/")[2].isdecimal():
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _in_network(_request: Request, address: object, network: object) -> bool:
    found = _network(str(network))
    if found is None:
        raise ExpressionError(f"invalid CIDR address: {network}")
    try:
        return ip_address(str(address).strip("[]").partition("%")[0]) in found
    except ValueError as error:
        raise ExpressionError(f"{address!r} is not an IP address") from error


def _about(kind: str, call: Callable[[Request], object]) -> Function:
    return Function((), kind, call)


FUNCTIONS = {
    "bufsize": _about(INT, lambda request: request.query.limit(udp=request.client.udp)),
    "class": _about(STRING, lambda request: class_text(request.query.qclass)),
    "client_ip": _about(STRING, lambda request: bracketed(request.client.address)),
    "do": _about(BOOL, lambda request: request.query.edns is not None and request.query.edns.do),
    "id": _about(INT, lambda request: request.query.id),
    "name": _about(STRING, lambda request: to_text(request.query.name)),
    "opcode": _about(INT, lambda request: request.query.opcode),
    "port": _about(STRING, lambda request: str(request.client.port)),
    "proto": _about(STRING, lambda request: "udp" if request.client.udp else "tcp"),
    "server_ip": _about(STRING, lambda request: bracketed(request.client.local_address)),
    "server_port": _about(STRING, lambda request: str(request.client.local_port)),
    "size": _about(INT, lambda request: request.query.size),
    "type": _about(STRING, lambda request: type_text(request.query.qtype)),
    "incidr": Function((STRING, STRING), BOOL, _in_network),
    "metadata": Function(
        (STRING,), STRING, lambda request, label: (request.metadata or {}).get(label, "")
    ),
}
"""CoreDNS's functions about a query."""
