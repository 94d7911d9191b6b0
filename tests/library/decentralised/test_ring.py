"""Ring all-reduce, on one process and on engines."""

import numpy as np
import pytest
import torch

from roleml_nb import CallerError, Each, HandlerError, RoleMLError, impl
from roleml_nb.library import (
    EpochTrainer,
    ModelMaintainer,
    RingAggregator,
    RingCoordinator,
    average,
)
from roleml_nb.workload import digits, digits_test, mlp


def ring(bed, name, size):
    nodes = bed.spawn(f"{name}{{1..{size}}}" if size > 1 else f"{name}1")
    nodes.assign("aggregator", RingAggregator)
    return nodes.role("aggregator")


def all_reduce(bed, members, updates, weights=None, key="once"):
    calls = [
        bed.call_task(
            member,
            "all-reduce",
            {"ring": members, "key": key, "weight": weight},
            {"update": update},
        )
        for member, update, weight in zip(
            members, updates, weights or [1.0] * len(members), strict=True
        )
    ]
    return [call.result() for call in calls]


@pytest.mark.parametrize("size", [1, 2, 3, 8])
# so also shorter than the ring, and not divisible
@pytest.mark.parametrize("length", [1, 2, 7, 1000])
def test_it_is_the_exact_mean(bed, size, length):
    members = ring(bed, f"exact-{size}-{length}-", size)
    rng = np.random.default_rng(length)
    vectors = rng.uniform(-1, 1, (size, length)).astype(np.float32)
    for mean in all_reduce(bed, members, [{"w": vector} for vector in vectors]):
        assert np.abs(mean["w"] - vectors.astype(np.float64).mean(0)).max() <= 1e-6
        assert mean["w"].dtype == np.float32


def test_names_shapes_types_and_weights_are_those_of_average(bed):
    members = ring(bed, "mixed", 3)
    generator = torch.Generator().manual_seed(0)

    def update(number):
        return {
            "w": torch.randn(3, 4, generator=generator),
            "half": torch.randn(5, generator=generator).half(),
            "wide": torch.randn(2, 2, generator=generator).double(),
            "brain": torch.randn(3, generator=generator).bfloat16(),
            "count": torch.tensor(number),
            "on": torch.tensor([number == 1, False]),
            "scalar": np.float64(number),
        }

    updates, weights = [update(number) for number in range(3)], [10, 1, 4]
    expected = average(updates, weights)
    found = all_reduce(bed, members, updates, weights)
    for mean in found:
        assert mean.keys() == expected.keys()
        for name, value in expected.items():
            assert (
                type(mean[name]) is type(value)
                and mean[name].dtype == value.dtype
                and mean[name].shape == value.shape
            )
            torch.testing.assert_close(
                torch.as_tensor(mean[name]),
                torch.as_tensor(value),
                rtol=1e-5 if name == "w" else None,
                atol=1e-6 if name == "w" else None,
            )
    assert all((mean["w"] == found[0]["w"]).all() for mean in found)  # to the last bit


def test_every_node_sends_its_share_whatever_the_size_of_the_ring(bed):
    vector = np.zeros(100_000)
    for size in (2, 4):
        name = f"share-{size}-"
        members = ring(bed, name, size)
        all_reduce(bed, members, [{"w": vector}] * size)
        sent = bed.trace.messages.to_pandas()
        sent = (
            sent[sent.channel.eq("accept-chunk") & sent.source.str.startswith(name)]
            .groupby("source")["bytes"]
            .sum()
        )
        assert len(sent) == size
        assert sent.between(
            1.0 * 2 * (size - 1) / size * vector.nbytes,
            1.02 * 2 * (size - 1) / size * vector.nbytes,
        ).all()


def test_updates_that_are_not_alike_are_an_error(bed):
    members = ring(bed, "unlike", 2)
    calls = [
        bed.call_task(
            member,
            "all-reduce",
            {"ring": members, "key": "once"},
            {"update": {"w": np.zeros(size)}},
        )
        for member, size in zip(members, (4, 6), strict=True)
    ]
    with pytest.raises(
        HandlerError,
        match="the updates on the ring are not alike: a chunk of . float64 here, of . float64 on",
    ):
        for call in calls:
            call.result()


