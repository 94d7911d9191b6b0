"""How long a thread keeps the interpreter."""

import sys

from roleml_nb.host import switch_interval
from roleml_nb.host.switch_interval import SHORT, SHORTEST, hurry, turns_for, wish


def test_turns_are_shorter_where_many_are_busy():
    assert turns_for(0) == turns_for(1) == 0.1
    assert turns_for(50) == 0.002
    assert turns_for(10_000) == SHORT


def test_the_shortest_wish_counts_and_none_stays():
    usual = sys.getswitchinterval()
    wish("a", 0.1)  # turns are shorter anyway
    assert sys.getswitchinterval() == usual
    wish("a", 0.002)
    wish("b", 0.001)
    assert abs(sys.getswitchinterval() - 0.001) < 1e-6
    wish("b", None)
    assert abs(sys.getswitchinterval() - 0.002) < 1e-6
    wish("b", None)
    wish("a", None)
    assert sys.getswitchinterval() == usual


def test_a_hurry_ends_with_the_first_wish_after_a_while(monkeypatch):
    usual = sys.getswitchinterval()
    hurry()
    assert abs(sys.getswitchinterval() - SHORTEST) < 1e-6
    wish("a", None)
    wish("b", 0.002)
    assert abs(sys.getswitchinterval() - SHORTEST) < 1e-6
    monkeypatch.setattr(switch_interval, "HURRY", 0.0)
    wish("a", None)
    assert abs(sys.getswitchinterval() - 0.002) < 1e-6
    wish("b", None)
    assert sys.getswitchinterval() == usual
