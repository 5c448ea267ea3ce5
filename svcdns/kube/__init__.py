"""Objects of the Kubernetes API and the cache of them.

Belongs here: what the API's objects mean, how a list and a watch keep a copy of them, and what a
manifest amounts to.  No HTTP, no clock, no DNS and no forwarding.
"""
