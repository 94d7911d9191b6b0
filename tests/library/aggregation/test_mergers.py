import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from roleml_nb.library import (
    DefaultWeightedMerger,
    TorchStateDictAverager,
    TorchStateDictCumulator,
    WeightedMerger,
    WeightedTorchStateDictAverager,
    average,
)
from roleml_nb.library.aggregation.mergers import RunningAverage
from roleml_nb.role import KeyValueMerger, ValueMerger

KINDS = {"torch": torch.tensor, "numpy": np.array}


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def make(request):
    return request.param


def test_closed_form(make):
    merged = average([{"w": make([1.0, 2.0])}, {"w": make([3.0, 6.0])}], [1, 3])
    assert merged["w"].tolist() == [2.5, 5.0]
    assert average([{"w": make([1.0])}, {"w": make([3.0])}])["w"].tolist() == [2.0]


def test_integers_and_bools_become_the_maximum(make):
    updates = [
        {"n": make(4), "on": make([True, False]), "w": make(1.0)},
        {"n": make(9), "on": make([False, False]), "w": make(2.0)},
    ]
    merged = average(updates, [99, 1])
    assert merged["n"] == 9 and merged["on"].tolist() == [True, False]
    assert (
        merged["n"].dtype == updates[0]["n"].dtype and merged["on"].dtype == updates[0]["on"].dtype
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_dtype_stays_and_the_sum_is_taken_in_double(dtype):
    updates = [{"w": torch.tensor([value], dtype=dtype)} for value in [1000.0] + [1.0] * 999]
    merged = average(updates)["w"]
    assert merged.dtype == dtype
    torch.testing.assert_close(
        merged, torch.tensor([1.999], dtype=torch.float64).to(dtype), rtol=1e-12, atol=0
    )


@given(
    arrays.arrays(np.float32, 5, elements=st.floats(-1e6, 1e6, width=32)),
    st.lists(st.floats(0.1, 1e3), min_size=1, max_size=6),
)
def test_equal_updates_are_a_fixed_point(value, weights):
    for given_value in (value, torch.from_numpy(value)):
        merged = average([{"w": given_value}] * len(weights), weights)["w"]
        np.testing.assert_allclose(np.asarray(merged), value, rtol=1e-7)


def test_inputs_are_untouched_and_not_shared(make):
    updates = [{"w": make([1.0, 2.0]), "n": make([1, 2])}]
    kept = copy.deepcopy(updates)
    merged = average(updates)
    merged["w"] += 1
    merged["n"] += 1
    assert all(updates[0][name].tolist() == kept[0][name].tolist() for name in "wn")
    two = average([updates[0], kept[0]])
    two["w"] += 1
    assert updates[0]["w"].tolist() == [1.0, 2.0] == kept[0]["w"].tolist()


def test_a_model_with_batch_norm():
    def build(batches):
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
        for _ in range(batches):
            model(torch.randn(8, 3))
        return model

    one, two, target = build(2), build(5), build(0)
    merged = average([one.state_dict(), two.state_dict()], [1, 1])
    target.load_state_dict(merged)
    assert target[1].num_batches_tracked == 5
    torch.testing.assert_close(
        target[1].running_mean, (one[1].running_mean + two[1].running_mean) / 2
    )
    torch.testing.assert_close(
        target[0].weight.detach(), ((one[0].weight + two[0].weight) / 2).detach()
    )
    assert not merged["0.weight"].requires_grad


@pytest.mark.parametrize(
    ("updates", "weights", "text"),
    [
        ([], None, "there are no updates to average"),
        (
            [{"a": 1.0}, {"b": 1.0}],
            None,
            "update 1 and update 0 differ in their names: missing a; unexpected b",
        ),
        (
            [{"a": np.zeros(2)}, {"a": np.zeros(3)}],
            None,
            r"a has shape \(3,\) in update 1, but \(2,\) in update 0",
        ),
        (
            [{"a": torch.zeros(2)}, {"a": torch.zeros(1)}],
            None,
            r"a has shape \(1,\) in update 1, but \(2,\) in",
        ),
        ([{"a": 1.0}], [1, 2], "1 updates, but 2 weights"),
        ([{"a": 1.0}] * 2, [0, 0], "none negative and not all zero, got"),
        ([{"a": 1.0}] * 2, [3, -1], "none negative and not all zero, got"),
        ([{"a": 1.0}] * 2, [1, float("nan")], "weights must be finite"),
    ],
)
def test_errors_say_what_differs(updates, weights, text):
    with pytest.raises(ValueError, match=text):
        average(updates, weights)


WEIGHTS = {"a": 1, "b": 3, "c": 5}


@pytest.mark.parametrize(
    ("merger", "keyed", "merged"),
    [
        (TorchStateDictAverager, False, [2.0, 4.0]),
        (lambda: WeightedTorchStateDictAverager(WEIGHTS), True, [2.5, 5.0]),
        (TorchStateDictCumulator, False, [4.0, 8.0]),
    ],
)
def test_mergers_never_touch_what_was_pushed_nor_share_it(make, merger, keyed, merged):
    live = [{"w": make([1.0, 2.0])}, {"w": make([3.0, 6.0])}]
    kept = copy.deepcopy(live)
    made = merger()
    assert isinstance(made, KeyValueMerger if keyed else ValueMerger)
    for key, update in zip("ab", live, strict=True):
        made.push(*(key, update) if keyed else (update,))
    first = made.merge()
    assert first["w"].tolist() == merged
    assert [one["w"].tolist() for one in live] == [one["w"].tolist() for one in kept]
    first["w"] += 100
    assert made.merge()["w"].tolist() == merged
    assert [one["w"].tolist() for one in live] == [one["w"].tolist() for one in kept]


def test_a_single_pushed_value_is_not_shared_either(make):
    live = {"w": make([1.0, 2.0])}
    for merger in (TorchStateDictAverager(), TorchStateDictCumulator()):
        merger.push(live)
        merger.merge()["w"] += 1
    assert live["w"].tolist() == [1.0, 2.0]


def test_live_weights_of_a_model_stay_live_and_unchanged():
    model = torch.nn.Linear(2, 1)
    before = copy.deepcopy(model.state_dict())
    for merger in (TorchStateDictAverager(), TorchStateDictCumulator()):
        for _ in range(3):
            merger.push(model.state_dict())
        merger.merge()
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in before)


