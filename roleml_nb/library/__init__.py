"""Ready roles and architectures."""

from ..role.arguments import check_types
from .ad_psgd import AdPsgdWorker
from .asynchronous import AsynchronousStrategy, FedAsync, FedBuff
from .asynchronous_coordinator import AsynchronousCoordinator
from .choco import ChocoMixer
from .clustered import ClusteredCoordinator
from .compressors import Compressor, Quantization, RandomK, TopK
from .consensus import consensus_distance
from .d_psgd import DPsgdMixer
from .decentralised import DecentralisedCoordinator
from .e_tree import TreeAggregator
from .epidemic import EpidemicMixer
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
from .mixers import Mixer
from .mixing import (
    column_stochastic,
    metropolis_hastings,
    mixing_matrix,
    row_stochastic,
    second_eigenvalue,
    uniform,
)
from .oort import OortSelector
from .planner import FixedTrainingPlanner, TrainingPlanner
from .push_sum import StochasticGradientPush
from .ring import RingAggregator, RingCoordinator
from .selection import ClientSelector, DataSizeSelector, PowerOfChoiceSelector
from .server_optimizers import FedAdagrad, FedAdam, FedAvgM, FedYogi
from .strategies import ClientResult, FedAvg, FedNova, QFedAvg, Scaffold, SteppingStrategy, Strategy
from .token_accounts import (
    GeneralizedTokenAccount,
    Proactive,
    RandomizedTokenAccount,
    SimpleTokenAccount,
    TokenAccount,
)
from .trainer import BaseModelMaintainer, EpochTrainer, ModelMaintainer

__all__ = [
    "AdPsgdWorker",
    "AsynchronousCoordinator",
    "AsynchronousStrategy",
    "BaseModelMaintainer",
    "ChocoMixer",
    "ClientInitiator",
    "ClientResult",
    "ClientSelector",
    "ClusteredCoordinator",
    "Compressor",
    "DPsgdMixer",
    "DataSizeSelector",
    "DecentralisedCoordinator",
    "DefaultWeightedMerger",
    "EpidemicMixer",
    "EpochTrainer",
    "FedAdagrad",
    "FedAdam",
    "FedAsync",
    "FedAvg",
    "FedAvgAggregator",
    "FedAvgM",
    "FedBuff",
    "FedNova",
    "FedYogi",
    "FederatedCoordinator",
    "FixedTrainingPlanner",
    "GeneralizedTokenAccount",
    "GossipAggregator",
    "GossipCoordinator",
    "GradientsTrainer",
    "Mixer",
    "ModelMaintainer",
    "OortSelector",
    "PowerOfChoiceSelector",
    "Proactive",
    "QFedAvg",
    "Quantization",
    "RandomK",
    "RandomizedTokenAccount",
    "RingAggregator",
    "RingCoordinator",
    "Scaffold",
    "ServerInitiator",
    "SimpleTokenAccount",
    "SteppingStrategy",
    "StochasticGradientPush",
    "Strategy",
    "TokenAccount",
    "TopK",
    "TorchStateDictAverager",
    "TorchStateDictCumulator",
    "TrainingPlanner",
    "TreeAggregator",
    "WeightedMerger",
    "WeightedTorchStateDictAverager",
    "average",
    "column_stochastic",
    "consensus_distance",
    "metropolis_hastings",
    "mixing_matrix",
    "row_stochastic",
    "second_eigenvalue",
    "uniform",
]

check_types(globals())
