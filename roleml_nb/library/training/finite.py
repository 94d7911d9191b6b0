"""Check of received models for NaN and infinity, before they are merged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from roleml_nb.role import RoleInteractionError

__all__ = ["Diverged", "check_finite", "finiteness_problem"]


class Diverged(RoleInteractionError):
    """A model has entries that are NaN or infinite."""


def check_finite(
    who: Any, update: Mapping[str, Any], base: Mapping[str, Any] | None = None
) -> None:
    """Raise Diverged, with `who` and the entry's name, if `update` has a `finiteness_problem`."""
    problem = finiteness_problem(update, base)
    if problem is not None:
        raise Diverged(
            f"{who} returned a model that has diverged: {problem}; look at its data for values that"
            " are not finite, and train it with a smaller learning rate"
        )


def finiteness_problem(
    update: Mapping[str, Any], base: Mapping[str, Any] | None = None
) -> str | None:
    """Describe the first entry that is NaN, or infinite where `base` is not; None if there is none.

    Masks may be infinite where the model that training began with is.
    """
    for name, entry in update.items():
        if _is_finite(entry):
            continue
        values = _array(entry)
        before = np.isinf(_array(base[name])) if base is not None and name in base else np.False_
        wrong = (
            ~np.isfinite(values)
            if before.shape != values.shape
            else np.isnan(values) | (np.isinf(values) & ~before)
        )
        if wrong.any():
            kind = "NaN" if np.isnan(values).any() else "infinite"
            return (
                f"{int(wrong.sum())} of {values.size} numbers of {name!r} are not finite ({kind})"
            )
    return None


def _is_finite(entry: Any) -> bool:
    if hasattr(entry, "detach"):
        if not (entry.is_floating_point() or entry.is_complex()) or entry.is_sparse:
            return True
        if entry.is_cpu and entry.dtype.itemsize > 2 and not entry.is_complex():
            return bool(np.isfinite(entry.detach().numpy()).all())
        return bool(entry.detach().isfinite().all())
    array = np.asarray(entry)
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def _array(entry: Any) -> np.ndarray:
    if hasattr(entry, "detach"):
        entry = entry.detach().cpu()
        return entry.numpy() if entry.is_complex() else entry.double().numpy()
    return np.asarray(entry)
