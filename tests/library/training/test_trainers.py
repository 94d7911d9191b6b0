"""Trainers, planners and gradients, on one process and on engines."""

import pickle

import numpy as np
import pytest
import torch

from roleml_nb import CallerError, HandlerError, Role, Task, impl
from roleml_nb.library import (
    BaseModelMaintainer,
    EpochTrainer,
    FixedTrainingPlanner,
    GradientsTrainer,
    ModelMaintainer,
    TrainingPlanner,
)
from roleml_nb.workload import ArrayDataset, digits, digits_test, mlp


def same(one, two):
    # threads differ, and so the rounding
    return all(torch.allclose(one[name], two[name], atol=1e-6) for name in one)


class Halving(TrainingPlanner):
    """Halves the learning rate after each epoch, and keeps what was reported."""

    def __init__(self):
        self.reported = []

    def make_plan(self, num_epochs, lr=0.4, **_):
        for _ in range(num_epochs):
            yield {"lr": lr * 0.5 ** len(self.reported)}

    def report(self, result):
        self.reported.append(result["loss"])


class Short(TrainingPlanner):
    def make_plan(self, num_epochs, **options):
        return [{}] * (num_epochs - 1)


class Planned(EpochTrainer):
    @Task(expand=True)
    def get_reported(self, caller):
        return self.planner().reported


class Overridden(EpochTrainer):
    """In the style of RoleML: the hook takes the options, uses the elements, and returns
    metrics.
    """

    def train_impl(self, num_epochs, **options):
        with self.lock:
            for _ in range(num_epochs):
                self.current_epoch += 1
                self.model().train(self.dataset(), lr=options["rate"])
            return {"epochs": self.current_epoch + 1, **options}


class Extended(EpochTrainer):
    def train_impl(self, num_epochs: int, **options):
        metrics = super().train_impl(num_epochs, **options)
        return {**metrics, "extended": True}


def trainer(bed, node, cls=EpochTrainer, **elements):
    bed.spawn(node)
    bed.assign(
        node,
        "trainer",
        cls,
        elements={
            "model": impl(mlp, 64, 10),
            "dataset": impl(digits, 0, 20),
            "dataset_test": impl(digits_test),
            **elements,
        },
    )


def test_the_options_of_a_training_are_those_of_each_epoch(bed):
    trainer(bed, "fixed")
    done = bed.call("fixed/trainer", "train2", {"num_epochs": 2, "lr": 0.02})
    model, data = mlp(64, 10), digits(0, 20)
    for _ in range(2):
        metrics = model.train(data, lr=0.02)
    assert same(done["update"], model.get_params())
    assert done["data_size"] == len(data) and done["metrics"] == pytest.approx(metrics)


def test_a_planner_gives_each_epoch_its_options_and_hears_of_the_one_before(bed):
    trainer(bed, "planned", Planned, planner=impl(Halving))
    update = bed.call("planned/trainer", "train", {"num_epochs": 3, "lr": 0.4})
    model, data = mlp(64, 10), digits(0, 20)
    losses = [model.train(data, lr=lr)["loss"] for lr in (0.4, 0.2, 0.1)]
    assert same(update, model.get_params())
    assert bed.call("planned/trainer", "get-reported") == pytest.approx(losses)


def test_a_plan_that_is_too_short_is_named(bed):
    trainer(bed, "short", planner=impl(Short))
    with pytest.raises(HandlerError, match="Short.make_plan planned 2 of 3 epochs"):
        bed.call("short/trainer", "train", {"num_epochs": 3})


def test_an_overridden_hook_gets_the_options_of_the_call_and_its_metrics_are_returned(bed):
    trainer(bed, "hook", Overridden)
    done = bed.call("hook/trainer", "train2", {"num_epochs": 2, "rate": 0.05})
    assert done["metrics"] == {"epochs": 2, "rate": 0.05}
    model, data = mlp(64, 10), digits(0, 20)
    model.train(data, lr=0.05), model.train(data, lr=0.05)
    assert same(done["update"], model.get_params())


def test_an_extended_hook_can_call_the_original(bed):
    trainer(bed, "more", Extended)
    metrics = bed.call("more/trainer", "train2", {"num_epochs": 1})["metrics"]
    assert metrics["extended"] and metrics["loss"] > 0


def test_one_class_has_two_names():
    assert BaseModelMaintainer is ModelMaintainer
    assert list(FixedTrainingPlanner().make_plan(2, lr=1)) == [{"lr": 1}, {"lr": 1}]


class Stepper(Role):
    """Averages gradients of several trainers, and applies the mean to each of them."""

    @Task(expand=True)
    def run(self, caller, steps):
        workers = sorted(self.ctx.relationships.get_relationship_view("worker"))
        for _ in range(steps):
            tasks = self.call_task_group(workers, "compute-gradients")
            gradients = [task.result() for _, task in tasks]
            mean = [sum(group) / len(workers) for group in zip(*gradients, strict=True)]
            self.call_group(workers, "apply-gradients", payloads={"update": mean})


def halves():
    x = np.random.default_rng(0).normal(size=(32, 64)).astype(np.float32)
    y = np.arange(32) % 10
    return x, y


def half(part):
    x, y = halves()
    return ArrayDataset(x[part::2].copy(), y[part::2].copy(), batch_size=16)


def test_two_gradient_trainers_equal_one_with_both_batches(bed):
    for part in range(2):
        bed.spawn(f"grad{part}")
        bed.assign(
            f"grad{part}",
            "trainer",
            GradientsTrainer,
            elements={"model": impl(mlp, 64, 10), "dataset": impl(half, part)},
        )
    bed.spawn("stepper")
    bed.assign("stepper", "stepper", Stepper)
    bed.relate("stepper", "worker", "grad*/trainer")
    bed.call("stepper/stepper", "run", {"steps": 3})
    whole = mlp(64, 10)
    x, y = halves()
    for _ in range(3):
        whole.train([(x, y)])
    for part in range(2):
        found = bed.call(f"grad{part}/trainer", "get-model")
        for name, value in whole.get_params().items():
            torch.testing.assert_close(found[name], value)


def test_a_gradients_trainer_goes_round_its_batches_and_says_when_there_are_none(bed):
    bed.spawn("round", "empty")
    bed.assign(
        "round",
        "trainer",
        GradientsTrainer,
        elements={
            "model": impl(mlp, 64, 10),
            "dataset": impl(
                ArrayDataset, np.eye(3, 64, dtype=np.float32), np.arange(3), batch_size=2
            ),
        },
    )
    first, second, third = (bed.call("round/trainer", "compute-gradients") for _ in range(3))
    assert not torch.allclose(first[0], second[0]) and torch.allclose(first[0], third[0])
    losses = bed.trace.metrics.to_pandas()
    losses = losses[
        (losses.node == "round")
        & (losses.channel == "gradient-computed")
        & (losses.metric == "loss")
    ]
    assert len(losses) == 3
    bed.assign(
        "empty",
        "trainer",
        GradientsTrainer,
        elements={
            "model": impl(mlp, 64, 10),
            "dataset": impl(ArrayDataset, np.zeros((0, 64)), np.zeros(0)),
        },
    )
    with pytest.raises(CallerError, match="the data set of empty/trainer is empty"):
        bed.call("empty/trainer", "compute-gradients")


def test_a_gradients_trainer_in_the_middle_of_an_epoch_can_be_pickled():
    role = GradientsTrainer()
    role.dataset_iterator = (batch for batch in [1])
    assert pickle.loads(pickle.dumps(role)).dataset_iterator is None
