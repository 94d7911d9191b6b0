"""The colours of lines, bars and roles."""

from __future__ import annotations

__all__ = ["PALETTE", "translucent"]

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
"""Okabe and Ito's, which survive colour blindness."""


def translucent(colour: str) -> str:
    """Return the colour of a band behind a line of a colour such as "#0072B2"."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return f"rgba({red},{green},{blue},0.18)"
