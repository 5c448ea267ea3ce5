"""A directory of manifests as a source of objects: watched by looking, fed to an inventory.

Polling sees every way in which a file changes: written in place, replaced by rename, swapped
through a symlink (a mounted ConfigMap), with or without inotify.  A change is taken up when two
looks in a row see the same, so that a file in the middle of being written is not read as a short
one.  A file that cannot be read as YAML is reported, and what it held before stays in force.
"""

import asyncio
import logging
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from time import time_ns
from typing import TypeAlias

from svcdns.aio.leavable import leavable
from svcdns.errors import ConfigError, ManifestError
from svcdns.kube.changes import summarise
from svcdns.kube.documents import MAX_OCTETS
from svcdns.kube.inventory import Inventory
from svcdns.kube.manifests import Manifest, parse

INTERVAL = 0.2
"""Seconds between two looks: a change is in force after 0.4 at most."""

PATIENCE = 10
"""Looks after which a file is read even though it goes on changing."""

SUFFIXES = (".yaml", ".yml", ".json")
MAX_FILES = 10_000
MAX_FOLDERS = 1_000

RACY_NANOSECONDS = 2_000_000_000
"""A file changed more recently than this is compared by content: its next change may leave the
same time stamp (git's index has the same rule)."""

Mark: TypeAlias = tuple[int, ...]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Look:
    """What is there: marks by name of file, and folders that could not be read."""

    marks: dict[str, Mark] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    "Reason by name of folder; ``.`` is the whole directory."


@dataclass(frozen=True, slots=True)
class _Read:
    """What reading a changed file gave."""

    file: str
    digest: bytes | None
    result: Manifest | ManifestError | None
    "``None``: the content is what it was."


