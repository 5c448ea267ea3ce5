"""A table as the kernel has it, in the words that we write (:mod:`svcdns.proxy.nftnetlink`)."""

from collections.abc import Iterable

from msgspec import Struct

from svcdns.proxy.nft import Element


class Listing(Struct, frozen=True):
    """What a table contains."""

    sets: dict[str, str]
    "Name to ``set`` or ``map``."
    chains: dict[str, list[str]]
    "Name to the comments of its rules, in order; empty text for a rule without."
    elements: dict[str, dict[str, str]]
    "Key to value, by set."

    def settle(self, wanted: Iterable[Element]) -> tuple[list[Element], list[Element]]:
        """Tick off the elements that are wanted and here, which uses the listing up.

        Returns:
            The elements that are wrong here, and those that are missing.
        """
        missing = []
        for element in wanted:
            elements = self.elements.get(element.of, {})
            if elements.get(element.key) == element.value:
                del elements[element.key]
            else:
                missing.append(element)
        stale = [
            Element(name, key, value)
            for name, elements in self.elements.items()
            for key, value in elements.items()
        ]
        return stale, missing
