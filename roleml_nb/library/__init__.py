"""Ready roles and architectures."""

from .ad_psgd import AdPsgdWorker
from .consensus import consensus_distance
from .e_tree import TreeAggregator
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
from .mixing import column_stochastic, metropolis_hastings, mixing_matrix, row_stochastic, second_eigenvalue, uniform
from .planner import FixedTrainingPlanner, TrainingPlanner
from .ring import RingAggregator, RingCoordinator
from .trainer import BaseModelMaintainer, EpochTrainer, ModelMaintainer

__all__ = [
    "AdPsgdWorker", "BaseModelMaintainer", "ClientInitiator", "ClientSelector", "DefaultWeightedMerger", "EpochTrainer",
    "FedAvgAggregator", "FederatedCoordinator", "FixedTrainingPlanner", "GossipAggregator", "GossipCoordinator",
    "GradientsTrainer", "ModelMaintainer", "RingAggregator", "RingCoordinator", "ServerInitiator",
    "TorchStateDictAverager", "TorchStateDictCumulator", "TrainingPlanner", "TreeAggregator", "WeightedMerger",
    "WeightedTorchStateDictAverager", "average", "column_stochastic", "consensus_distance", "metropolis_hastings",
    "mixing_matrix", "row_stochastic", "second_eigenvalue", "uniform",
]
