"""Environment variables in tokens: ``{$NAME}`` and ``{%NAME%}``.

The replacement is textual and inside one token: a value with blanks stays one word.  A variable
that is not set is the empty text.

Parity: ``caddy:caddyfile/parse.go replaceEnvVars``.  One difference: a value is not searched for
further references, so that a variable may not name itself for ever.
"""

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\{%([^%]+)%\}|\{\$([^}]+)\}")


def substitute(text: str, env: Mapping[str, str]) -> str:
    """Replace every reference in *text*; ``{1}``, ``{$}`` and ``{{ $x }}`` are none."""
    if "{" not in text:
        return text
    return _REFERENCE.sub(lambda match: env.get(match[1] or match[2], ""), text)
