"""Work in slices: a generator that pauses now and then, and gives its result at the end.

Reading a zone of 200,000 records takes seconds.  What works so long pauses every few milliseconds,
and who runs it decides what happens meanwhile: queries are answered, or nothing is.
"""

from collections.abc import Generator
from typing import TypeAlias, TypeVar

Result = TypeVar("Result")

Slices: TypeAlias = Generator[None, None, Result]
"""Pauses at every ``yield``; returns the result."""


def finish(slices: Slices[Result]) -> Result:
    """Work without a pause; raises what the work raises."""
    while True:
        try:
            next(slices)
        except StopIteration as done:
            result: Result = done.value
            return result
