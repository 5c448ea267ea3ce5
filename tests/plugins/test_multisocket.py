import msgspec
import pytest

from svcdns.errors import CorefileError
from svcdns.plugins import multisocket
from svcdns.plugins.base import LameDuck, Periodic, Reload, WatchDirectory, WatchFile
from tests.support.corefile import Outside, directives, set_up


@pytest.mark.parametrize(
    ("text", "processors", "sockets", "warned"),
    [
        ("multisocket", 4, 4, False),
        ("multisocket", 1, 1, False),
        ("multisocket 1", 4, 1, False),
        ("multisocket 8", 4, 8, False),
        ("multisocket 9", 4, 8, True),
        ("multisocket 1024", 4, 8, True),
        ("multisocket 2", 1, 2, False),
    ],
)
def test_the_number_of_sockets(text: str, processors: int, sockets: int, warned: bool) -> None:
    outside = Outside()
    context = msgspec.structs.replace(outside.context(), processors=processors)

    assert multisocket.setup(directives(text), context).sockets == sockets
    assert bool(outside.warnings) is warned


@pytest.mark.parametrize(
    "text",
    [
        "multisocket 0",
        "multisocket 1025",
        "multisocket x",
        "multisocket 1 2",
    ],
)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(CorefileError):
        set_up(multisocket.setup, text)


def test_a_worker_reads_files_and_probes_upstreams_and_leaves_the_rest_to_the_first_process() -> (
    None
):
    file = WatchFile("/etc/hosts", 5.0, lambda content: None)
    folder = WatchDirectory("/zones", 5.0, lambda path: True, lambda files: None)
    probes = Periodic("forward", 0.5, lambda now: ())
    loops = Periodic("loop", 2.0, lambda now: ())
    own = Periodic("health", 1.0, lambda now: ())

    needs = (file, LameDuck(5.0), probes, own, Reload(30.0, 15.0), folder, loops)

    assert multisocket.work_of_worker(needs) == (file, probes, folder, loops)
