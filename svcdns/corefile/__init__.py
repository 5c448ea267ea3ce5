"""Corefiles: text in, server blocks and directives out.

Belongs here: the grammar of the Caddyfile as CoreDNS reads it.  What a directive means is its
plugin's business.  Opens no file: texts and the loader for ``import`` are arguments.
"""
