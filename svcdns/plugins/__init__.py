"""The plugins of CoreDNS, one module each, and the chain that runs them.

Belongs here: what a query gets for an answer.  A plugin is pure: it takes a
:class:`~svcdns.plugins.base.Request` and returns an :class:`~svcdns.plugins.base.Outcome`; what
needs the network comes back as a value (:class:`~svcdns.plugins.base.Ask`), what needs a file, a
port or a timer is declared in :attr:`~svcdns.plugins.base.Plugin.needs`.
"""
