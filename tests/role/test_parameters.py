"""What of a model is stepped, averaged, copied or left, and how that travels."""

import copy
import pickle

import numpy as np
import pytest
import torch

from roleml_nb.library import average
from roleml_nb.messaging.codec import copy_of, encode
from roleml_nb.role.parameters import AVERAGED, COPIED, LEFT, STEPPED, TIED, Parameters, described, entries, kinds, labels, like
from roleml_nb.workload import TorchClassifier
from tests.science.odd import odd, thawed

KINDS = {
    "scale": STEPPED, "mask": COPIED, "norm.weight": STEPPED, "norm.bias": STEPPED, "norm.running_mean": AVERAGED,
    "norm.running_var": AVERAGED, "norm.num_batches_tracked": COPIED, "into.weight": STEPPED, "frozen.weight": LEFT,
    "frozen.bias": LEFT, "square.weight": STEPPED, "again.weight": TIED, "out.weight": STEPPED, "out.bias": STEPPED}


def test_each_entry_is_of_one_kind():
    assert kinds(odd().get_params()) == KINDS
    assert entries((LEFT, AVERAGED), odd().get_params()) == ["norm.running_mean", "norm.running_var", "frozen.weight", "frozen.bias"]


def test_a_model_without_such_entries_has_an_ordinary_state_dict():
    module = torch.nn.Linear(2, 2)
    params = module.state_dict()
    assert described(params, module) is params
    assert kinds({"w": np.ones(2), "half": np.ones(1, np.float16), "c": np.ones(1, complex), "n": np.ones(2, int), "on": True}) == {
        "w": STEPPED, "half": STEPPED, "c": STEPPED, "n": COPIED, "on": COPIED}


@pytest.mark.parametrize("wrap", [lambda module: module, lambda module: type("Model", (), {"module": module})()])
def test_a_module_may_be_the_model_itself(wrap):
    module = odd().module
    assert kinds(described(dict(module.state_dict()), wrap(module))) == KINDS


def test_a_model_without_a_module_may_name_its_statistics():
    class Own:
        buffers = ["mean", "seen", "gone"]

    assert kinds(described({"w": np.ones(2), "mean": np.ones(2), "seen": np.ones(2, int)}, Own())) == {
        "w": STEPPED, "mean": AVERAGED, "seen": COPIED}


def test_of_several_models_what_any_averages_is_averaged_and_what_all_leave_is_left():
    some = odd().get_params()
    assert kinds(some, thawed().get_params()) == {**KINDS, "frozen.weight": STEPPED, "frozen.bias": STEPPED}
    assert kinds(dict(some), some)["norm.running_var"] == AVERAGED
    assert kinds(some, dict(some))["frozen.bias"] == STEPPED
    assert kinds(some, some) == KINDS


@pytest.mark.parametrize("carry", [
    lambda params: params.copy(), copy.copy, copy.deepcopy, lambda params: pickle.loads(pickle.dumps(params)),
    lambda params: encode(params).snapshot().decode(), lambda params: copy_of(params)[0],
    lambda params: copy_of((({}), {"update": params}))[0][1]["update"],
    lambda params: like({name: entry + 0 for name, entry in params.items()}, params)])
def test_it_travels_along(carry):
    params = odd().get_params()
    found = carry(params)
    assert type(found) is Parameters and kinds(found) == KINDS and list(found) == list(params)
    assert all(torch.equal(found[name], params[name]) for name in params)
    assert found["again.weight"] is found["square.weight"]


def test_a_tied_weight_is_sent_once():
    layers = torch.nn.Sequential(torch.nn.Linear(50, 50, bias=False), torch.nn.Linear(50, 50, bias=False))
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