def test_misuse_is_named(bed):
    members = ring(bed, "misused", 2)
    with pytest.raises(
        CallerError, match="misused1/aggregator is not in the ring misused2/aggregator"
    ):
        bed.call(members[0], "all-reduce", {"ring": members[1:], "key": "a"}, {"update": {}})
    with pytest.raises(CallerError, match="weight must be from 1e-09 to 1e\\+18, got 0"):
        bed.call(
            members[0], "all-reduce", {"ring": members, "key": "a", "weight": 0}, {"update": {}}
        )
    bed.spawn("misused-leader")
    bed.assign("misused-leader", "coordinator", RingCoordinator)
    with pytest.raises(
        CallerError,
        match="relationship 'ring' of misused-leader is empty: relate the nodes of the ring first",
    ):
        bed.call("misused-leader/coordinator", "run", {"num_rounds": 1})


class FailingTrainer(EpochTrainer):
    def train_impl(self, num_epochs, **options):
        if self.current_epoch == 0:
            raise ArithmeticError("this node has a fault")
        return super().train_impl(num_epochs, **options)


def learners(bed, name, size, last=EpochTrainer):
    nodes = bed.spawn(f"{name}{{1..{size}}}")
    given = {
        "model": impl(mlp, 64, 10, seed=Each(range(size))),
        "dataset": impl(digits, part=Each(range(size)), parts=size),
    }
    nodes.assign("trainer", EpochTrainer, elements=given).assign("aggregator", RingAggregator)
    if last is not EpochTrainer:
        bed.assign(
            f"{name}{size}",
            "trainer",
            last,
            elements={"model": impl(mlp, 64, 10), "dataset": impl(digits, size - 1, size)},
        )
    bed.spawn(f"{name}-leader")
    bed.assign(f"{name}-leader", "coordinator", RingCoordinator)
    bed.relate(f"{name}-leader", "ring", nodes.role("aggregator"))
    return nodes


def test_training_on_a_ring_is_federated_averaging(bed):
    learners(bed, "same", 3)
    bed.call("same-leader/coordinator", "run", {"num_rounds": 2})
    update = mlp(64, 10, seed=0).get_params()
    models, parts = (
        [mlp(64, 10) for _ in range(3)],
        [digits(part=part, parts=3) for part in range(3)],
    )
    for _ in range(2):
        for model, part in zip(models, parts, strict=True):
            model.set_params(update)
            model.train(part)
        update = average([model.get_params() for model in models], [len(part) for part in parts])
    for found in bed.call("same[123]/trainer", "get-model").values():
        assert all((found[name] - update[name]).abs().max() <= 1e-6 for name in update)


def test_it_learns_and_the_evaluator_sees_it(bed):
    learners(bed, "learn", 4)
    bed.assign(
        "learn-leader",
        "evaluator",
        ModelMaintainer,
        elements={"model": impl(mlp, 64, 10), "dataset_test": impl(digits_test)},
    )
    result = bed.call("learn-leader/coordinator", "run", {"num_rounds": 8, "num_epochs": 2})
    assert result["rounds"] == 8 and result["accuracy"] >= 0.85 and result["loss"] < 1


def test_a_node_that_fails_ends_the_run_for_all_and_the_next_run_works(bed):
    nodes = learners(bed, "fail", 3, FailingTrainer)
    with pytest.raises(RoleMLError, match="this node has a fault"):
        bed.call("fail-leader/coordinator", "run", {"num_rounds": 3}, timeout=20)
    bed.assign(
        "fail3",
        "trainer",
        EpochTrainer,
        elements={"model": impl(mlp, 64, 10), "dataset": impl(digits, 2, 3)},
    )
    bed.call("fail-leader/coordinator", "run", {"num_rounds": 1}, timeout=20)
    one, two, three = (bed.call(f"{node}/trainer", "get-model") for node in nodes)
    assert all(
        torch.equal(one[name], two[name]) and torch.equal(one[name], three[name]) for name in one
    )
