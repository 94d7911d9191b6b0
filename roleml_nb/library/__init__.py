"""Ready roles and architectures."""

from .federated import ClientSelector, FedAvgAggregator, FederatedCoordinator
from .gossip import GossipAggregator, GossipCoordinator
from .gradients import GradientsTrainer
from .initiators import ClientInitiator, ServerInitiator
from .mergers import (
    DefaultWeightedMerger,
    TorchStateDictAverager,
    TorchStateDictCumulator,
    WeightedMerger,
    WeightedTorchStateDictAverager,
    average,
)
from .planner import FixedTrainingPlanner, TrainingPlanner
from .trainer import BaseModelMaintainer, EpochTrainer, ModelMaintainer

__all__ = [
    "BaseModelMaintainer", "ClientInitiator", "ClientSelector", "DefaultWeightedMerger", "EpochTrainer",
    "FedAvgAggregator", "FederatedCoordinator", "FixedTrainingPlanner", "GossipAggregator", "GossipCoordinator",
    "GradientsTrainer", "ModelMaintainer", "ServerInitiator", "TorchStateDictAverager", "TorchStateDictCumulator",
    "TrainingPlanner", "WeightedMerger", "WeightedTorchStateDictAverager", "average",
]
