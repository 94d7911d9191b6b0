"""What of a model is stepped, averaged, copied or frozen, and how that travels."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from roleml_nb.library import average
from roleml_nb.library.aggregation.state_dicts import from_vector, to_vector
from roleml_nb.messaging.serialization.codec import copy_of, encode
from roleml_nb.role.parameters import (
    AVERAGED,
    COPIED,
    FROZEN,
    STEPPED,
    TIED,
    Parameters,
    describe,
    entries,
    kinds,
    labels,
    like,
)
from roleml_nb.workload import TorchClassifier
from tests.science.odd import odd, thawed

KINDS = {
    "scale": STEPPED,
    "mask": COPIED,
    "norm.weight": STEPPED,
    "norm.bias": STEPPED,
    "norm.running_mean": AVERAGED,
    "norm.running_var": AVERAGED,
    "norm.num_batches_tracked": COPIED,
    "into.weight": STEPPED,
    "frozen.weight": FROZEN,
    "frozen.bias": FROZEN,
    "square.weight": STEPPED,
    "again.weight": TIED,
    "out.weight": STEPPED,
    "out.bias": STEPPED,
}


def test_each_entry_is_of_one_kind():
    assert kinds(odd().get_params()) == KINDS
    assert entries((FROZEN, AVERAGED), odd().get_params()) == [
        "norm.running_mean",
        "norm.running_var",
        "frozen.weight",
        "frozen.bias",
    ]


def test_a_model_without_such_entries_has_an_ordinary_state_dict():
    module = torch.nn.Linear(2, 2)
    params = module.state_dict()
    assert describe(params, module) is params
    assert kinds(
        {
            "w": np.ones(2),
            "half": np.ones(1, np.float16),
            "c": np.ones(1, complex),
            "n": np.ones(2, int),
            "on": True,
        }
    ) == {"w": STEPPED, "half": STEPPED, "c": STEPPED, "n": COPIED, "on": COPIED}


@pytest.mark.parametrize(
    "wrap", [lambda module: module, lambda module: type("Model", (), {"module": module})()]
)
def test_a_module_may_be_the_model_itself(wrap):
    module = odd().module
    assert kinds(describe(dict(module.state_dict()), wrap(module))) == KINDS


def test_a_model_without_a_module_may_name_its_statistics():
    class Own:
        buffers = ["mean", "seen", "gone"]

    assert kinds(
        describe({"w": np.ones(2), "mean": np.ones(2), "seen": np.ones(2, int)}, Own())
    ) == {"w": STEPPED, "mean": AVERAGED, "seen": COPIED}


def test_of_several_models_what_any_averages_is_averaged_and_what_all_leave_is_left():
    some = odd().get_params()
    assert kinds(some, thawed().get_params()) == {
        **KINDS,
        "frozen.weight": STEPPED,
        "frozen.bias": STEPPED,
    }
    assert kinds(dict(some), some)["norm.running_var"] == AVERAGED
    assert kinds(some, dict(some))["frozen.bias"] == STEPPED
    assert kinds(some, some) == KINDS


@pytest.mark.parametrize(
    "carry",
    [
        lambda params: params.copy(),
        copy.copy,
        copy.deepcopy,
        lambda params: pickle.loads(pickle.dumps(params)),
        lambda params: encode(params).snapshot().decode(),
        lambda params: copy_of(params)[0],
        lambda params: copy_of((({}), {"update": params}))[0][1]["update"],
        lambda params: like({name: entry + 0 for name, entry in params.items()}, params),
    ],
)
def test_it_travels_along(carry):
    params = odd().get_params()
    found = carry(params)
    assert type(found) is Parameters and kinds(found) == KINDS and list(found) == list(params)
    assert all(torch.equal(found[name], params[name]) for name in params)
    assert found["again.weight"] is found["square.weight"]


def test_a_tied_weight_is_sent_once():
    layers = torch.nn.Sequential(
        torch.nn.Linear(50, 50, bias=False), torch.nn.Linear(50, 50, bias=False)
    )
    layers[1].weight = layers[0].weight
    params = TorchClassifier(lambda: layers).get_params()
    for value in (params, average([params, params])):
        assert 0 < encode(value).nbytes - 4 * 50 * 50 < 400
        assert copy_of(value)[1] == encode(value).nbytes


def test_a_copy_in_the_process_counts_as_many_bytes_as_a_message():
    for params in (odd().get_params(), thawed().get_params(), odd().get_params()):
        for value in (params, ({}, {"update": params})):
            assert copy_of(value)[1] == encode(value).nbytes


def test_what_is_tied_stays_tied_and_what_lost_its_first_name_is_not():
    params = odd().get_params()
    found = like({name: entry.clone() for name, entry in params.items()}, params)
    assert found["again.weight"] is found["square.weight"]
    part = like({name: entry for name, entry in params.items() if name != "square.weight"}, params)
    assert kinds(part)["again.weight"] == STEPPED
    assert labels(params).ties == {"again.weight": "square.weight"} and not labels(params)


BLOCKS = {
    "norm": lambda: torch.nn.BatchNorm1d(2),
    "plain": lambda: torch.nn.Linear(2, 2),
    "wide": lambda: torch.nn.Linear(2, 2).double(),
    "frozen": lambda: torch.nn.Linear(2, 2).requires_grad_(False),
    "nothing": torch.nn.ReLU,
    "half": lambda: torch.nn.Linear(2, 1).half().requires_grad_(False),
}


def module_of(blocks, ties):
    """Blocks one after the other, some of which share the weight of an earlier one of their
    kind.
    """
    module = torch.nn.Sequential(*(BLOCKS[block]() for block in blocks))
    module.scalar = torch.nn.Parameter(torch.tensor(2.0))
    module.register_buffer("mask", torch.tensor([True, False]))
    for one, other in ties:
        if one < other < len(blocks) and blocks[one] == blocks[other] != "nothing":
            module[other].weight = module[one].weight
    return module


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(sorted(BLOCKS)), max_size=5),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=3),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.integers(0, 99),
)
def test_an_average_is_of_each_entry_what_its_kind_says(blocks, ties, weights, seed):
    """Against one that knows the module itself, and of a step and its way as a vector and back."""
    random, module = np.random.default_rng(seed), module_of(blocks, ties)
    start = describe(dict(module.state_dict()), module)
    trained = {
        name
        for name, value in module.named_parameters(remove_duplicate=False)
        if value.requires_grad
    }
    frozen = {
        name
        for name, value in module.named_parameters(remove_duplicate=False)
        if not value.requires_grad
    }
    updates = []
    for _ in weights:
        moved = {name: entry.clone() for name, entry in start.items()}
        for name in set(moved) - frozen:
            change = torch.tensor(random.integers(0, 5, moved[name].shape))
            moved[name] = (
                (moved[name] | (change > 2))
                if moved[name].dtype == torch.bool
                else (moved[name] + change).to(moved[name].dtype)
            )
        updates.append(like(moved, start))
    found = average(updates, weights)
    for name, entry in start.items():
        values = [update[name].double().numpy() for update in updates]
        if name in frozen:
            assert torch.equal(found[name], entry)
        elif entry.is_floating_point():
            np.testing.assert_allclose(
                found[name].double(),
                np.average(values, axis=0, weights=weights),
                rtol=1e-6,
                atol=1e-6,
            )
        else:
            assert (found[name].double().numpy() == np.max(values, axis=0)).all()
    unique = {id(value): value for name, value in module.named_parameters() if name in trained}
    vector = to_vector(updates[0])
    assert len(vector) == sum(value.numel() for value in unique.values())
    back = from_vector(vector + 1, updates[0])
    for name, entry in updates[0].items():
        assert torch.equal(back[name], entry + 1 if name in trained else entry)
    assert kinds(back) == kinds(found) == kinds(start)


def test_parameters_of_an_earlier_checkpoint_know_what_is_frozen():
    made = Parameters(w=np.ones(2))
    made.__setstate__({"left": ("w",)})
    assert made.frozen == ("w",) and kinds(made) == {"w": FROZEN}
