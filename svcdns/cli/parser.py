"""How command lines are read and explained: argparse, with the habits of Go's programs."""

import argparse
import copy
import re
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the usage of the larger commands would bury it."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        # of -p/--p/-port/--port one is enough
        what = re.sub(r"^argument ([^/: ]+)[^: ]*: ", r"\1: ", message)
        self.exit(2, f"{self.prog}: {what}; '{self.prog} --help' lists the flags\n")


class Help(argparse.RawDescriptionHelpFormatter):
    """Shows ``-flag`` and ``--flag``, which Go's programs take for the same, once."""

    def _format_action_invocation(self, action: argparse.Action) -> str:
        once = copy.copy(action)
        by_name = {one.lstrip("-"): one for one in reversed(action.option_strings)}
        once.option_strings = [one for one in action.option_strings if one in by_name.values()]
        return super()._format_action_invocation(once)
