"""How long a thread keeps the interpreter."""

import sys

from roleml_nb.host import switch_interval
from roleml_nb.host.switch_interval import (
    BOOST_INTERVAL_S,
    MIN_INTERVAL_S,
    boost,
    interval_for,
    request,
)


def test_turns_are_shorter_where_many_are_busy():
    assert interval_for(0) == interval_for(1) == 0.1
    assert interval_for(50) == 0.002
    assert interval_for(10_000) == MIN_INTERVAL_S


def test_the_shortest_wish_counts_and_none_stays():
    usual = sys.getswitchinterval()
    request("a", 0.1)  # turns are shorter anyway
    assert sys.getswitchinterval() == usual
    request("a", 0.002)
    request("b", 0.001)
    assert abs(sys.getswitchinterval() - 0.001) < 1e-6
    request("b", None)
    assert abs(sys.getswitchinterval() - 0.002) < 1e-6
    request("b", None)
    request("a", None)
    assert sys.getswitchinterval() == usual


def test_a_hurry_ends_with_the_first_wish_after_a_while(monkeypatch):
    usual = sys.getswitchinterval()
    boost()
    assert abs(sys.getswitchinterval() - BOOST_INTERVAL_S) < 1e-6
    request("a", None)
    request("b", 0.002)
    assert abs(sys.getswitchinterval() - BOOST_INTERVAL_S) < 1e-6
    monkeypatch.setattr(switch_interval, "BOOST_S", 0.0)
    request("a", None)
    assert abs(sys.getswitchinterval() - 0.002) < 1e-6
    request("b", None)
    assert sys.getswitchinterval() == usual
