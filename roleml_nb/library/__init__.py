"""Ready roles and architectures."""

from .federated import ClientSelector, FedAvgAggregator, FederatedCoordinator
from .gossip import GossipAggregator, GossipCoordinator
from .mergers import average
from .trainer import EpochTrainer, ModelMaintainer

__all__ = [
    "ClientSelector", "EpochTrainer", "FedAvgAggregator", "FederatedCoordinator", "GossipAggregator",
    "GossipCoordinator", "ModelMaintainer", "average",
]
