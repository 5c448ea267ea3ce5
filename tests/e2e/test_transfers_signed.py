"""A zone that Knot DNS signs, transferred and served by us: it verifies as Knot's own answers do."""

import asyncio
import shutil
from pathlib import Path

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.support.nameservers import knot, needs_knot
from tests.support.ports import free_port
from tests.support.process import running
from tests.support.waiting import eventually

DELV = shutil.which("delv")

ZONE = """\
$ORIGIN example.org.
$TTL 60
@ SOA ns hostmaster 7 3600 600 86400 60
@ NS ns
@ MX 10 mail
ns A 10.0.0.1
mail A 10.0.0.2
mail AAAA fd00::2
www CNAME web
web A 10.0.0.3
a.b.deep A 10.0.0.4
*.wild A 10.0.0.5
sub.wild TXT here
*.alias CNAME web
cut NS ns.cut
ns.cut A 10.0.0.6
safe NS ns.cut
safe DS 1 13 2 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
old DNAME new
x.new A 10.0.0.8
out CNAME www.example.net.
"""

QUESTIONS = [
    "example.org SOA", "example.org NS", "example.org MX", "example.org DNSKEY", "example.org AAAA",
    "example.org NSEC", "web.example.org A", "WEB.example.org A", "wEb.example.org A", "web.example.org AAAA",
    "mail.example.org AAAA", "nope.example.org A", "x.web.example.org A", "zzz.example.org A",
    "deep.example.org A", "b.deep.example.org TXT", "x.deep.example.org A", "www.example.org A",
    "www.example.org MX", "x.wild.example.org A", "x.y.wild.example.org A", "x.wild.example.org TXT",
    "sub.wild.example.org A", "x.sub.wild.example.org A", "wild.example.org A",
    "x.alias.example.org A", "x.alias.example.org TXT", "cut.example.org A", "x.cut.example.org A",
    "cut.example.org DS", "safe.example.org A", "x.safe.example.org TXT", "safe.example.org DS",
    "x.old.example.org A", "old.example.org A", "old.example.org DNAME",
]  # fmt: skip


async def asked(text: str, port: int, *, do: bool = True) -> dns.message.Message:
    name, rrtype = text.split()
    query = dns.message.make_query(name, rrtype, want_dnssec=do, payload=4096)
    return await dns.asyncquery.udp(query, "127.0.0.1", port=port, timeout=30)


def lines(section: list[dns.rrset.RRset], *, without: str = "") -> set[str]:
    """Records as text; *without* the NS of a zone's top that come along with positive answers."""
    return {
        f"{rrset.name.to_text().lower()} {rrset.ttl} {dns.rdatatype.to_text(rrset.rdtype)} {one}"
        for rrset in section
        for one in rrset
        if not (
            rrset.name.to_text().lower() == without
            and dns.rdatatype.NS in (rrset.rdtype, rrset.covers)
        )
    }


@needs_knot
async def test_answers_are_those_of_knot_and_verify(tmp_path: Path) -> None:
    theirs = free_port()
    corefile = tmp_path / "Corefile"
    corefile.write_text(
        f"example.org {{\n secondary {{\n  transfer from 127.0.0.1:{theirs}\n }}\n}}\n"
    )
    folder = tmp_path / "knot"
    folder.mkdir()
    (folder / "zone").write_text(ZONE)
    async with (
        running(corefile) as server,
        knot(folder, theirs, server.port, "notify: ours\n    dnssec-signing: on"),
    ):

        async def is_here() -> bool:
            keys = await asked("example.org DNSKEY", server.port)
            return keys.rcode() == dns.rcode.NOERROR and bool(keys.answer)

        await eventually(is_here, 60)
        for text in QUESTIONS:
            ours, knots = await asked(text, server.port), await asked(text, theirs)
            top = "example.org." if ours.answer else ""
            assert ours.rcode() == knots.rcode(), text
            assert lines(ours.answer) == lines(knots.answer), text
            assert lines(ours.authority, without=top) == lines(knots.authority), text
            plain = await asked(text, server.port, do=False)
            if not text.endswith("NSEC"):
                found = {rrset.rdtype for rrset in (*plain.answer, *plain.authority)}
                assert not found & {dns.rdatatype.RRSIG, dns.rdatatype.NSEC}, text
        if DELV:
            await verified(tmp_path, server.port)


async def verified(folder: Path, port: int) -> None:
    """Have BIND's verifier say of every answer that it is fully validated."""
    keys = await asked("example.org DNSKEY", port)
    [secure] = [
        one for rrset in keys.answer if rrset.rdtype == dns.rdatatype.DNSKEY
        for one in rrset if one.flags & 1
    ]  # fmt: skip
    flags, protocol, algorithm, key = secure.to_text().split(maxsplit=3)
    anchor = folder / "anchor"
    anchor.write_text(
        f'trust-anchors {{ example.org. static-key {flags} {protocol} {algorithm} "{key}"; }};\n'
    )
    referred = ("cut", "safe")
    for text in QUESTIONS:
        name, rrtype = text.split()
        if rrtype != "DS" and any(part in name for part in referred):
            continue
        process = await asyncio.create_subprocess_exec(
            str(DELV), "@127.0.0.1", "-p", str(port), "-a", str(anchor), "+root=example.org",
            name, rrtype, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await asyncio.wait_for(process.communicate(), 30)
        assert b"fully validated" in said, (text, said.decode())
