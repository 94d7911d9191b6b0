"""Nodes that are taken away, and where nodes are put on the board."""

import pytest

from roleml_nb import Role, Service, Testbed
from roleml_nb.role import RoleMLError, TestbedError
from roleml_nb.spec import ConfigError


class Counter(Role):
    def __init__(self, start: int = 0):
        super().__init__()
        self.count = start

    @Service(expand=True)
    def add(self, caller, amount: int = 1) -> int:
        self.count += amount
        return self.count


def test_a_removed_node_is_gone_and_others_forget_it(bed) -> None:
    bed.spawn("removal-a", "removal-b{1..3}")
    bed.assign("removal-b*", "counter", Counter)
    bed.relate("removal-a", "counter", "removal-b*")
    before = bed.registry.revision
    assert bed.remove("removal-b{1,2}") == ["removal-b1", "removal-b2"]
    assert bed.registry.revision > before
    spec = bed.spec()["nodes"]
    assert "removal-b1" not in spec and "removal-b2" not in spec
    assert spec["removal-a"]["relationships"] == {"counter": ["removal-b3/counter"]}
    with pytest.raises(
        TestbedError, match="no node matches 'removal-b1'; did you mean 'removal-b3'"
    ):
        bed.call("removal-b1/counter", "add")
    with pytest.raises(RoleMLError, match="no node named 'removal-b2'"):
        bed.fleet.home.actors["notebook"].handshake("removal-b2")
    assert bed.call("removal-b3/counter", "add") == 1
    bed.remove("removal*")


def test_a_name_can_be_used_again(bed) -> None:
    for start in (3, 5):
        bed.spawn("again-a", "again-b")
        bed.assign("again-a", "counter", Counter, options={"start": start})
        assert bed.call("again-a/counter", "add") == start + 1
        bed.remove(["again-a", "again-b"])


def test_the_notebook_stays(bed) -> None:
    with pytest.raises(TestbedError, match="the notebook's own node cannot be removed"):
        bed.remove("notebook")


def test_nodes_of_a_lost_engine_can_be_removed(own_bed) -> None:
    from tests.waiting import until

    own_bed.spawn("here", on=0)
    own_bed.spawn("there", on=1)
    own_bed.assign("there", "counter", Counter)
    own_bed.relate("here", "counter", "there")
    own_bed.fleet.kill("engine1")
    until(lambda: own_bed.lost, "the engine is lost")
    own_bed.remove("there")
    assert list(own_bed.spec()["nodes"]) == ["here"]
    assert own_bed.spec()["nodes"]["here"]["relationships"] == {}


def test_positions_are_remembered_in_the_spec() -> None:
    with Testbed(engines=0) as bed:
        bed.spawn("a", "b")
        bed.arrange({"a": (40.4, -3)})
        spec = bed.spec()
        assert spec["nodes"]["a"]["at"] == [40, -3] and "at" not in spec["nodes"]["b"]
        with Testbed.from_spec(spec) as other:
            assert other.spec() == spec
        bed.arrange({"a": None})
        assert "at" not in bed.spec()["nodes"]["a"]
        with pytest.raises(TestbedError, match="no node matches 'c'"):
            bed.arrange({"c": (0, 0)})
        spec["nodes"]["a"]["at"] = [1]
        with pytest.raises(ConfigError, match=r"nodes\.a\.at: must be \[x, y\], not \[1\]"):
            Testbed.from_spec(spec)
