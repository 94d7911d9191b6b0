"""gossipy's simulator on samples from a file: models sent per second, printed.

See gossip.py, which runs it.

    python gossipy_rate.py samples.npz NODES DEGREE ROUNDS
"""

from __future__ import annotations

import sys
import time

import networkx as nx
import numpy as np
import torch
from gossipy.core import AntiEntropyProtocol, CreateModelMode, StaticP2PNetwork
from gossipy.data import DataDispatcher
from gossipy.data.handler import ClassificationDataHandler
from gossipy.model.handler import TorchModelHandler
from gossipy.model.nn import TorchMLP
from gossipy.node import GossipNode
from gossipy.simul import GossipSimulator

STEPS = 10
"""Simulated time steps per round, few, for the simulator goes through all nodes in each."""


def main() -> None:
    path, (nodes, degree, rounds) = sys.argv[1], map(int, sys.argv[2:])
    torch.set_num_threads(1)
    samples = np.load(path)
    handler = ClassificationDataHandler(
        torch.from_numpy(samples["x"]), torch.from_numpy(samples["y"]), test_size=0
    )
    data = DataDispatcher(handler, n=nodes, eval_on_user=False)
    network = StaticP2PNetwork(
        nodes, nx.to_numpy_array(nx.random_regular_graph(degree, nodes, seed=42))
    )
    model = TorchModelHandler(
        net=TorchMLP(64, 10, (64,)),
        optimizer=torch.optim.SGD,
        optimizer_params={"lr": 0.1},
        batch_size=32,
        criterion=torch.nn.CrossEntropyLoss(),
        create_model_mode=CreateModelMode.MERGE_UPDATE,
    )
    simulator = GossipSimulator(
        nodes=GossipNode.generate(
            data_dispatcher=data, p2p_net=network, model_proto=model, round_len=STEPS, sync=True
        ),
        data_dispatcher=data,
        delta=STEPS,
        protocol=AntiEntropyProtocol.PUSH,
    )
    simulator.init_nodes()
    simulator.start(2)
    start = time.perf_counter()
    simulator.start(rounds)
    print(nodes * rounds / (time.perf_counter() - start))


if __name__ == "__main__":
    main()
