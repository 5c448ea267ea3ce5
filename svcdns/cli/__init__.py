"""Command lines: flags in, an exit status out.

One module a command, each with ``HELP``, ``add_arguments(parser)`` and ``run(args)``.  A module is
imported only when its command is asked for, so that no process pays for another's imports.
Called under the name ``coredns`` or ``kube-proxy`` the program is that command: this is how an
image takes the place of the stock one without a change of arguments.
"""

import argparse
import os
import sys
from importlib import import_module
from pathlib import PurePath
from typing import Protocol, cast

from svcdns import __version__
from svcdns.cli.parser import Help, Parser
from svcdns.errors import ConfigError

COMMANDS = ("up", "dns", "proxy", "check", "explain", "top")
"""In the order of the help text."""

_CALLED_AS = {"coredns": "dns", "node-cache": "dns", "kube-proxy": "proxy"}

_SUMMARY = """\
usage: svcdns COMMAND [flags]

  up [DIR]               manifests in DIR become a working service network on loopback
  dns -conf Corefile     the cluster DNS server; takes CoreDNS's flags
  proxy --config FILE    the service proxy; takes kube-proxy's flags and configuration
  check FILE...          says what a Corefile or proxy configuration amounts to
  explain NAME [TYPE]    answers a question and says why
  top [ADDRESS|URL]      what the service proxy does, live in a terminal

'svcdns COMMAND --help' lists the flags of a command; 'svcdns --version' prints the version."""


class Command(Protocol):
    """What a command's module offers."""

    HELP: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's flags."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; the exit status.

        Raises:
            ConfigError: Printed as one line, exit status 1.
        """


def main(argv: list[str] | None = None) -> int:
    """Run the command that *argv* (default: the process's arguments) asks for."""
    words = list(sys.argv[1:] if argv is None else argv)
    called_as = _CALLED_AS.get(PurePath(sys.argv[0]).name) if argv is None else None
    if called_as:
        words.insert(0, called_as)
    if words[:1] == ["help"] and words[1:2] and words[1] in COMMANDS:
        words = [words[1], "--help"]
    if not words or words[0] in ("-h", "--help", "help"):
        print(_SUMMARY)
        return 0 if words else 2
    if words[0] in ("-V", "--version", "version"):
        print(f"svcdns {__version__}")
        return 0
    if words[0] not in COMMANDS:
        print(f"svcdns: unknown command {words[0]!r}\n\n{_SUMMARY}", file=sys.stderr)
        return 2
    return _run(words[0], words[1:])


def _run(name: str, words: list[str]) -> int:
    try:  # around the import too: it takes long enough to meet a Ctrl-C
        command = cast("Command", import_module(f"svcdns.cli.{name}"))
        parser = Parser(
            prog=f"svcdns {name}",
            description=command.HELP,
            allow_abbrev=False,
            formatter_class=Help,
        )
        command.add_arguments(parser)
        status = command.run(parser.parse_args(words))
        sys.stdout.flush()
        return status
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read has read enough; what is still buffered must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
