"""What is asked: sets of queries, as messages.

dnsperf reads them with ``-B``: each behind its length, as over TCP; it changes the ID alone.
"""

import random
import struct
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path

from benchmarks.cluster import NAMESPACES, ZONE, Cluster

A, AAAA, SRV = 1, 28, 33
HOT = 1_000
MIX = 50_000
OUTSIDE = 500
EDNS_SIZES = (None, 1232, 4096)
"""glibc without ``edns0``, dig and most libraries, older resolvers."""

_RD = 0x0100
_header = struct.Struct("!6H").pack
_question = struct.Struct("!HH").pack
_opt = struct.Struct("!BHHIH").pack


def message(name: str, qtype: int, edns: int | None = None, options: bytes = b"") -> bytes:
    """Make a query; *name* ends in a dot."""
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name[:-1].split("."))
    opt = b"" if edns is None else _opt(0, 41, edns, 0, len(options)) + options
    return _header(0, _RD, 1, 0, 0, 1 if opt else 0) + labels + b"\0" + _question(qtype, 1) + opt


def save(path: Path, messages: Iterable[bytes]) -> Path:
    """Write messages for ``dnsperf -B``."""
    path.write_bytes(b"".join(struct.pack("!H", len(one)) + one for one in messages))
    return path


def outside_names() -> list[str]:
    """Names that are not the cluster's."""
    return [f"www.site-{number}.example." for number in range(OUTSIDE)]


def hot(cluster: Cluster) -> list[bytes]:
    """1,000 names of Services with a cluster IP."""
    numbers = [number for number in range(cluster.services) if not cluster.headless(number)]
    return [message(cluster.name(number), A) for number in numbers[:HOT]]


def outside() -> list[bytes]:
    return [message(name, A) for name in outside_names()]


def _kinds(cluster: Cluster) -> Iterator[tuple[list[tuple[str, int]], float]]:
    names = [cluster.name(number) for number in range(cluster.services)]
    plain = [name for number, name in enumerate(names) if not cluster.headless(number)]
    headless = [name for number, name in enumerate(names) if cluster.headless(number)]
    searched = [
        f"{name[:-1]}.ns-{namespace}.svc.{ZONE}"
        for name, namespace in product(outside_names(), range(NAMESPACES))
    ]
    yield [(name, A) for name in plain], 0.60
    yield [(name, A) for name in searched], 0.20
    yield [(name, AAAA) for name in plain], 0.10
    yield [(name, A) for name in headless], 0.05
    yield [(f"_http._tcp.{name}", SRV) for name in names], 0.05


def mixed(cluster: Cluster, count: int = MIX) -> list[tuple[str, int, int | None]]:
    """60 % A, 20 % search paths, 10 % AAAA, 5 % headless, 5 % SRV; different ones if there are."""
    chance = random.Random(1)
    found: list[tuple[str, int, int | None]] = []
    for questions, share in _kinds(cluster):
        wanted = int(count * share)
        chance.shuffle(questions)
        different = [(*question, size) for size in EDNS_SIZES for question in questions]
        found += (different * (wanted // len(different) + 1))[:wanted]
    chance.shuffle(found)
    return found


def mix(cluster: Cluster) -> list[bytes]:
    """The mix as ordinary clients send it."""
    return [message(*question) for question in mixed(cluster)]


def cookies(cluster: Cluster) -> list[bytes]:
    """The mix with a random cookie in every query (RFC 7873), four different ones for each."""
    chance = random.Random(2)
    return [
        message(name, qtype, size or 1232, struct.pack("!HH", 10, 8) + chance.randbytes(8))
        for _ in range(4)
        for name, qtype, size in mixed(cluster)
    ]


def random_case(cluster: Cluster) -> list[bytes]:
    """The mix in random case (draft-vixie-dnsext-dns0x20), four different ones for each."""
    chance = random.Random(3)
    return [
        message("".join(chance.choice((c, c.upper())) for c in name), qtype, size)
        for _ in range(4)
        for name, qtype, size in mixed(cluster)
    ]


def cold(cluster: Cluster, count: int) -> list[bytes]:
    """Questions that no table has: new names for one half, new packets for known names."""
    chance = random.Random(4)
    names = [number for number in range(cluster.services) if not cluster.headless(number)]
    found = [
        message(f"www.cold-{number}.example.ns-{number % NAMESPACES}.svc.{ZONE}", A)
        for number in range(count // 2)
    ]
    found += [
        message(cluster.name(names[number % len(names)]), A, 1300 + number // len(names))
        for number in range(count // 2)
    ]
    chance.shuffle(found)
    return found
