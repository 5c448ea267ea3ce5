"""The fingerprint that ``reload`` compares.

It covers every word with its file and line, imports included: blanks within a line and comments at
its end change nothing, a comment line above a directive does.

Parity: ``plugin/reload/reload.go`` (SHA512 over the parsed blocks as JSON); the digits differ from
CoreDNS's, because its tokens count braces.
"""

import hashlib
from collections.abc import Iterable

import msgspec

from svcdns.corefile.syntax import ServerBlock


def fingerprint(blocks: Iterable[ServerBlock]) -> str:
    """Give the SHA512 of *blocks* in hexadecimal digits."""
    return hashlib.sha512(msgspec.json.encode(tuple(blocks))).hexdigest()
