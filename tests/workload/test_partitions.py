import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roleml_nb.workload import dirichlet, iid

seeds = st.integers(0, 2**32 - 1)


def check(parts, n, count, min_size=1):
    assert len(parts) == count
    assert min(map(len, parts)) >= min_size
    assert np.sort(np.concatenate(parts)).tolist() == list(range(n))


@given(st.data(), st.integers(1, 200), seeds)
def test_iid_is_disjoint_complete_even_and_deterministic(data, n, seed):
    count = data.draw(st.integers(1, n))
    parts = iid(n, count, seed)
    check(parts, n, count)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert all((a == b).all() for a, b in zip(parts, iid(np.zeros(n), count, seed), strict=True))


@given(
    st.data(), st.lists(st.integers(0, 4), min_size=1, max_size=120), st.floats(0.001, 1e6), seeds, st.integers(1, 5)
)
def test_dirichlet_is_disjoint_complete_never_empty_and_deterministic(data, labels, alpha, seed, min_size):
    min_size = min(min_size, len(labels))
    count = data.draw(st.integers(1, len(labels) // min_size))
    parts = dirichlet(labels, count, alpha, seed, min_size)
    check(parts, len(labels), count, min_size)
    again = dirichlet(labels, count, alpha, seed, min_size)
    assert all((a == b).all() for a, b in zip(parts, again, strict=True))


def test_small_alpha_skews_more_than_large():
    labels = np.repeat(np.arange(10), 100)

    def purity(alpha):
        return np.mean([np.bincount(labels[part]).max() / len(part) for part in dirichlet(labels, 10, alpha, 1)])

    assert purity(0.05) > 0.5 > 0.2 > purity(1000)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: iid(3, 4), "parts must be from 1 to 3 for 3 samples, at least 1 sample each, got 4"),
        (lambda: dirichlet([0] * 10, 4, 1.0, 0, 3),
         "parts must be from 1 to 3 for 10 samples, at least 3 samples each, got 4"),
        (lambda: dirichlet([0] * 10, 4, float("nan")), "alpha must be from .* got nan"),
        (lambda: dirichlet([0] * 10, 4, 1.0, 0, 0), "min_size must be 1 or more, got 0"),
        (lambda: dirichlet(np.zeros((5, 2)), 4, 1.0), r"labels must have shape \(n,\), got \(5, 2\)"),
    ],
)
def test_errors_name_the_value_and_what_is_allowed(make, text):
    with pytest.raises(ValueError, match=text):
        make()
