"""Engines, hosts, spawn, place, assign, relate, spec."""

from roleml_nb.spec.per_node import Each, impl

from .nodes import Nodes
from .testbed import Testbed

__all__ = ["Each", "Nodes", "Testbed", "impl"]
