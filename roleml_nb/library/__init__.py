"""Ready roles and architectures."""

from .ad_psgd import AdPsgdWorker
from .consensus import consensus_distance
from .e_tree import TreeAggregator
from .federated import FedAvgAggregator, FederatedCoordinator
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
from .oort import OortSelector
from .planner import FixedTrainingPlanner, TrainingPlanner
from .ring import RingAggregator, RingCoordinator
from .selection import ClientSelector, DataSizeSelector, PowerOfChoiceSelector
from .server_optimizers import FedAdagrad, FedAdam, FedAvgM, FedYogi
from .strategies import ClientResult, FedAvg, FedNova, QFedAvg, Scaffold, SteppingStrategy, Strategy
from .trainer import BaseModelMaintainer, EpochTrainer, ModelMaintainer

__all__ = [
    "AdPsgdWorker", "BaseModelMaintainer", "ClientInitiator", "ClientResult", "ClientSelector", "DataSizeSelector",
    "DefaultWeightedMerger", "EpochTrainer", "FedAdagrad", "FedAdam", "FedAvg", "FedAvgAggregator", "FedAvgM",
    "FedNova", "FedYogi", "FederatedCoordinator", "FixedTrainingPlanner", "GossipAggregator", "GossipCoordinator",
    "GradientsTrainer", "ModelMaintainer", "OortSelector", "PowerOfChoiceSelector", "QFedAvg", "RingAggregator",
    "RingCoordinator", "Scaffold", "ServerInitiator", "SteppingStrategy", "Strategy", "TorchStateDictAverager",
    "TorchStateDictCumulator", "TrainingPlanner", "TreeAggregator", "WeightedMerger", "WeightedTorchStateDictAverager",
    "average", "column_stochastic", "consensus_distance", "metropolis_hastings", "mixing_matrix", "row_stochastic",
    "second_eigenvalue", "uniform",
]
