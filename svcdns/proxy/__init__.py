"""What the service proxy forwards, and how that is put to the kernel or to relays.

Belongs here: every decision of kube-proxy (rules R1 to R135 of the behaviour reference) as plain
functions on objects.  No sockets, no processes: :mod:`svcdns.aio` carries the plans out.
"""
