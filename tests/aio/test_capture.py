"""Local routes in real network namespaces, looked at with iproute2."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from svcdns.proxy.capture import ROUTE_PROTOCOL
from tests.support.namespaces import Namespace, require_root

ROOT = Path(__file__).parents[2]

CAPTURE = """
import logging, sys
from svcdns.aio import capture
from svcdns.errors import ConfigError
from svcdns.proxy.capture import ranges
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
wanted = ranges(sys.argv[2:])
one = capture.Capture(wanted)
try:
    match sys.argv[1]:
        case "start":
            one.start()
        case "clean":
            sys.exit(0 if capture.clean_up(wanted) else 1)
        case "both":
            one.start()
            one.stop()
except ConfigError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def pod() -> Iterator[Namespace]:
    require_root()
    found = Namespace(f"svcdns-c{os.getpid()}")
    try:
        found.address("10.244.1.5/24", "fd00:10:244::5/64")
        yield found
    finally:
        found.close()


def run(pod: Namespace, *arguments: str, prefix: tuple[str, ...] = ()) -> tuple[int, str]:
    done = pod.run(*prefix, "env", f"PYTHONPATH={ROOT}", sys.executable, "-c", CAPTURE, *arguments)
    return done.returncode, done.stdout + done.stderr


def routes(pod: Namespace) -> list[str]:
    found: list[dict[str, Any]] = []
    for family in ("-4", "-6"):
        text = pod.run("ip", "-j", "-N", family, "route", "show", "table", "local").stdout
        found += json.loads(text or "[]")
    return [one["dst"] for one in found if one.get("protocol") == str(ROUTE_PROTOCOL)]


CIDRS = ("10.96.0.0/12", "fd00:10:96::/108")


def test_ranges_become_local_and_stay_when_the_process_is_over(pod: Namespace) -> None:
    assert run(pod, "start", *CIDRS)[0] == 0
    assert routes(pod) == [*CIDRS]
    assert "local 10.96.0.10 dev lo" in pod.run("ip", "route", "get", "10.96.0.10").stdout
    assert "local fd00:10:96::a " in pod.run("ip", "-6", "route", "get", "fd00:10:96::a").stdout


def test_what_was_made_is_taken_back(pod: Namespace) -> None:
    assert run(pod, "both", *CIDRS)[0] == 0
    assert routes(pod) == []


def test_a_route_that_was_there_is_not_ours_to_take_back(pod: Namespace) -> None:
    run(pod, "start", *CIDRS)
    status, said = run(pod, "both", *CIDRS)
    assert status == 0
    assert "10.96.0.0/12 is local already" in said
    assert routes(pod) == [*CIDRS]


def test_cleaning_up_takes_ours_and_no_others(pod: Namespace) -> None:
    pod.run("ip", "route", "add", "local", "10.112.0.0/12", "dev", "lo")
    run(pod, "start", *CIDRS)
    assert run(pod, "clean", *CIDRS, "10.112.0.0/12")[0] == 0
    assert routes(pod) == []
    assert "10.112.0.0/12" in pod.run("ip", "route", "show", "table", "local").stdout
    assert run(pod, "clean", *CIDRS)[0] == 0


def test_the_range_of_pods_is_refused_before_anything_is_changed(pod: Namespace) -> None:
    status, said = run(pod, "start", "10.96.0.0/12", "10.244.0.0/16")
    assert status == 1
    assert "10.244.0.0/16 has 10.244.1.5, an address of this machine" in said
    assert routes(pod) == []


def test_without_the_privilege_it_says_what_is_missing(pod: Namespace) -> None:
    status, said = run(pod, "start", *CIDRS, prefix=("setpriv", "--bounding-set=-net_admin"))
    if "setpriv" in said:
        pytest.skip("no setpriv here")
    assert status == 1
    assert "10.96.0.0/12 cannot be made local: operation not permitted" in said
    assert "NET_ADMIN" in said
