"""Patterns of names: what they find, and what is looked up instead of matched."""

import pytest

from roleml_nb.role import TestbedError
from roleml_nb.spec.patterns import match


class LookedUp(dict):
    """Names that are looked up; going through all of them is an error."""

    def __iter__(self):
        raise AssertionError("all names were gone through")


def test_names_without_wildcards_are_looked_up_among_any_number():
    known = LookedUp.fromkeys(f"n{number}" for number in range(100))
    assert match("n7", known) == ["n7"]
    assert match(["n70", "n{1..3}", "n1"], known) == ["n70", "n1", "n2", "n3"]
    with pytest.raises(AssertionError, match="all names were gone through"):
        match("n*", known)


def test_wildcards_find_names_in_natural_order_and_no_hidden_ones():
    known = {"n10": 0, "n9": 0, "notebook": 0}
    assert match("n*", known) == ["n9", "n10", "notebook"]
    assert match("n*", known, frozenset(["notebook"])) == ["n9", "n10"]
    assert match(["notebook"], known, frozenset(["notebook"])) == ["notebook"]
    with pytest.raises(TestbedError, match=r"no node matches 'm\?'; known: n9, n10"):
        match("m?", known, frozenset(["notebook"]))
