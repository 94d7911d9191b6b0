"""Views and samplers."""

import pickle
import random

import numpy as np
import pytest

from roleml_nb.role import Dataset, IterableDataset
from roleml_nb.workload.datasets import SimpleDataset, XYDataset
from roleml_nb.workload.samplers import (
    BUILTIN_SAMPLERS,
    IndexSampler,
    RandomOneOffIndexSampler,
    RandomReplaceIndexSampler,
    SequentialCycleIndexSampler,
)
from roleml_nb.workload.views import DatasetBatchView, DatasetPointView, DatasetViewFactory

TEN = SimpleDataset(range(10, 20))


class Backwards(IndexSampler):
    def __init__(self, source, step=1):
        super().__init__(source)
        self.step = step

    def __iter__(self):
        return iter(range(len(self.source) - 1, -1, -self.step))


def double(sample):
    return 2 * sample


def only_even(dataset):
    return SimpleDataset(
        [dataset[index] for index in range(len(dataset)) if dataset[index] % 2 == 0]
    )


class Add:
    def __init__(self, summand=1):
        self.summand = summand

    def __call__(self, sample):
        return sample + self.summand


def test_points_in_order():
    view = DatasetViewFactory(TEN, batch_size=1)
    assert (
        isinstance(view, DatasetPointView)
        and isinstance(view, IterableDataset)
        and isinstance(view, Dataset)
    )
    assert list(view) == list(view) == list(range(10, 20)) and len(view) == 10


def test_batches_and_the_rest():
    assert list(DatasetViewFactory(TEN, batch_size=4)) == [
        [10, 11, 12, 13],
        [14, 15, 16, 17],
        [18, 19],
    ]
    assert list(DatasetViewFactory(TEN, batch_size=4, drop_last=True)) == [
        [10, 11, 12, 13],
        [14, 15, 16, 17],
    ]
    assert list(DatasetViewFactory(TEN, batch_size=5, drop_last=True)) == [
        [10, 11, 12, 13, 14],
        [15, 16, 17, 18, 19],
    ]
    assert list(DatasetViewFactory(TEN, batch_size=1, always_combine=True))[:2] == [[10], [11]]
    assert list(DatasetBatchView(TEN, index_sampler="sequential", batch_size=6, combiner=sum)) == [
        75,
        70,
    ]


def test_samples_are_changed_when_they_are_looked_up():
    view = DatasetViewFactory(TEN, modifier=double, batch_size=1)
    assert view[1] == 22 and view.get_original_item(1) == 11 and list(view)[-1] == 38


def test_what_configurations_can_say():
    view = DatasetViewFactory(
        {"type": SimpleDataset, "options": {"source": [1, 2, 3, 4, 6]}},
        converters=[only_even],
        modifier={"type": Add, "options": {"summand": 10}},
        combiner="builtins.sum",
        batch_size=2,
    )
    assert list(view) == [26, 16]
    assert list(
        DatasetViewFactory(TEN, batch_size=1, sampler={"type": Backwards, "options": {"step": 4}})
    ) == [19, 15, 11]
    assert list(DatasetViewFactory(TEN, batch_size=1, sampler=Backwards))[0] == 19
    assert list(DatasetViewFactory(TEN, batch_size=1, modifier=Add))[0] == 11
    path = "roleml_nb.workload.samplers.SequentialOneOffIndexSampler"
    assert list(DatasetViewFactory(TEN, batch_size=1, sampler=path))[0] == 10
    view = DatasetPointView(TEN, index_sampler=Backwards, index_sampler_options={"step": 9})
    assert list(view) == [19, 10]
    view.set_index_sampler("random-oneoff", limit=3)
    assert len(list(view)) == 3


def test_random_epochs_repeat_with_the_seed_and_leave_the_global_state():
    state = random.getstate()
    for cls in (RandomOneOffIndexSampler, RandomReplaceIndexSampler):
        one, two = cls(TEN, seed=3), cls(TEN, seed=3)
        epochs = [list(one), list(one)]
        assert epochs == [list(two), list(two)] and epochs[0] != epochs[1]
        assert list(cls(TEN, seed=4)) != epochs[0]
    assert random.getstate() == state


def test_the_builtin_samplers():
    assert sorted(RandomOneOffIndexSampler(TEN)) == list(range(10))
    assert (
        len(set(RandomOneOffIndexSampler(TEN, 4))) == 4
        and len(list(RandomOneOffIndexSampler(TEN, 40))) == 10
    )
    drawn = list(RandomReplaceIndexSampler(TEN, 1000))
    assert len(drawn) == 1000 and set(drawn) == set(range(10))
    assert len(list(RandomReplaceIndexSampler(TEN))) == 10
    cycle = iter(SequentialCycleIndexSampler(TEN))
    assert [next(cycle) for _ in range(21)] == [*range(10), *range(10), 0]
    assert set(BUILTIN_SAMPLERS) == {
        "sequential",
        "sequential-oneoff",
        "sequential-cycle",
        "random",
        "random-oneoff",
        "random-replace",
    }
    batches = iter(DatasetViewFactory(TEN, sampler="sequential-cycle", batch_size=4))
    assert [next(batches) for _ in range(3)][2] == [18, 19, 10, 11]


def test_a_view_can_be_pickled_in_the_middle_of_its_epochs():
    view = DatasetViewFactory(TEN, sampler="random", batch_size=4)
    list(view)
    assert list(pickle.loads(pickle.dumps(view))) == list(view)


def test_pairs():
    pairs = XYDataset(np.arange(6).reshape(3, 2), [5, 6, 7])
    assert len(pairs) == 3 and pairs[1][0].tolist() == [2, 3] and pairs[1][1] == 6
    assert isinstance(pairs, Dataset) and isinstance(pairs, IterableDataset)
    assert [y for _, y in pairs] == [5, 6, 7] and list(TEN) == list(range(10, 20))


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda: DatasetViewFactory(TEN, batch_size=0),
            ValueError,
            "batch_size must be 1 or more, got 0",
        ),
        (
            lambda: DatasetViewFactory(TEN, sampler="shuffled"),
            ValueError,
            "there is nothing named 'shuffled'.*known names: sequential",
        ),
        (
            lambda: DatasetViewFactory(TEN, sampler=SimpleDataset),
            TypeError,
            "expected IndexSampler, got SimpleDataset",
        ),
        (
            lambda: DatasetViewFactory("roleml_nb.workload.datasets.Absent"),
            ValueError,
            "nothing named 'roleml_nb.workload.datasets.Absent'",
        ),
        (lambda: DatasetViewFactory(3), TypeError, "expected Dataset, got int"),
        (
            lambda: DatasetViewFactory(TEN, converters=[iter]),
            TypeError,
            "the converters must make a data set",
        ),
        (lambda: XYDataset([1], [1, 2]), ValueError, "x and y must be equally many, got 1 and 2"),
    ],
)
def test_errors_say_what_is_wrong(make, error, text):
    with pytest.raises(error, match=text):
        make()
