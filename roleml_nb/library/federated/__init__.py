"""Federated learning: coordinators, selection of clients, and strategies of the server."""

from .federated import FedAvgAggregator, FederatedCoordinator

__all__ = ["FedAvgAggregator", "FederatedCoordinator"]
