"""Federated learning: coordinators, selection of clients, and strategies of the server."""

from .aggregator import FedAvgAggregator
from .federated_coordinator import FederatedCoordinator

__all__ = ["FedAvgAggregator", "FederatedCoordinator"]
