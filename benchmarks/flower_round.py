"""The work of fedavg_round.py in Flower's simulation; prints the median ms of a round, and the
seconds of all. See there.

    python flower_round.py parts.npz CLIENTS ROUNDS
"""

from __future__ import annotations

import os
import statistics
import sys
import time

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")

import numpy as np
import torch
from flwr.client import ClientApp, NumPyClient
from flwr.common import ndarrays_to_parameters
from flwr.server import ServerApp, ServerAppComponents, ServerConfig
from flwr.server.strategy import FedAvg
from flwr.simulation import run_simulation
from torch.nn.functional import cross_entropy


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))


class Client(NumPyClient):
    """One epoch in batches of 32, SGD at 0.1."""

    def __init__(self, x: np.ndarray, y: np.ndarray):
        self.module, self.x, self.y = network(), torch.from_numpy(x), torch.from_numpy(y)

    def fit(self, parameters: list[np.ndarray], config: dict) -> tuple[list[np.ndarray], int, dict]:
        weights = list(self.module.parameters())
        with torch.no_grad():
            for weight, given in zip(weights, parameters, strict=True):
                weight.copy_(torch.tensor(given))
        order = torch.randperm(len(self.x))
        for start in range(0, len(order), 32):
            batch = order[start : start + 32]
            gradients = torch.autograd.grad(
                cross_entropy(self.module(self.x[batch]), self.y[batch]), weights
            )
            with torch.no_grad():
                for weight, gradient in zip(weights, gradients, strict=True):
                    weight.sub_(gradient, alpha=0.1)
        return [weight.detach().numpy().copy() for weight in weights], len(self.x), {}


class Timed(FedAvg):
    """Notes when each round begins."""

    begun: list[float] = []

    def configure_fit(self, *args, **keywords):
        self.begun.append(time.perf_counter())
        return super().configure_fit(*args, **keywords)


def main() -> None:
    path, (clients, rounds) = sys.argv[1], map(int, sys.argv[2:])
    torch.set_num_threads(1)
    start = time.perf_counter()

    def client(context):
        torch.set_num_threads(1)
        samples, part = np.load(path), int(context.node_config["partition-id"])
        return Client(samples[f"x{part}"], samples[f"y{part}"]).to_client()

    def server(context):
        initial = ndarrays_to_parameters(
            [weight.detach().numpy() for weight in network().parameters()]
        )
        strategy = Timed(
            fraction_fit=1.0,
            fraction_evaluate=0.0,
            min_fit_clients=clients,
            min_available_clients=clients,
            initial_parameters=initial,
        )
        return ServerAppComponents(strategy=strategy, config=ServerConfig(num_rounds=rounds))

    run_simulation(
        ServerApp(server_fn=server),
        ClientApp(client_fn=client),
        num_supernodes=clients,
        backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
    )
    taken = [
        1000 * (after - before) for before, after in zip(Timed.begun, Timed.begun[1:], strict=False)
    ]
    print(statistics.median(taken), time.perf_counter() - start)


if __name__ == "__main__":
    main()
