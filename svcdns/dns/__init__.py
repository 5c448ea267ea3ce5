"""Names and messages of the DNS: wire forms in and out.

Belongs here: what RFC 1035 and its successors say about bytes.  Knows no Kubernetes, no server
and no configuration; imports nothing of svcdns but :mod:`svcdns.errors`.
"""
