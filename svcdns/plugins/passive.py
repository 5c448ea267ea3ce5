"""Plugins that do their work beside the chain: probes, reloads, settings of listeners.

They take part in no query, and the chain leaves them out (:attr:`Passive.serves`).
"""

from svcdns.plugins.base import Handler, Need, Outcome, Request


class Passive:
    """A plugin that only has needs."""

    serves = False

    def __init__(self, name: str, *needs: Need) -> None:
        self.name = name
        self.needs: tuple[Need, ...] = needs

    def serve(self, request: Request, proceed: Handler) -> Outcome:
        """Leave the query to the next plugin."""
        return proceed(request)
