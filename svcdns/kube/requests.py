"""The requests that carry out a reflector's commands: path and query.

Spec: https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from typing import TypeAlias, assert_never

from svcdns.kube.objects import Kind
from svcdns.kube.reflector import List, Watch, WatchList
from svcdns.kube.resources import RESOURCES
from svcdns.kube.source import ApiSource

Query: TypeAlias = tuple[tuple[str, str], ...]


def path(kind: Kind) -> str:
    """Give the path of the collection, over all namespaces."""
    return RESOURCES[kind].collection


def query(source: ApiSource, kind: Kind, command: List | Watch | WatchList, seconds: int) -> Query:
    """Give the query of a request.

    Args:
        source: For the selectors (rules F3, G2, G3, R2, R3).
        kind: What is asked for.
        command: How.
        seconds: When the server shall end a watch; different for each, so that not all watches
            of all clients come back at once.
    """
    selectors: Query = ()
    if text := source.label_selectors.get(kind):
        selectors += (("labelSelector", text),)
    if text := source.field_selectors.get(kind):
        selectors += (("fieldSelector", text),)
    match command:
        case List(continue_token=token, limit=limit):
            limited: Query = (("limit", str(limit)),) if limit else ()
            continued: Query = (("continue", token),) if token else ()
            return (*limited, *continued, *selectors)
        case Watch(resource_version=version):
            return (*_watching(seconds), ("resourceVersion", version), *selectors)
        case WatchList():
            # Without resourceVersionMatch the server answers 422.
            return (
                *_watching(seconds),
                ("sendInitialEvents", "true"),
                ("resourceVersionMatch", "NotOlderThan"),
                *selectors,
            )
        case _:
            assert_never(command)


def _watching(seconds: int) -> Query:
    return (("watch", "true"), ("allowWatchBookmarks", "true"), ("timeoutSeconds", str(seconds)))