def test_weights_are_those_of_the_keys_that_came():
    merger = WeightedTorchStateDictAverager(WEIGHTS)
    merger.push("c", {"w": np.array([2.0])})
    merger.push("a", {"w": np.array([8.0])})
    assert merger.merge()["w"].tolist() == [3.0]
    assert not merger.allow_append and not merger.disposable


def test_a_key_without_a_weight_is_refused():
    merger = DefaultWeightedMerger(WEIGHTS)
    merger.push("a", 1)
    with pytest.raises(KeyError, match="there is no weight for x; there are weights for a, b, c"):
        merger.push("x", 2)
    assert merger.merge() == {"a": 1}


def test_a_merger_of_ones_own_says_how_it_takes_a_value():
    class Sum(WeightedMerger):
        total = 0.0

        def _push(self, key, value):
            self.total += self._weights[key] * value

        def merge(self):
            return self.total

    merger = Sum(WEIGHTS)
    merger.push("a", 10)
    merger.push("b", 1)
    assert merger.merge() == 13


def test_nothing_pushed():
    assert TorchStateDictCumulator().merge() is None
    with pytest.raises(ValueError, match="there are no updates to average"):
        TorchStateDictAverager().merge()


@pytest.mark.parametrize("make", [torch.tensor, np.array])
def test_large_entries_are_added_part_by_part(make):
    values = np.random.default_rng(0).normal(size=(3, 5, 10_000))
    mean = RunningAverage([1, 2, 1])
    for value in values:
        mean.add({"w": make(value.astype(np.float32))})
    merged = mean.result()["w"]
    assert merged.shape == (5, 10_000) and merged.dtype in (torch.float32, np.float32)
    assert np.abs(np.asarray(merged) - (values[0] + 2 * values[1] + values[2]) / 4).max() < 1e-6


def test_a_running_average_waits_for_all_that_it_has_weights_for():
    mean = RunningAverage([1, 1])
    mean.add({"w": np.ones(2)})
    with pytest.raises(ValueError, match="there are weights for 2 updates, but 1 were added"):
        mean.result()
