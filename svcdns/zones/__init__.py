"""Cluster objects as DNS data.

Belongs here: which names exist under a cluster zone and what they hold, by the Kubernetes DNS
specification and CoreDNS's ``kubernetes`` plugin.  Chooses records; does not see messages,
clients or chains.
"""
