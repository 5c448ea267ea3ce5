"""Cluster DNS and service proxy for Kubernetes test clusters."""

__version__ = "0.1.0"
