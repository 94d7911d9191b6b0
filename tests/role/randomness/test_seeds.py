"""The seed tree."""

import random

import numpy as np
import pytest

from roleml_nb import Role, Service, Testbed
from roleml_nb.role import generator


def test_paths_are_branches():
    drawn = {
        path: generator(3, *path).integers(2**62)
        for path in [
            (),
            ("a",),
            ("a", "b"),
            ("ab",),
            ("b", "a"),
            ("a", 1),
            ("a", "1"),
            ("a", 2),
            (1, "a"),
        ]
    }
    assert len(set(drawn.values())) == len(drawn)
    assert all(generator(3, *path).integers(2**62) == value for path, value in drawn.items())
    assert generator(4, "a").integers(2**62) != drawn["a",]
    assert generator(0, "client3", "trainer", 12).integers(1000) == 191  # for ever
    with pytest.raises(ValueError):
        generator(-1)


class Dice(Role):
    @Service(expand=True)
    def throw(self, caller, round):
        return [int(number) for number in self.rng(round).integers(1000, size=4)]


def test_a_role_draws_the_same_wherever_it_is(bed):
    bed.spawn("dice{1..2}").assign("dice", Dice)
    one, two = bed.call("dice*/dice", "throw", {"round": 7}).values()
    assert one == [
        int(number) for number in generator(0, "dice1", "dice", 7).integers(1000, size=4)
    ]
    assert one == bed.call("dice1/dice", "throw", {"round": 7})
    assert len({*map(tuple, (one, two, bed.call("dice1/dice", "throw", {"round": 8})))}) == 3


def test_a_nodes_own_seed_comes_first_and_global_state_is_left_alone():
    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist()
    with Testbed(engines=0, seed=5) as bed:
        bed.spawn("a")
        bed.spawn("b", seed=9)
        bed.assign("*[ab]", "dice", Dice)
        thrown = bed.call("*[ab]/dice", "throw", {"round": 0})
    assert thrown == {
        node: generator(seed, node, "dice", 0).integers(1000, size=4).tolist()
        for node, seed in (("a", 5), ("b", 9))
    }
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before
