"""What ``svcdns top`` shows of its table, and the keys that change it."""

from enum import Enum, auto

from msgspec import Struct
from msgspec.structs import replace

from svcdns.proxy.top import Sort

HINT = "q quit  e endpoints  s sort  arrows scroll"
"""The keys, for people."""


class Key(Enum):
    """What somebody asks for by a key."""

    QUIT = auto()
    ENDPOINTS = auto()
    SORT = auto()
    UP = auto()
    DOWN = auto()
    PAGE_UP = auto()
    PAGE_DOWN = auto()
    TOP = auto()
    BOTTOM = auto()


_KEYS = {
    b"\x1b[5~": Key.PAGE_UP,
    b"\x1b[6~": Key.PAGE_DOWN,
    b"\x1b[1~": Key.TOP,
    b"\x1b[4~": Key.BOTTOM,
    b"\x1b[A": Key.UP,
    b"\x1bOA": Key.UP,
    b"\x1b[B": Key.DOWN,
    b"\x1bOB": Key.DOWN,
    b"\x1b[H": Key.TOP,
    b"\x1bOH": Key.TOP,
    b"\x1b[F": Key.BOTTOM,
    b"\x1bOF": Key.BOTTOM,
    b"q": Key.QUIT,
    b"Q": Key.QUIT,
    b"\x03": Key.QUIT,
    b"\x04": Key.QUIT,
    b"e": Key.ENDPOINTS,
    b"s": Key.SORT,
    b"k": Key.UP,
    b"j": Key.DOWN,
    b" ": Key.PAGE_DOWN,
    b"b": Key.PAGE_UP,
    b"g": Key.TOP,
    b"G": Key.BOTTOM,
}
"""As terminals send them: Ctrl-C and Ctrl-D among them, arrows in both of their forms (xterm's
"PC-Style Function Keys"); letters as in ``less``."""


def keys(typed: bytes) -> list[Key]:
    """Read keys; octets that are none are passed over."""
    found = []
    while typed:
        code = next((one for one in _KEYS if typed.startswith(one)), None)
        if code:
            found.append(_KEYS[code])
        typed = typed[len(code) if code else 1 :]
    return found


class View(Struct, frozen=True):
    """What is shown."""

    sort: Sort = Sort.CONNECTIONS
    endpoints: bool = False
    "Whether service ports are unfolded into their endpoints."
    skip: int = 0
    "Lines that are scrolled out of sight."

    def after(self, key: Key, page: int) -> "View":
        """Give the view that *key* leads to; *page* is what fits the screen, in lines.

        The line skipped may lie beyond the end; see :meth:`within`.
        """
        match key:
            case Key.QUIT:
                return self
            case Key.ENDPOINTS:
                return replace(self, endpoints=not self.endpoints, skip=0)
            case Key.SORT:
                orders = list(Sort)
                following = orders[(orders.index(self.sort) + 1) % len(orders)]
                return replace(self, sort=following, skip=0)
            case Key.UP:
                return replace(self, skip=max(self.skip - 1, 0))
            case Key.DOWN:
                return replace(self, skip=self.skip + 1)
            case Key.PAGE_UP:
                return replace(self, skip=max(self.skip - max(page - 1, 1), 0))
            case Key.PAGE_DOWN:
                return replace(self, skip=self.skip + max(page - 1, 1))
            case Key.TOP:
                return replace(self, skip=0)
            case Key.BOTTOM:
                return replace(self, skip=END)

    def within(self, length: int, page: int) -> "View":
        """Give the view that does not scroll beyond the end of *length* lines."""
        return replace(self, skip=min(self.skip, max(length - page, 0)))


END = 1 << 31
"""Beyond every table."""
