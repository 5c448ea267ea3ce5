"""Runs nft: changes in, our own tables out.

Two ways to the same code: the ``nft`` program for everything large, and libnftables in a thread
of ours for small changes, which saves the start of a process (0.2 to 4 ms against 6 to 16 with
10,000 Services in the table).  The library keeps the memory of what it once read, 318 MB after a
large load, which is why it gets no large ones.

We list our own tables only, and ask the kernel for them (:mod:`svcdns.aio.nftlisting`).
"""

import asyncio
import ctypes
import re
from concurrent.futures import ThreadPoolExecutor

from svcdns.aio.nftlisting import list_table
from svcdns.errors import ConfigError, NftError
from svcdns.proxy.listing import Listing
from svcdns.proxy.nft import Table, Transaction

MINIMUM = (1, 0, 1)
"""The oldest nft that reads what we write; precedent: knftables asks for the same."""

SMALL = 100_000
"""Characters of a transaction that go through the library at most."""

TIMEOUT = 300.0
"""Seconds that one run may take; the load of 10,000 Services takes 2."""

CHUNK = 1500
"""Operations of a part, where nft may not send the whole at once."""


class Nft:
    """nft in this network namespace."""

    def __init__(self, program: str = "nft", *, library: bool = True) -> None:
        """Prepare; nothing is run before :meth:`probe`.

        Args:
            program: What to run.
            library: Whether small changes may go through libnftables.
        """
        self._program = program
        self._library = _Library.load() if library else None

    async def probe(self) -> str:
        """Find out whether nft can be used here; its version.

        Raises:
            ConfigError: It cannot, and what to do.
        """
        try:
            _, printed, _ = await self._execute("--version")
        except OSError as error:
            raise ConfigError(
                f"{self._program}: {(error.strerror or str(error)).lower()}: mode nftables needs"
                " nft 1.0.1 or later (Debian: apt install nftables), or use --proxy-mode userspace"
            ) from error
        found = re.search(r"v(\d+)\.(\d+)\.(\d+)", printed.decode(errors="replace"))
        version = tuple(int(part) for part in found.groups()) if found else (0,)
        if version < MINIMUM:
            raise ConfigError(
                f"{self._program} is {printed.decode(errors='replace').strip()}: 1.0.1 is needed"
            )
        fault = await self.refusal("add table ip svcdns-proxy\n")
        if fault:
            raise ConfigError(
                f"{self._program} may not change rules here: {fault}"
                " (run as root or with CAP_NET_ADMIN, or use --proxy-mode userspace)"
            )
        return ".".join(str(part) for part in version)

    async def refusal(self, text: str) -> str:
        """Have the kernel look at a transaction without applying it; what it says against it."""
        status, _, complaint = await self._execute("-c", "-f", "-", given=text.encode())
        return first_line(complaint.decode(errors="replace")) if status else ""

    async def run(self, tx: Transaction) -> None:
        """Apply a transaction, all of it or nothing.

        In a user namespace the kernel lets nobody send much at once.  There a large transaction
        goes in parts.

        Raises:
            NftError: It was refused.
        """
        if not tx.operations:
            return
        text = str(tx)
        try:
            await self._run(text)
        except NftError as error:
            if "Message too long" not in error.stderr:
                raise
            for part in tx.parts(CHUNK):
                await self._run(str(part))

    async def _run(self, text: str) -> None:
        if self._library and len(text) <= SMALL:
            complaint = await self._library.run(text)
            if complaint is not None:
                raise NftError(complaint, text)
            return
        status, _, printed = await self._execute("-f", "-", given=text.encode())
        if status:
            raise NftError(printed.decode(errors="replace"), text)

    async def exists(self, table: Table) -> bool:
        """Tell whether there is such a table.

        Raises:
            NftError: That cannot be told.
        """
        status, printed, complaint = await self._execute("list", "tables", str(table).split()[0])
        if status:
            raise NftError(complaint.decode(errors="replace"), "list tables")
        return f"table {table}" in printed.decode(errors="replace").splitlines()

    async def listing(self, table: Table) -> Listing | None:
        """List a table; ``None`` when there is none.

        Raises:
            NftError: It cannot be listed.
        """
        try:
            return await asyncio.to_thread(list_table, table)
        except (OSError, ValueError) as error:
            raise NftError(f"{table} cannot be listed: {error}", "") from error

    async def _execute(self, *arguments: str, given: bytes = b"") -> tuple[int, bytes, bytes]:
        process = await asyncio.create_subprocess_exec(
            self._program,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(TIMEOUT):
                printed, complaint = await process.communicate(given)
        except TimeoutError:
            return -1, b"", f"no answer within {TIMEOUT:g} s".encode()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode or 0, printed, complaint

    def close(self) -> None:
        """Let the library go."""
        if self._library:
            self._library.close()


class _Library:
    """libnftables, in a thread of its own: the loop goes on meanwhile."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.nft_ctx_new.restype = ctypes.c_void_p
        library.nft_ctx_new.argtypes = [ctypes.c_uint32]
        library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
        for function in (
            library.nft_ctx_free,
            library.nft_ctx_buffer_error,
            library.nft_ctx_get_error_buffer,
        ):
            function.argtypes = [ctypes.c_void_p]
        library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        self._context = library.nft_ctx_new(0)
        library.nft_ctx_buffer_error(self._context)
        self._thread = ThreadPoolExecutor(1, "libnftables")

    @classmethod
    def load(cls) -> "_Library | None":
        """Load it; ``None`` where there is none."""
        try:
            return cls(ctypes.CDLL("libnftables.so.1"))
        except (OSError, AttributeError):
            return None

    async def run(self, text: str) -> str | None:
        """Run commands; what was wrong, or ``None``."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._run, text.encode())

    def _run(self, text: bytes) -> str | None:
        status = self._library.nft_run_cmd_from_buffer(self._context, text)
        # Reading the buffer empties it for the next command.
        said: bytes = self._library.nft_ctx_get_error_buffer(self._context) or b""
        return said.decode(errors="replace") if status else None

    def close(self) -> None:
        self._thread.shutdown()
        self._library.nft_ctx_free(self._context)


def first_line(complaint: str) -> str:
    """Give the gist of what nft says: the rest quotes the command."""
    lines = complaint.strip().splitlines() or ["it does not say why"]
    return re.sub(r"^([^ ]*:\d+:\d+-\d+: )?(Error: )?", "", lines[0])[:300]
