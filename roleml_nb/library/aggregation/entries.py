"""Which entries of a model's state dict are what: buffers, batch normalisation, or called by a
pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from roleml_nb.role import ArgumentError
from roleml_nb.role.parameters import described, module_of

__all__ = ["BATCH_NORM", "BUFFERS", "buffers_of", "local_entries"]

BUFFERS, BATCH_NORM = "buffers", "batch-norm"


def buffers_of(model: Any) -> list[str]:
    """Entries that are not trained, such as BatchNorm's statistics: the buffers of the model's
    torch ``module``.

    A model without one may name its own in an attribute ``buffers``.
    """
    module = module_of(model)
    return (
        [name for name, _ in module.named_buffers()]
        if module is not None
        else list(getattr(model, "buffers", ()))
    )


def local_entries(model: Any, local: str | Sequence[str]) -> set[str]:
    """Entries of `model` that stay on their node; of a weight that has several names, all of these.

    Parameters
    ----------
    local : str or sequence of str
        Each "buffers", "batch-norm" (parameters and buffers of all BatchNorm layers) or a name,
        where ``*`` stands for anything: "head.*".

    Raises
    ------
    ValueError
        When one of them fits no entry.
    """
    found: set[str] = set()
    for kind in [local] if isinstance(local, str) else local:
        if kind == BUFFERS:
            found.update(buffers_of(model))
            continue
        names = list(model.get_params())
        fitting = (
            _batch_norm(model)
            if kind == BATCH_NORM
            else {name for name in names if fnmatchcase(name, kind)}
        )
        if not fitting:
            raise ArgumentError(
                f"no entry of the model is local={kind!r}: allowed are {BUFFERS!r}, {BATCH_NORM!r}"
                f" and patterns of its names, {', '.join(names)}"
            )
        found |= fitting
    ties = getattr(described(model.get_params(), model), "ties", {})
    firsts = {ties.get(name, name) for name in found}
    return found | {name for tie in ties.items() if tie[1] in firsts for name in tie}


def _batch_norm(model: Any) -> set[str]:
    module = module_of(model)
    layers = () if module is None else module.named_modules()
    return {
        f"{prefix}.{name}" if prefix else name
        for prefix, layer in layers
        if any(base.__name__ == "_BatchNorm" for base in type(layer).__mro__)
        for name in layer.state_dict()
    }
