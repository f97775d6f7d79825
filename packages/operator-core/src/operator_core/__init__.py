"""Operator's core: the durable action engine and the loop around it."""

__version__ = "0.3.0"
