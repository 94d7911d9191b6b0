"""RoleML's library roles, configured as its files do: data sets by the arguments of a view, with no
class named.
"""

import numpy as np
import pytest

from roleml_nb import library
from roleml_nb.compat.core.role.elements import ElementImplementation
from roleml_nb.compat.kits.workload import XYDataset
from roleml_nb.compat.library.roles.trainer.epoch import (
    EpochTrainer,
    FixedTrainingPlanner,
    TrainingPlanner,
)
from roleml_nb.compat.library.roles.trainer.gradient import GradientsTrainer


class Line:
    """y = w x, by steps of 0.1 times the mean gradient."""

    def __init__(self, w=0.0):
        self.w = w

    def get_params(self):
        return {"w": self.w}

    def set_params(self, params):
        self.w = params["w"]

    def compute_gradients(self, data, **options):
        x, y = (np.asarray(part, float) for part in zip(*data, strict=True))
        return {"loss": float(((self.w * x - y) ** 2).mean())}, float(
            (2 * x * (self.w * x - y)).mean()
        )

    def apply_gradients(self, gradients):
        self.w -= 0.1 * gradients

    def train(self, data, **options):
        for batch in data:
            metrics, gradients = self.compute_gradients(batch)
            self.apply_gradients(gradients)
        return metrics

    def test(self, data):
        (batch,) = data
        return self.compute_gradients(batch)[0]


def double(dataset):
    return XYDataset(dataset.x, [2 * y for y in dataset.y])


def view(size, batch_size):
    """Of y = 3 x, which the converter makes y = 6 x."""
    x = [1.0 + index / 10 for index in range(size)]
    return ElementImplementation(
        constructor_args={
            "dataset": {
                "type": "roleml_nb.compat.library.workload.datasets.templates.XYDataset",
                "options": {"x": x, "y": [3 * value for value in x]},
            },
            "converters": [double],
            "sampler": "sequential",
            "batch_size": batch_size,
        }
    )


def test_a_trainer_with_views_for_data(bed, nodes):
    (here,) = nodes("here")
    bed.assign(
        here,
        "trainer",
        EpochTrainer,
        elements={
            "model": ElementImplementation(cls=Line),
            "dataset": view(5, 2),
            "dataset_test": view(4, 4),
        },
    )
    assert bed.call(f"{here}/trainer", "get-data-size") == 5
    assert bed.call(f"{here}/trainer", "train", {"num_epochs": 20})["w"] == pytest.approx(
        6, abs=1e-3
    )
    done = bed.call(f"{here}/trainer", "train2")
    assert done["data_size"] == 5 and done["metrics"]["loss"] < 1e-4
    bed.call(f"{here}/trainer", "apply-update", {"update": {"w": 5.0}})
    assert bed.call(f"{here}/trainer", "test")["loss"] == pytest.approx(
        np.mean([(1 + i / 10) ** 2 for i in range(4)])
    )


def test_a_gradients_trainer_with_a_view_for_data(bed, nodes):
    (here,) = nodes("here")
    bed.assign(
        here,
        "trainer",
        GradientsTrainer,
        elements={
            "model": ElementImplementation(cls=Line, constructor_args={"w": 5.0}),
            "dataset": view(2, 1 + 1),
        },
    )
    gradients = bed.call(f"{here}/trainer", "compute-gradients")
    assert gradients == pytest.approx(-(2 * 1.0 + 2 * 1.1**2) / 2)
    bed.call(f"{here}/trainer", "apply-gradients", {"update": gradients})
    assert bed.call(f"{here}/trainer", "get-model")["w"] == pytest.approx(5 - 0.1 * gradients)


def test_they_are_the_librarys_own():
    assert issubclass(EpochTrainer, library.EpochTrainer) and issubclass(
        GradientsTrainer, library.GradientsTrainer
    )
    assert (
        TrainingPlanner is library.TrainingPlanner
        and FixedTrainingPlanner is library.FixedTrainingPlanner
    )
