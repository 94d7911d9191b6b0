"""Decentralised learning: gossip, rings, trees, and methods that mix neighbours' models."""

from .coordinator import DecentralisedCoordinator

__all__ = ["DecentralisedCoordinator"]
