"""Engines, hosts, spawn, place, assign, relate, spec."""

from .deployment import Each, impl
from .nodes import Nodes
from .testbed import Testbed

__all__ = ["Each", "Nodes", "Testbed", "impl"]
