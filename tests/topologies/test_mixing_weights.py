"""Mixing weights."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roleml_nb import topology
from roleml_nb.library import (
    column_stochastic,
    metropolis_hastings,
    mixing_matrix,
    row_stochastic,
    second_eigenvalue,
    uniform,
)

GRAPHS = st.builds(
    lambda name, n, seed: topology(name, n, seed=seed).neighbours(),
    st.sampled_from(["star", "line", "grid", "tree", "erdos-renyi", "scale-free"]),
    st.integers(1, 12),
    st.integers(0, 5),
)


@settings(max_examples=30, deadline=None)
@given(GRAPHS)
def test_what_is_stochastic(graph):
    for weights in (metropolis_hastings, uniform):
        matrix = mixing_matrix(weights(graph))
        assert (
            np.allclose(matrix.sum(0), 1)
            and np.allclose(matrix.sum(1), 1)
            and (matrix >= -1e-12).all()
        )
        assert second_eigenvalue(matrix) < 1
    assert np.allclose(mixing_matrix(row_stochastic(graph)).sum(1), 1)
    assert np.allclose(mixing_matrix(column_stochastic(graph)).sum(0), 1)


def test_the_weights_of_a_line():
    line = {"a": ["b"], "b": ["a", "c"], "c": ["b"]}
    third = 1 / 3
    assert metropolis_hastings(line) == {
        "a": {"a": pytest.approx(2 * third), "b": third},
        "b": {"b": pytest.approx(third), "a": third, "c": third},
        "c": {"c": pytest.approx(2 * third), "b": third},
    }
    assert row_stochastic(line)["a"] == {"a": 1 / 2, "b": 1 / 2}
    assert column_stochastic(line)["a"] == {"a": 1 / 2, "b": third}
    assert second_eigenvalue(mixing_matrix(metropolis_hastings(line))) == pytest.approx(2 * third)


def test_uniform_weights_are_those_of_the_largest_degree():
    """a – b – c – d, and b – e: b has three neighbours, so each edge has a quarter, and the rest is
    each one's own.
    """
    graph = {"a": ["b"], "b": ["a", "c", "e"], "c": ["b", "d"], "d": ["c"], "e": ["b"]}
    assert uniform(graph)["c"] == {"c": 1 / 2, "b": 1 / 4, "d": 1 / 4}
    assert uniform(graph)["b"] == {"b": 1 / 4, "a": 1 / 4, "c": 1 / 4, "e": 1 / 4}
    assert metropolis_hastings(graph)["c"] == {"c": pytest.approx(5 / 12), "b": 1 / 4, "d": 1 / 3}


def test_one_way_edges_are_refused_where_weights_must_be_doubly_stochastic():
    with pytest.raises(
        ValueError,
        match=(
            "a sends to b, but b does not send to a: these weights are for graphs whose edges lead"
            " both"
        ),
    ):
        metropolis_hastings({"a": ["b"], "b": []})
