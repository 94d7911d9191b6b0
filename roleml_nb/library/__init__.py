"""Ready roles and architectures."""

from roleml_nb.library.aggregation.mergers import (
    DefaultWeightedMerger,
    TorchStateDictAverager,
    TorchStateDictCumulator,
    WeightedMerger,
    WeightedTorchStateDictAverager,
    average,
)
from roleml_nb.library.decentralised.ad_psgd import AdPsgdWorker
from roleml_nb.library.decentralised.choco import ChocoMixer
from roleml_nb.library.decentralised.compressors import Compressor, Quantization, RandomK, TopK
from roleml_nb.library.decentralised.consensus import consensus_distance
from roleml_nb.library.decentralised.coordinator import DecentralisedCoordinator
from roleml_nb.library.decentralised.d_psgd import DPsgdMixer
from roleml_nb.library.decentralised.e_tree import TreeAggregator
from roleml_nb.library.decentralised.epidemic import EpidemicMixer
from roleml_nb.library.decentralised.gossip import GossipAggregator, GossipCoordinator
from roleml_nb.library.decentralised.mixers import Mixer
from roleml_nb.library.decentralised.push_sum import StochasticGradientPush
from roleml_nb.library.decentralised.ring import RingAggregator
from roleml_nb.library.decentralised.ring_coordinator import RingCoordinator
from roleml_nb.library.decentralised.token_accounts import (
    GeneralizedTokenAccount,
    Proactive,
    RandomizedTokenAccount,
    SimpleTokenAccount,
    TokenAccount,
)
from roleml_nb.library.federated.aggregator import FedAvgAggregator
from roleml_nb.library.federated.asynchronous import AsynchronousStrategy, FedAsync, FedBuff
from roleml_nb.library.federated.asynchronous_coordinator import AsynchronousCoordinator
from roleml_nb.library.federated.clustered import ClusteredCoordinator
from roleml_nb.library.federated.federated_coordinator import FederatedCoordinator
from roleml_nb.library.federated.initiators import ClientInitiator, ServerInitiator
from roleml_nb.library.federated.oort import OortSelector
from roleml_nb.library.federated.selection import (
    ClientSelector,
    DataSizeSelector,
    PowerOfChoiceSelector,
)
from roleml_nb.library.federated.server_optimizers import FedAdagrad, FedAdam, FedAvgM, FedYogi
from roleml_nb.library.federated.strategies import (
    ClientResult,
    FedAvg,
    FedNova,
    QFedAvg,
    Scaffold,
    SteppingStrategy,
    Strategy,
)
from roleml_nb.library.training.gradients import GradientsTrainer
from roleml_nb.library.training.model_maintainer import BaseModelMaintainer, ModelMaintainer
from roleml_nb.library.training.planner import FixedTrainingPlanner, TrainingPlanner
from roleml_nb.library.training.trainer import EpochTrainer
from roleml_nb.role.checks.arguments import check_types
from roleml_nb.topologies.mixing_weights import (
    column_stochastic,
    metropolis_hastings,
    mixing_matrix,
    row_stochastic,
    second_eigenvalue,
    uniform,
)

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
