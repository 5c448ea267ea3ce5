"""Addresses with ports as text.

Spec: RFC 3986 §3.2.2 (an IPv6 address stands in brackets in front of a port).
"""


def bracketed(host: str) -> str:
    """Give a host as it stands in front of a port."""
    return f"[{host}]" if ":" in host else host


def host_port(host: str, port: int | str) -> str:
    """Join host and port."""
    return f"{bracketed(host)}:{port}"
