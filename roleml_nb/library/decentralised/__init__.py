"""Decentralised learning: gossip, rings, trees, and methods that mix neighbours' models."""

from .decentralised import DecentralisedCoordinator

__all__ = ["DecentralisedCoordinator"]
