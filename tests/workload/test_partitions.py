import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roleml_nb.workload import (
    by_key,
    check_partition,
    dirichlet,
    iid,
    label_skew,
    quantity_skew,
    shards,
)

seeds = st.integers(0, 2**32 - 1)


def check(parts, n, count, min_size=1):
    assert len(parts) == count
    assert min(map(len, parts)) >= min_size
    check_partition(parts, n)
    assert np.sort(np.concatenate(parts)).tolist() == list(range(n))
    assert all((np.diff(part) > 0).all() for part in parts)


@given(st.data(), st.integers(1, 200), seeds)
def test_iid_is_disjoint_complete_even_and_deterministic(data, n, seed):
    count = data.draw(st.integers(1, n))
    parts = iid(n, count, seed)
    check(parts, n, count)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert all((a == b).all() for a, b in zip(parts, iid(np.zeros(n), count, seed), strict=True))


@given(
    st.data(),
    st.lists(st.integers(0, 4), min_size=1, max_size=120),
    st.floats(0.001, 1e6),
    seeds,
    st.integers(1, 5),
)
def test_dirichlet_is_disjoint_complete_never_empty_and_deterministic(
    data, labels, alpha, seed, min_size
):
    min_size = min(min_size, len(labels))
    count = data.draw(st.integers(1, len(labels) // min_size))
    parts = dirichlet(labels, count, alpha, seed, min_size)
    check(parts, len(labels), count, min_size)
    again = dirichlet(labels, count, alpha, seed, min_size)
    assert all((a == b).all() for a, b in zip(parts, again, strict=True))


@given(st.data(), st.lists(st.integers(0, 4), min_size=1, max_size=120), seeds, st.integers(1, 4))
def test_shards_are_disjoint_complete_and_few_classes_each(data, labels, seed, per_part):
    per_part = min(per_part, len(labels))
    count = data.draw(st.integers(1, len(labels) // per_part))
    parts = shards(labels, count, seed, per_part)
    check(parts, len(labels), count, per_part)
    assert max(map(len, parts)) - min(map(len, parts)) <= per_part
    again = shards(labels, count, seed, per_part)
    assert all((a == b).all() for a, b in zip(parts, again, strict=True))


def test_two_shards_of_two_hundred_hold_two_classes_as_in_the_paper():
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 600))
    parts = shards(labels, 100)
    assert {len(part) for part in parts} == {60}
    assert max(len(np.unique(labels[part])) for part in parts) == 2


@given(st.data(), st.integers(1, 6), st.integers(8, 20), seeds)
def test_label_skew_gives_each_part_exactly_so_many_classes(data, names, per_class, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(names) * 3, per_class))
    classes = data.draw(st.integers(1, names))
    count = data.draw(st.integers(-(-names // classes), 8))
    parts = label_skew(labels, count, seed, classes)
    check(parts, len(labels), count)
    assert {len(np.unique(labels[part])) for part in parts} == {classes}
    owners = [sum(label in labels[part] for part in parts) for label in np.unique(labels)]
    assert max(owners) - min(owners) <= 1


@given(
    st.data(),
    st.integers(1, 200),
    st.sampled_from(["power", "dirichlet"]),
    st.floats(0.001, 1e6),
    seeds,
    st.integers(1, 5),
)
def test_quantity_skew_is_disjoint_complete_and_never_below_the_least(
    data, n, law, alpha, seed, min_size
):
    min_size = min(min_size, n)
    count = data.draw(st.integers(1, n // min_size))
    parts = quantity_skew(n, count, seed, law, alpha, min_size)
    check(parts, n, count, min_size)
    again = quantity_skew(np.zeros(n), count, seed, law, alpha, min_size)
    assert all((a == b).all() for a, b in zip(parts, again, strict=True))


def test_sizes_follow_the_power_law():
    sizes = sorted(map(len, quantity_skew(100_000, 4, alpha=2.0)), reverse=True)
    assert np.allclose(sizes, 1e5 * np.array([1, 1 / 4, 1 / 9, 1 / 16]) / (205 / 144), atol=2)


@pytest.mark.parametrize("alpha", [0.5, 4.0])
def test_shares_are_those_of_dirichlet(alpha):
    """Of a class, K parts have shares p with E p² = (α + 1) / (K (K α + 1)), and classes are
    independent.
    """
    labels, parts = np.repeat(np.arange(300), 200), 5
    shares = (
        np.array(
            [
                np.bincount(labels[part], minlength=300)
                for part in dirichlet(labels, parts, alpha, 3)
            ]
        )
        / 200
    )
    assert (shares**2).mean() == pytest.approx((alpha + 1) / (parts * (parts * alpha + 1)), rel=0.1)
    assert abs(np.corrcoef(shares[0, ::2], shares[0, 1::2])[0, 1]) < 0.3
    sizes = (
        np.array(
            [
                [len(part) for part in quantity_skew(10_000, parts, seed, "dirichlet", alpha)]
                for seed in range(300)
            ]
        )
        / 10_000
    )
    assert (sizes**2).mean() == pytest.approx((alpha + 1) / (parts * (parts * alpha + 1)), rel=0.1)


def test_shards_are_dealt_at_random():
    """Of 200 shards, 20 of each class, a second one is of the class of the first with probability
    19/199.
    """
    labels = np.repeat(np.arange(10), 60)
    classes = [
        len(np.unique(labels[part])) for seed in range(5) for part in shards(labels, 100, seed)
    ]
    assert np.mean(classes) == pytest.approx(1 + 180 / 199, abs=0.06)


def test_which_part_has_which_classes_is_random():
    labels = np.repeat(np.arange(10), 20)
    first = {tuple(np.unique(labels[label_skew(labels, 5, seed)[0]])) for seed in range(10)}
    assert len(first) > 5


def test_label_skew_gives_random_pairs_of_classes():
    """Of 10 classes there are 45 pairs; 100 parts in twenty draws of five disjoint ones have 45 (1
    − (8/9)²⁰) = 40.7 of them.
    """
    labels = np.repeat(np.arange(10), 100)
    found = [
        len({tuple(np.unique(labels[part])) for part in label_skew(labels, 100, seed)})
        for seed in range(40)
    ]
    assert np.mean(found) == pytest.approx(45 * (1 - (8 / 9) ** 20), abs=1)


def test_large_keys_are_dealt_first():
    assert [len(part) for part in by_key(list("aabc"), 2)] == [2, 2]
    assert sorted(len(part) for part in by_key(list("aaaabbbccde"), 3)) == [3, 4, 4]


@given(st.data(), st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=80), seeds)
def test_keys_stay_together(data, keys, seed):
    names = sorted(set(keys))
    count = data.draw(st.integers(1, len(names)))
    parts = by_key(keys, count, seed)
    check(parts, len(keys), count)
    owners = [{keys[index] for index in part} for part in parts]
    assert sum(map(len, owners)) == len(names)
    if count == len(names):
        assert [owner.pop() for owner in owners] == names
    else:  # Graham's bound for the largest-first rule
        best = max(len(keys) / count, max(keys.count(name) for name in names))
        assert max(map(len, parts)) <= best * 4 / 3 + max(keys.count(name) for name in names)


def test_a_lost_and_a_doubled_sample_are_named():
    check_partition([[0, 2], [1]], 3)
    with pytest.raises(
        ValueError,
        match=r"no partition of 4 samples: 1 lost \(e.g. 3\), 2 in more than one place \(e.g. 0\), "
        r"1 not from 0 to 3 \(e.g. 9\)",
    ):
        check_partition([[0, 1, 2], [0, 2, 9]], 4)
    with pytest.raises(ValueError, match=r"1 lost \(e.g. 0\)"):
        check_partition([], 1)


def test_small_alpha_skews_more_than_large():
    labels = np.repeat(np.arange(10), 100)

    def purity(alpha):
        return np.mean(
            [
                np.bincount(labels[part]).max() / len(part)
                for part in dirichlet(labels, 10, alpha, 1)
            ]
        )

    assert purity(0.05) > 0.5 > 0.2 > purity(1000)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: iid(3, 4),
            "parts must be from 1 to 3 for 3 samples, at least 1 sample each, got 4",
        ),
        (
            lambda: dirichlet([0] * 10, 4, 1.0, 0, 3),
            "parts must be from 1 to 3 for 10 samples, at least 3 samples each, got 4",
        ),
        (lambda: dirichlet([0] * 10, 4, float("nan")), "alpha must be from .* got nan"),
        (lambda: dirichlet([0] * 10, 4, 1.0, 0, 0), "min_size must be 1 or more, got 0"),
        (
            lambda: dirichlet(np.zeros((5, 2)), 4, 1.0),
            r"labels must have shape \(n,\), got \(5, 2\)",
        ),
        (
            lambda: shards([0] * 10, 4, 0, 3),
            "parts must be from 1 to 3 for 10 samples, at least 3 samples each, got 4",
        ),
        (lambda: shards([0] * 10, 4, 0, 0), "shards_per_part must be 1 or more, got 0"),
        (
            lambda: label_skew([0, 1] * 5, 2, 0, 3),
            "classes must be from 1 to 2, the number of classes, got 3",
        ),
        (
            lambda: label_skew([0, 1, 2] * 5, 2, 0, 1),
            "2 parts with 1 of 3 classes each leave 1 out: .* of 3 or more",
        ),
        (
            lambda: label_skew([0, 1, 1, 1, 1], 3, 0, 1),
            "class 0 has 1 samples, too few for the 2 parts",
        ),
        (
            lambda: quantity_skew(9, 2, law="linear"),
            "law must be 'power' or 'dirichlet', got 'linear'",
        ),
        (lambda: quantity_skew(9, 2, alpha=-1), "alpha must be from 0.001 to 1e.06, got -1"),
        (lambda: by_key(["a", "b"], 3), "parts must be from 1 to 2, the number of keys, got 3"),
    ],
)
def test_errors_name_the_value_and_what_is_allowed(make, text):
    with pytest.raises(ValueError, match=text):
        make()
