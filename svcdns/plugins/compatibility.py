"""``docs/compatibility.md``: what differs from CoreDNS and kube-proxy, written from the code.

A row says what :mod:`svcdns.plugins.registry` will do; what differs comes from the docstring of the
plugin's module, where whoever changes the plugin sees it.
"""

import re
from collections.abc import Iterator
from importlib import import_module

from svcdns.plugins import register
from svcdns.plugins.order import ENTRIES, Entry, Support
from svcdns.plugins.registry import support_of
from svcdns.proxy.register import table as proxy

NONE_KNOWN = "None known."
"""What the section begins with when a plugin does what CoreDNS's does."""

_SECTION = re.compile(
    r"^Differences\n-+\n(.*?)(?=^Parity:|^\S[^\n]*\n---|\Z)", re.MULTILINE | re.DOTALL
)

_HEAD = """\
# What differs from CoreDNS and kube-proxy

Written by `tools/compatibility` from the code: change the plugin's docstring or the register there,
not this page.  [The plugins](#the-plugins), [the answers](#the-answers),
[the service proxy](#the-service-proxy).

## The plugins

One row for every entry of CoreDNS's `plugin.cfg`, in the order in which a query meets them.

- *supported*: reads the same options and gives the same answers; what differs is said below.
- *accepted*: has no influence on answers; a warning at start says why it has no effect.
- *refused*: svcdns does not start with it, because answers would be others than its reader expects.

Old Corefiles (`proxy`, `federation`, `kubernetes { upstream }`, …) are translated at start, with a
warning that shows the line to write. `svcdns check FILE` shows what becomes of each line of a
Corefile, `svcdns check --migrate FILE` prints it in today's words.

| # | plugin | what it does | svcdns | remarks |
| --: | --- | --- | --- | --- |
"""

_ANSWERS = """
## The answers

Peculiarities of CoreDNS that no option turns on or off, and what svcdns does about each.

"""

_PROXY = """
## The service proxy

What is not listed is done as kube-proxy does it in mode nftables.

"""


def render() -> str:
    """Write the page."""
    rows = [_row(number, entry) for number, entry in enumerate(ENTRIES, start=1)]
    return (
        _HEAD + "".join(rows) + "".join(_details()) + _ANSWERS + register.table() + _PROXY + proxy()
    )


def differences(documentation: str) -> str:
    """Give the section Differences of a module's docstring; empty when it has none."""
    found = _SECTION.search(documentation)
    return found[1].strip() if found else ""


def _row(number: int, entry: Entry) -> str:
    support = support_of(entry.name)
    if support is not Support.SUPPORTED:
        remark = entry.why
    elif _worth_saying(entry.name):
        remark = f"[differs](#{entry.name})"
    else:
        remark = ""
    return f"| {number} | `{entry.name}` | {entry.note} | {support} | {remark} |\n"


def _details() -> Iterator[str]:
    for entry in ENTRIES:
        if support_of(entry.name) is Support.SUPPORTED and (text := _worth_saying(entry.name)):
            yield f"\n### {entry.name}\n\n{_markdown(text)}\n"


def _worth_saying(name: str) -> str:
    text = differences(import_module(f"svcdns.plugins.{name}").__doc__ or "")
    return text.removeprefix(NONE_KNOWN).strip()


def _markdown(text: str) -> str:
    return text.replace("``", "`")
