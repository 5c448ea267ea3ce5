"""What dnslib is let near, and what is kept from it."""

import subprocess
import sys

import pytest

from svcdns.dns import rare
from svcdns.dns.constants import RRType
from svcdns.dns.name import ROOT
from tests.support.wire import wire_name


def test_names_never_reach_dnslib() -> None:
    r"""It reads ``a\.b`` as two labels and refuses octets that are not UTF-8."""
    target = wire_name("a\\.b.\\200")
    wire = rare.pack(RRType.NSEC, ["ignored", "A"], target)
    assert wire.startswith(target)
    assert rare.text(RRType.NSEC, wire) == "a\\.b.\\200. A"


def test_service_parameters_are_sorted() -> None:
    """RFC 9460 §2.2: receivers treat unsorted parameters as malformed."""
    sorted_ = rare.pack(RRType.HTTPS, ["1", ".", "alpn=h2", "port=1"], ROOT)
    assert rare.pack(RRType.HTTPS, ["1", ".", "port=1", "alpn=h2"], ROOT) == sorted_


@pytest.mark.parametrize("value", [b"x y", b"x\\y", b'x"y', b"x;y", b"x(y"])
def test_what_dnslib_writes_ambiguously_is_not_believed(value: bytes) -> None:
    """It neither quotes nor escapes the values of parameters without a name."""
    wire = b"\x00\x01\x00\x02\x9b\x00\x03" + value
    with pytest.raises(ValueError):
        rare.text(RRType.SVCB, wire)
    plain = b"\x00\x01\x00\x02\x9b\x00\x03xyz"
    assert rare.text(RRType.SVCB, plain) == "1 . key667=xyz"


@pytest.mark.parametrize("rrtype", sorted(rare.CLASSES))
@pytest.mark.parametrize("size", [0, 1, 3, 7, 20])
def test_dnslibs_exceptions_become_value_errors(rrtype: int, size: int) -> None:
    try:
        rare.text(rrtype, b"\xff" * size)
    except ValueError:
        pass
    with pytest.raises(ValueError):
        rare.pack(rrtype, ["\N{SNOWMAN}"] * 9, ROOT if rrtype in rare.NAME_WORD else None)


def test_dnslib_is_imported_at_first_use_only() -> None:
    """A server that only answers does not pay for it."""
    code = (
        "import sys, svcdns.dns.text as t; assert 'dnslib' not in sys.modules;"
        "t.record_to_text(t.record_from_text('a. A 192.0.2.1')); assert 'dnslib' not in sys.modules;"
        "t.record_from_text('a. DS 1 2 3 00'); assert 'dnslib' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
