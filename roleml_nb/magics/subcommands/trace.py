"""``%rml trace``: how much was noted, how much of it is kept, and the end of it."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from ..rml import RoleMagics

__all__ = ["OVERVIEW", "add", "run"]

OVERVIEW = """\
%rml trace --limit 500                                what was recorded; keep up to 500 MB; --clear
"""


def add(add: Callable[[str, str], ArgumentParser]) -> None:
    """Declare the command."""
    trace = add(
        "trace",
        "Print how many messages, metrics and lines were noted, and how much memory they take.",
    )
    trace.add_argument(
        "--limit",
        type=_megabytes,
        metavar="MB",
        help="keep as much one by one; of older messages, totals (128); inf for no limit",
    )
    trace.add_argument(
        "--clear", action="store_true", help="forget all of it; what comes from now on is noted"
    )


def _megabytes(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number > 0:
        raise argparse.ArgumentTypeError(f"a number of MB, more than 0, or inf, not {text!r}")
    return number


def run(magics: RoleMagics, given: Any) -> None:
    """Carry it out, and print what is there then."""
    trace = magics.running().trace
    if given.limit is not None:
        trace.limit = given.limit * 1e6
    if given.clear:
        trace.clear()
    said = trace.summary()
    limit = "no limit" if trace.limit == math.inf else f"at most {trace.limit / 1e6:,.4g} MB"
    print(f"{said}\n{trace.nbytes / 1e6:,.1f} MB, {limit}")
