"""From directives to plugins: which module reads a directive, and in which order.

A plugin is supported when there is a module of its name in this package with a ``setup``; no other
list says so.  Modules are imported when a Corefile asks for them, so that nobody pays for plugins
that are not used.
"""

from collections.abc import Generator, Iterator
from importlib import import_module
from importlib.util import find_spec
from traceback import extract_tb
from typing import cast

from svcdns.corefile.syntax import Directive, ServerBlock
from svcdns.errors import ConfigError, CorefileError, about_file
from svcdns.plugins.base import Context, Plugin, Setup
from svcdns.plugins.order import BY_NAME, NAMES, Support
from svcdns.plugins.slices import Slices


def find_setup(name: str) -> Setup | None:
    """Import the plugin's module and give its ``setup``; ``None`` when there is none."""
    module = f"svcdns.plugins.{name}"
    if name not in BY_NAME or find_spec(module) is None:
        return None
    return cast("Setup | None", getattr(import_module(module), "setup", None))


def support_of(name: str) -> Support:
    """Say what becomes of a directive of plugin.cfg.

    Raises:
        KeyError: plugin.cfg does not have the name.
    """
    entry = BY_NAME[name]
    return Support.SUPPORTED if find_setup(name) is not None else entry.without


def groups(block: ServerBlock) -> Iterator[tuple[Directive, ...]]:
    """Give the directives of a block by name, in the order of execution.

    Raises:
        CorefileError: plugin.cfg does not have a directive.
    """
    by_name: dict[str, list[Directive]] = {}
    for directive in block.directives:
        if directive.name not in BY_NAME:
            message = f"Error during parsing: Unknown directive '{directive.name}'"
            raise CorefileError(directive.file, directive.line, message)
        by_name.setdefault(directive.name, []).append(directive)
    for name in NAMES:
        if name in by_name:
            yield tuple(by_name[name])


def set_up(directives: tuple[Directive, ...], context: Context) -> Slices[Plugin | None]:
    """Set one plugin up from all its directives in a block.

    Args:
        directives: At least one; all of one name of plugin.cfg.
        context: The block's.

    Returns:
        ``None`` when nothing goes into the chain.

    Raises:
        CorefileError: The plugin is refused, or its arguments are wrong, or a file is missing.  So
            is a bug in it: at a reload that must not end the server that runs.
    """
    first = directives[0]
    setup = find_setup(first.name)
    if setup is not None:
        try:
            made = setup(directives, context)
            return (yield from made) if isinstance(made, Generator) else made
        except OSError as error:
            message = f"plugin/{first.name}: {about_file(error)}"
            raise CorefileError(first.file, first.line, message) from error
        except ConfigError:
            raise
        except Exception as error:
            message = f"plugin/{first.name}: a bug in svcdns: {_placed(error)}; please report it"
            raise CorefileError(first.file, first.line, message) from error
    entry = BY_NAME[first.name]
    if entry.without is Support.REFUSED:
        raise CorefileError(first.file, first.line, f"plugin/{first.name}: {entry.why}")
    context.warn(f"{first.file}:{first.line} - {first.name} has no effect: {entry.why}")
    return None


def _placed(error: Exception) -> str:
    """Say what happened where, for who mends it."""
    frame = extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} ({error}) at {frame.filename}:{frame.lineno}"


def build(block: ServerBlock, context: Context) -> Slices[tuple[Plugin, ...]]:
    """Set all plugins of a block up.

    Returns:
        The chain, the first to see a query first.

    Raises:
        CorefileError: The block cannot be served.
    """
    found = []
    for directives in groups(block):
        found.append((yield from set_up(directives, context)))
    return tuple(plugin for plugin in found if plugin is not None)
