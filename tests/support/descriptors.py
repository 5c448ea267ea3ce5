"""Running out of file descriptors (EMFILE), for as long as a block takes."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager


def lowest_free() -> int:
    """Give the number that the next descriptor would get: a limit that allows no more of them."""
    with open(os.devnull, "rb") as one:
        return one.fileno()


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Let this process open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free(), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