class ManifestDirectory:
    """One directory (or one file), kept in an inventory."""

    def __init__(self, path: Path, inventory: Inventory, *, interval: float = INTERVAL) -> None:
        """Prepare to watch *path* every *interval* seconds."""
        self.path = path
        self._root = path if path.is_dir() else path.parent
        self._only = None if path.is_dir() else path.name
        self._inventory = inventory
        self._interval = interval
        self._taken: dict[str, Mark] = {}
        "Marks of what is in force."
        self._digests: dict[str, bytes | None] = {}
        self._broken: set[str] = set()
        self._last = Look()
        self._restless = 0
        self._unreadable: dict[str, str] = {}

    def load(self) -> None:
        """Read everything once, before anything is served.

        Raises:
            ConfigError: There is no such directory.
        """
        self._take(*self._first())

    async def begin(self) -> None:
        """Do as :meth:`load` does, but leave the loop free while files are read.

        Raises:
            ConfigError: There is no such directory.
        """
        self._take(*await leavable(self._first))

    def _first(self) -> tuple[Look, list[_Read]]:
        if not self.path.exists():
            raise ConfigError(f"{self.path}: no such directory: name one that holds manifests")
        look = self._look()
        if "." in look.unreadable:
            raise ConfigError(f"{self.path}: {look.unreadable['.']}")
        self._last = look
        return look, self._read(look)

    async def run(self) -> None:
        """Take up changes until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            await self.look()

    async def look(self) -> bool:
        """Look once; tell whether changes were taken up."""
        look = await asyncio.to_thread(self._look)
        quiet = look == self._last
        self._last = look
        self._report_unreadable(look)
        if not self._differs(look):
            self._restless = 0
            return False
        self._restless += 1
        if not quiet and self._restless <= PATIENCE:
            return False
        self._restless = 0
        return self._take(look, await asyncio.to_thread(self._read, look))

    def _look(self) -> Look:
        """Stat everything; runs in a thread."""
        look = Look()
        if self._only:
            _stat(self._root, self._only, look, suffixes=("",))
        else:
            _walk(self._root, look)
        return look

    def _differs(self, look: Look) -> bool:
        differs = any(self._suspect(file, mark) for file, mark in look.marks.items())
        return differs or next(self._gone(look), None) is not None

    def _suspect(self, file: str, mark: Mark) -> bool:
        """Tell whether a file may hold something new."""
        return mark != self._taken.get(file) or 0 <= time_ns() - mark[0] < RACY_NANOSECONDS

    def _gone(self, look: Look) -> Iterator[str]:
        """Iterate over files that are there no more; folders that fail keep theirs."""
        for file in self._taken:
            kept = any(_inside(file, folder) for folder in look.unreadable)
            if file not in look.marks and not kept:
                yield file

    def _read(self, look: Look) -> list[_Read]:
        """Read and parse what differs; runs in a thread."""
        marks = sorted(look.marks.items())
        return [self._read_one(file) for file, mark in marks if self._suspect(file, mark)]

    def _read_one(self, file: str) -> _Read:
        path = self._root / file
        try:
            if path.stat().st_size > MAX_OCTETS:
                raise ManifestError(shown(file), 1, f"larger than {MAX_OCTETS >> 20} MiB: split it")
            content = path.read_bytes()
        except ManifestError as error:
            return _Read(file, None, error)
        except FileNotFoundError:
            return _Read(file, None, None)  # the next look misses it
        except OSError as error:
            return _Read(file, None, ManifestError(shown(file), 1, error.strerror or str(error)))
        digest = blake2b(content, digest_size=16).digest()
        if digest == self._digests.get(file):
            return _Read(file, digest, None)
        try:
            return _Read(file, digest, parse(content, shown(file)))
        except ManifestError as error:
            return _Read(file, digest, error)

    def _take(self, look: Look, found: Iterable[_Read]) -> bool:
        """Put what was read in force, and say what that changed; tell whether there was any."""
        gone = list(self._gone(look))
        touched: list[str] = []
        for file in gone:
            self._inventory.drop(shown(file))
            self._digests.pop(file, None)
            self._broken.discard(file)
            touched.append(shown(file))
        for one in found:
            if isinstance(one.result, ManifestError):
                self._refuse(one, one.result)
            elif one.result is not None:
                self._broken.discard(one.file)
                self._inventory.put(one.result)
                touched.append(shown(one.file))
            if one.digest is not None:
                self._digests[one.file] = one.digest
        unreadable = {f: m for f, m in self._taken.items() if f not in look.marks and f not in gone}
        self._taken = look.marks | unreadable
        if touched or not self._inventory.settled:
            self._settle(touched)
        return bool(touched)

    def _refuse(self, one: _Read, error: ManifestError) -> None:
        if one.digest is None and one.file in self._broken:
            return  # it was said before
        self._broken.add(one.file)
        before = (
            " (what it held before stays in force)" if one.file in self._inventory.files else ""
        )
        log.error("%s%s", error, before)

    def _settle(self, touched: list[str]) -> None:
        first = not self._inventory.settled
        settled = self._inventory.settle()
        for notice in settled.notices:
            log.warning("%s", notice)
        if first:
            return
        names = ", ".join(touched[:3]) + (f" and {len(touched) - 3} more" if touched[3:] else "")
        log.info("%s: %s", names, summarise(settled.deltas) or "read again, nothing changed")

    def _report_unreadable(self, look: Look) -> None:
        for folder, reason in look.unreadable.items():
            if self._unreadable.get(folder) != reason:
                where = self._root if folder == "." else self._root / folder
                log.error("%s: %s (what was read before stays in force)", where, reason)
        self._unreadable = look.unreadable


def _walk(root: Path, look: Look) -> None:
    """Stat every manifest below *root*; names that begin with a dot are left out.

    Those are editors' and git's own, and the folders behind a mounted ConfigMap's symlinks.
    """
    visited: set[tuple[int, int]] = set()
    folders = ["."]
    while folders:
        folder = folders.pop()
        try:
            status = os.stat(root / folder)
            if (status.st_dev, status.st_ino) in visited:
                continue  # a symlink that leads back
            visited.add((status.st_dev, status.st_ino))
            names = sorted(os.listdir(root / folder))
        except OSError as error:
            look.unreadable[folder] = error.strerror or str(error)
            continue
        for name in names:
            if not name.startswith("."):
                file = name if folder == "." else f"{folder}/{name}"
                if _stat(root, file, look):
                    folders.append(file)
                if len(look.marks) > MAX_FILES or len(visited) > MAX_FOLDERS:
                    limits = f"{MAX_FILES:,} manifests or {MAX_FOLDERS:,} folders"
                    look.unreadable["."] = f"more than {limits}: choose a smaller directory"
                    return


def _stat(root: Path, file: str, look: Look, suffixes: tuple[str, ...] = SUFFIXES) -> bool:
    """Note a manifest's mark; tell whether it is a folder instead."""
    try:
        status = os.stat(root / file)
    except OSError:
        return False  # it is gone, or a symlink leads nowhere: the same as not there
    if stat.S_ISDIR(status.st_mode):
        return True
    if stat.S_ISREG(status.st_mode) and file.endswith(suffixes):
        look.marks[file] = (
            status.st_ctime_ns,
            status.st_mtime_ns,
            status.st_size,
            status.st_ino,
            status.st_dev,
        )
    return False


def shown(file: str) -> str:
    """Write a file's name so that it is one line of UTF-8; names are any octets but zero."""
    text = file.encode("utf-8", "backslashreplace").decode()
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)


def _inside(file: str, folder: str) -> bool:
    return folder == "." or file.startswith(f"{folder}/")
