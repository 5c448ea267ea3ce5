"""What the server says when it is up.

Parity: CoreDNS ``core/dnsserver/onstartup.go``, ``coremain/run.go``.
"""

import platform
from collections.abc import Iterable, Iterator

from svcdns import __version__
from svcdns.dns.name import to_text
from svcdns.plugins.server import Server


def banner(servers: Iterable[Server]) -> Iterator[str]:
    """Give a line for every zone and address: ``.:53``, ``example.org.:53 on 127.0.0.1``."""
    for server in servers:
        listen = server.listen
        scheme = "" if listen.scheme == "dns" else f"{listen.scheme}://"
        zones = dict.fromkeys(zone for block in server.blocks for zone in block.zones)
        for zone in zones:
            line = f"{scheme}{to_text(zone)}:{listen.port}"
            yield f"{line} on {listen.addresses[0]}" if listen.addresses else line


def version_lines() -> tuple[str, str]:
    """Give name and version, and what it runs on."""
    where = f"{platform.system().lower()}/{platform.machine()}"
    return f"svcdns-{__version__}", f"{where}, python{platform.python_version()}"
