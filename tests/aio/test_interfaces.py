import json
import shutil
import subprocess

import pytest

from svcdns.aio.interfaces import interfaces


def test_the_loopback_interface_has_its_addresses() -> None:
    assert "127.0.0.1" in interfaces()["lo"]


@pytest.mark.skipif(not shutil.which("ip"), reason="iproute2 is not installed")
def test_it_agrees_with_ip() -> None:
    text = subprocess.run(["ip", "-json", "addr"], check=True, capture_output=True).stdout
    expected = {
        link["ifname"]: tuple(
            f"{one['local']}%{link['ifname']}"
            if one["scope"] == "link" and one["family"] == "inet6"
            else one["local"]
            for one in link["addr_info"]
        )
        for link in json.loads(text)
        if link["addr_info"]
    }

    assert {name: set(found) for name, found in interfaces().items()} == {
        name: set(found) for name, found in expected.items()
    }
