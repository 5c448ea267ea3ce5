"""A zone of every kind of name, for the plugins that serve zones."""

from svcdns.plugins.slices import finish
from svcdns.plugins.zonedata import Zone
from svcdns.plugins.zonefile import parse
from tests.support.records import wire_name

ORIGIN = wire_name("example.org")
TEXT = b"""$ORIGIN example.org.
$TTL 60
@ SOA ns hostmaster 7 7200 1800 86400 60
@ NS ns
@ NS ns.example.net.
@ MX 10 mail
ns A 10.0.0.1
mail A 10.0.0.2
mail AAAA fd00::2
www CNAME web
web A 10.0.0.3
out CNAME www.example.net.
chain CNAME www
gone CNAME nowhere
loop CNAME pool
pool CNAME loop
a.b.deep A 10.0.0.4
*.wild A 10.0.0.5
*.wild MX 10 mail
sub.wild TXT here
*.alias CNAME web
cut NS ns.cut
cut NS ns
ns.cut A 10.0.0.6
cut DS 1 13 2 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
hidden.cut A 10.0.0.7
tocut CNAME x.cut
old DNAME new
x.new A 10.0.0.8
_srv SRV 0 1 80 web
"""


def zone_of(text: bytes) -> Zone:
    """Make the zone of a zone file that includes no other."""
    found = finish(parse(text, ORIGIN, "db", dict[str, bytes]().__getitem__))
    return Zone(ORIGIN, found.records, found.soa)


ZONE = zone_of(TEXT)
FILES = {"/db": TEXT, "/zones/db": TEXT}
