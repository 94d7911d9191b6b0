"""Specs are written with the shortest public names of ours, and read with former ones, too."""

import copy
import subprocess
import sys
import warnings

import pytest

from roleml_nb import HandlerError, Testbed, impl
from roleml_nb.library import EpochTrainer
from roleml_nb.library.training.trainer import EpochTrainer as Defined
from roleml_nb.spec.definitions import dotted_name
from roleml_nb.testbed import config
from roleml_nb.workload import digits, mlp

FORMER = """
import warnings
warnings.simplefilter("error", ResourceWarning)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from roleml_nb.library.trainer import EpochTrainer
    import roleml_nb.library.trainer
    from roleml_nb.library.federated import FedAvgAggregator
from roleml_nb.library import EpochTrainer as now, FedAvgAggregator as aggregator
assert EpochTrainer is now and FedAvgAggregator is aggregator
print([str(each.message) for each in caught])
"""


@pytest.fixture
def bed():
    with Testbed(engines=0, seed=1) as bed:
        bed.spawn("a").assign(
            "trainer",
            EpochTrainer,
            elements={"model": impl(mlp, 64, 10), "dataset": impl(digits, part=0, parts=2)},
        )
        yield bed


def role(spec):
    return spec["nodes"]["a"]["roles"]["trainer"]


def test_a_spec_holds_the_shortest_public_names(bed):
    spec = bed.spec()
    assert role(spec)["class"] == "roleml_nb.library.EpochTrainer"
    elements = role(spec)["elements"]
    assert elements["model"]["$call"] == "roleml_nb.workload.mlp"
    assert elements["dataset"]["$call"] == "roleml_nb.workload.digits"
    assert EpochTrainer is Defined


def test_a_spec_of_before_is_read(bed):
    spec = copy.deepcopy(bed.spec())
    role(spec)["class"] = "roleml_nb.library.trainer.EpochTrainer"
    role(spec)["elements"]["dataset"]["$call"] = "roleml_nb.workload.tables.digits"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Testbed.from_spec(spec) as again:
            assert again.spec() == bed.spec()


def test_what_no_public_package_has_keeps_its_module():
    assert dotted_name(dotted_name) == "roleml_nb.spec.definitions.dotted_name"
    assert dotted_name(subprocess.run) == "subprocess.run"


def test_a_former_module_warns_once_and_has_the_same_class():
    done = subprocess.run(
        [sys.executable, "-c", FORMER], capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout.strip() == (
        "['roleml_nb.library.trainer is roleml_nb.library.training.trainer now']"
    )


def test_the_former_names_of_configurations_work_and_warn(bed, tmp_path):
    path = tmp_path / "saved.yaml"

    def warned(name):
        return pytest.warns(DeprecationWarning, match=rf"roleml_nb\.testbed\.config\.{name} is")

    with warned("save"):
        save = config.save
    save(bed, path)
    with warned("read"):
        assert list(config.read(path).nodes) == ["a"]
    run = {"profiles": [{"name": "a"}], "roles": {"a": {}}}
    with warned("expand"):
        assert config.expand(run)["fixed"] is True
    with warned("load"):
        load = config.load
    again, plan = load(Testbed, path, engines=0)
    with again:
        assert again.spec() == bed.spec() and list(plan.nodes) == ["a"]


def test_a_configuration_is_loaded_beside_what_is_there(bed):
    spec = bed.spec()
    more = {"roleml_nb": 1, "nodes": {"b": spec["nodes"]["a"]}}
    bed.load(more)
    assert set(bed.spec()["nodes"]) == {"a", "b"}
    assert bed.spec()["nodes"]["a"] == spec["nodes"]["a"]


def failing():
    raise ValueError("no data today")


def test_a_configuration_that_fails_is_taken_back(bed):
    before = bed.spec()
    good = before["nodes"]["a"]["roles"]["trainer"]
    bad = {**good, "elements": {**good["elements"], "dataset": {"$call": f"{__name__}.failing"}}}
    more = {
        "roleml_nb": 1,
        "nodes": {
            "b": {"roles": {"trainer": good}},
            "c": {"roles": {"other": bad}, "relationships": {"peer": ["b/trainer"]}},
        },
    }
    with pytest.raises(HandlerError, match="no data today"):
        bed.load(more, trust=True)
    after = bed.spec()["nodes"]
    assert after["a"] == before["nodes"]["a"]
    assert not after["b"].get("roles") and not after["c"].get("relationships", {}).get("peer")
