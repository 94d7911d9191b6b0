import numpy as np
import pytest

from roleml_nb.role import IterableDataset
from roleml_nb.workload import ArrayDataset, digits, digits_test


def epoch(data):
    return np.concatenate([y for _, y in data])


def test_batches_cover_all_samples_in_order():
    data = ArrayDataset(np.arange(20.0).reshape(10, 2), np.arange(10), batch_size=4)
    assert isinstance(data, IterableDataset)
    assert len(data) == 10
    assert [x.shape for x, _ in data] == [(4, 2), (4, 2), (2, 2)]
    assert epoch(data).tolist() == list(range(10))


def test_shuffled_epochs_differ_repeat_with_the_seed_and_leave_the_global_state():
    before = np.random.get_state()[1].copy()
    one, two = (
        ArrayDataset(np.arange(50), np.arange(50), batch_size=7, shuffle=True, seed=3)
        for _ in range(2)
    )
    first, second = epoch(one), epoch(one)
    assert first.tolist() != second.tolist()
    assert sorted(first) == sorted(second) == list(range(50))
    assert epoch(two).tolist() == first.tolist() and epoch(two).tolist() == second.tolist()
    assert (np.random.get_state()[1] == before).all()


def test_x_and_y_stay_together():
    for x, y in ArrayDataset(np.arange(30), np.arange(30), batch_size=4, shuffle=True):
        assert (x == y).all()


def test_digits_have_the_promised_shapes_and_splits():
    train, test = digits(), digits_test()
    assert train.x.dtype == np.float32 and train.y.dtype == np.int64
    assert train.x.shape == (len(train), 64) and len(train) + len(test) == 1797
    assert abs(len(test) / 1797 - 0.2) < 0.005
    assert train.x.min() == 0 and train.x.max() == 1
    assert set(test.y) == set(range(10))
    # every image of scikit-learn's, once
    from sklearn.datasets import load_digits

    both = np.concatenate([train.x, test.x]) * 16
    expected = load_digits().data.astype(np.float32)
    assert sorted(map(bytes, both)) == sorted(map(bytes, expected))


@pytest.mark.parametrize("partition", ["iid", "dirichlet", "shards", "label_skew", "quantity_skew"])
def test_digits_parts_are_the_training_split_together(partition):
    parts = [digits(i, 7, partition=partition, seed=5) for i in range(7)]
    rows = [bytes(row) for part in parts for row in part.x]
    assert sorted(rows) == sorted(bytes(row) for row in digits().x)
    again = digits(3, 7, partition=partition, seed=5)
    assert (again.x == parts[3].x).all() and epoch(again).tolist() == epoch(parts[3]).tolist()


def test_changing_one_part_does_not_change_another():
    digits(0, 2).x[:] = 7
    assert digits(0, 2).x.max() <= 1


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: digits(4, 4), r"part must be from 0 to 3 \(there are 4 parts\), got 4"),
        (
            lambda: digits(0, 5000),
            "parts must be from 1 to 14.. for 14.. samples, at least 1 sample each, got 5000",
        ),
        (lambda: digits(0, 0), "parts must be from 1 to .*got 0"),
        (
            lambda: digits(partition="even"),
            "no partition is named 'even'; known: dirichlet, iid, .*shards",
        ),
        (
            lambda: digits(partition="dirichlet", alpha=0),
            "alpha must be from 0.001 to 1e.06, got 0",
        ),
        (lambda: digits(batch_size=0), "batch_size must be 1 or more, got 0"),
        (
            lambda: ArrayDataset(np.zeros(3), np.zeros(4)),
            r"equally long arrays, got shapes \(3,\) and \(4,\)",
        ),
    ],
)
def test_errors_name_the_value_and_what_is_allowed(make, text):
    with pytest.raises(ValueError, match=text):
        make()
