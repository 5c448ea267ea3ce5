"""Measurements: one module a question, each prints a table.

``make bench`` runs them all, ``python -m benchmarks.hot`` runs one.  Peers and svcdns take turns in
one run on one machine, every figure is the median of several rounds, and the columns to trust are
ratios: absolute figures depend on the machine and on what else runs there.  The server is pinned to
one core and the load generator to another where there are two.

A module here measures something and writes nothing into the repository.  Needs Debian's dnsperf,
and knot, nsd, unbound and dnsmasq as peers; coredns where it is on PATH or ``COREDNS`` names it.
What is missing is said, and left out.  ``QUICK=1``
takes fewer, shorter rounds on a smaller cluster.
"""
