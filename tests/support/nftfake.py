"""Stands in for :class:`svcdns.aio.nft.Nft`: tables of our own interpreter behind it."""

from collections.abc import Callable

from svcdns.errors import NftError
from svcdns.proxy.listing import Listing
from svcdns.proxy.nft import Table, Transaction
from tests.support import nft


class FakeNft:
    """nft, and a kernel that counts transactions."""

    def __init__(self) -> None:
        self.tables = {"ip": nft.Table("ip"), "ip6": nft.Table("ip6")}
        self.count = 1
        self.ran: list[str] = []
        self.listed = 0
        self.refuses: Callable[[str], bool] = lambda text: False
        "Whether the kernel takes a transaction, by its text."
        self.unreadable = False
        self.others: set[str] = set()
        "Tables of others."
        self.closed = False

    def generation(self) -> int:
        return self.count

    async def probe(self) -> str:
        return "1.0.6"

    async def exists(self, table: Table) -> bool:
        return str(table) in self.others

    def close(self) -> None:
        self.closed = True

    async def run(self, tx: Transaction) -> None:
        if not tx.operations:
            return
        text = str(tx)
        if self.refuses(text):
            raise NftError("Error: Could not process rule: Invalid argument\n" + text, text)
        try:
            self.tables[text.split()[2]].run(text)
        except nft.Refused as error:
            raise NftError(f"Error: {error}", text) from error
        self.count += 1
        self.ran.append(text)

    async def refusal(self, text: str) -> str:
        return "Could not process rule: Invalid argument" if self.refuses(text) else ""

    async def listing(self, table: Table) -> Listing | None:
        self.listed += 1
        if self.unreadable:
            raise NftError("Error: cannot be listed", "list")
        found = self.tables[str(table).split()[0]]
        return found.listing() if found.exists else None

    def meddle(self, text: str) -> None:
        """Change a table behind our back."""
        self.tables[text.split()[2]].run(text)
        self.count += 1
