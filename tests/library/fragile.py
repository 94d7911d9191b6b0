"""Trainers that fail, or hang, when they are told to; and a model whose state is all that it has
ever done.
"""

from concurrent.futures import Future

import numpy as np

from roleml_nb import Each, Service, impl
from roleml_nb.library import EpochTrainer
from roleml_nb.role.running import wait
from roleml_nb.workload import ArrayDataset


class Momentum:
    """v ← v / 2 + target, w ← w / 2 + v, and "own" counts the steps; v is the state of its
    optimizer.
    """

    lr = 0.5

    def __init__(self, target):
        self.target, self.v = float(target), np.zeros(3)
        self.w, self.own = np.zeros(3), np.zeros(1)

    def get_params(self):
        return {"w": self.w.copy(), "own": self.own.copy()}

    def set_params(self, params):
        self.w, self.own = np.array(params["w"], float), np.array(params["own"], float)

    def train(self, data, **options):
        for _ in data:
            self.v = self.v / 2 + self.target * np.arange(1, 4)
            self.w, self.own = self.w / 2 + self.v, self.own + 1
        return {"loss": float(self.w.sum())}

    def test(self, data):
        return {"loss": float(((self.w - self.target) ** 2).sum()), "accuracy": 0.5}

    def optimizer_state(self):
        return self.v.copy()

    def set_optimizer_state(self, state):
        self.v = np.array(state)


def samples(count):
    return ArrayDataset(np.zeros((count, 1)), np.zeros(count), batch_size=1000)


class Fragile(EpochTrainer):
    def __init__(self, local=()):
        super().__init__(local)
        self.fault, self.trained, self.gate = "", 0, Future()

    @Service(expand=True)
    def break_down(self, caller, fault):
        """Of "train", "apply" and "hang": what goes wrong from now on; "" for nothing."""
        self.fault, self.gate = fault, Future()

    @Service(expand=True)
    def release(self, caller):
        self.gate.set_result(None)

    @Service(expand=True)
    def count(self, caller):
        return self.trained

    @Service(expand=True)
    def state(self, caller):
        model = self.model()
        return {
            **model.get_params(),
            "v": model.optimizer_state(),
            **{f"control {name}": value for name, value in self.control.items()},
        }

    def train_impl(self, num_epochs, **options):
        metrics = super().train_impl(num_epochs, **options)
        self.trained += 1
        if self.fault in ("train", "hang"):
            wait(self.gate, 60)
            raise ArithmeticError("this node has a fault")
        return metrics

    def apply_update(self, caller, update):
        if self.fault == "apply":
            raise ArithmeticError("this node has a fault")
        super().apply_update(caller, update)


def trainers(bed, name, count=3, **options):
    """Nodes called ``name1``, ``name2``, … of different targets and sizes, each with a `Fragile`
    trainer.
    """
    nodes = bed.spawn(f"{name}{{1..{count}}}")
    return nodes.assign(
        "trainer",
        Fragile,
        options=options,
        elements={
            "model": impl(Momentum, Each(range(1, count + 1))),
            "dataset": impl(samples, Each(range(2, count + 2))),
            "dataset_test": impl(samples, 4),
        },
    )
