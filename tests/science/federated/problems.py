"""Convex problems whose solutions are known, as models and data sets of NumPy alone."""

import numpy as np

from roleml_nb import Each, impl
from roleml_nb.library import EpochTrainer, FedAvgAggregator, FederatedCoordinator
from roleml_nb.workload import ArrayDataset

DIMENSIONS = 4


class LeastSquares:
    """F(w) = 1/2 · mean (x·w − y)², with a step of gradient descent per batch."""

    def __init__(self, lr=0.1, start=0.0):
        self.lr = lr
        self.w = np.full(DIMENSIONS, float(start))

    def get_params(self):
        return {"w": self.w.copy()}

    def set_params(self, params):
        self.w = np.array(params["w"], float)

    def compute_gradients(self, batch):
        x, y = batch
        error = x @ self.w - y
        return {"loss": float(0.5 * (error**2).mean())}, x.T @ error / len(y)

    def train(self, data, lr=None):
        metrics = {"loss": 0.0}
        for batch in data:
            metrics, gradient = self.compute_gradients(batch)
            self.w = self.w - (self.lr if lr is None else lr) * gradient
        return metrics

    def test(self, data):
        x, y = (np.concatenate(part) for part in zip(*data, strict=True))
        return self.compute_gradients((x, y))[0]


def arrays(part, size=None):
    """Data of client `part`; clients differ in their inputs, in what is right, and in how much they
    have.
    """
    random = np.random.default_rng([7, part])
    count = 12 + 8 * part if size is None else size
    x = random.normal(size=(count, DIMENSIONS)) * (1 + 0.5 * part)
    return x, x @ random.normal(size=DIMENSIONS) * 2 + part


def data(part, size=None, batch_size=1000):
    return ArrayDataset(*arrays(part, size), batch_size=batch_size)


def hessian(part, size=None):
    x, _ = arrays(part, size)
    return x.T @ x / len(x)


def linear(part, size=None):
    x, y = arrays(part, size)
    return x.T @ y / len(x)


def optimum(shares, size=None):
    """Where Σ share · F is least."""
    return np.linalg.solve(
        sum(share * hessian(part, size) for part, share in enumerate(shares)),
        sum(share * linear(part, size) for part, share in enumerate(shares)),
    )


def federation(
    bed,
    name,
    clients=3,
    strategy=None,
    *,
    lr=0.05,
    size=None,
    batch_size=1000,
    start=0.0,
    trainer=EpochTrainer,
):
    """Clients and a server, called after `name`; returns a function that runs rounds and returns
    the parameters.
    """
    bed.spawn(f"{name}-client{{1..{clients}}}").assign(
        "trainer",
        trainer,
        elements={
            "model": impl(LeastSquares, lr, start),
            "dataset": impl(data, Each(range(clients)), size, batch_size),
        },
    )
    bed.spawn(f"{name}-server")
    bed.assign(
        f"{name}-server",
        "aggregator",
        FedAvgAggregator,
        elements={} if strategy is None else {"strategy": strategy},
    )
    bed.assign(f"{name}-server", "coordinator", FederatedCoordinator)
    bed.relate(f"{name}-server", "trainer", f"{name}-client*/trainer")

    def run(num_rounds, **arguments):
        bed.call(f"{name}-server/coordinator", "run", {"num_rounds": num_rounds, **arguments})
        return bed.call(f"{name}-server/coordinator", "get-model")["w"]

    return run
