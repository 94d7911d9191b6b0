"""The kinds of entries of a model's state dict: stepped, averaged, copied, frozen, tied.

A state dict is not a vector of parameters. Beside the weights that are trained, it has statistics
of the data, such as BatchNorm's, counters, frozen weights, and sometimes one weight under several
names. `kinds` returns the kind of each entry; all arithmetic with models uses it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

__all__ = [
    "AVERAGED",
    "COPIED",
    "FROZEN",
    "STEPPED",
    "TIED",
    "Parameters",
    "describe",
    "entries",
    "kinds",
    "labels",
    "like",
    "module_of",
]

STEPPED = "stepped"
"""Trained weights: steps are computed for them, they are compressed, and count in norms."""
AVERAGED = "averaged"
"""Floating-point buffers, such as the statistics of BatchNorm: averaged, never stepped."""
COPIED = "copied"
"""Integers and bools, such as counters: the largest one is copied."""
FROZEN = "frozen"
"""Frozen weights, the same in all models: they stay as they are."""
TIED = "tied"
"""A further name of an entry before it, which is the same weight."""


class Parameters(OrderedDict[str, Any]):
    """A state dict that knows its entries that are not stepped.

    Without such entries, a state dict is an ordinary mapping.
    """

    averaged: Collection[str] = ()
    """Names of floating-point buffers."""
    frozen: Collection[str] = ()
    """Names of frozen weights."""
    ties: Mapping[str, str] = {}
    """{name: the name before it of the same weight}."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "left" in state:  # of an earlier version's checkpoint
            state["frozen"] = state.pop("left")
        self.__dict__.update(state)

    def copy(self) -> Parameters:
        return like(self, self)  # type: ignore[return-value]


def describe(params: Mapping[str, Any], model: Any) -> Mapping[str, Any]:
    """Return the state dict of a model, as `Parameters` if it has entries that are not stepped.

    Their kinds are those in the torch module ``model.module``, or `model` itself; a model without
    one may name its statistics in an attribute ``buffers``.
    """
    if isinstance(params, Parameters):
        return params
    module = module_of(model)
    if module is None:
        return _describe(params, getattr(model, "buffers", ()))
    tensors = dict(module.named_parameters(remove_duplicate=False))
    buffers = dict(module.named_buffers(remove_duplicate=False))
    frozen = []
    first: dict[int, str] = {}
    ties = {}
    for name in params:
        tensor = tensors.get(name, buffers.get(name))
        if tensor is not None and first.setdefault(id(tensor), name) != name:
            ties[name] = first[id(tensor)]
        if name in tensors and not tensors[name].requires_grad:
            frozen.append(name)
    return _describe(params, buffers, frozen, ties)


def module_of(model: Any) -> Any:
    """Return the torch module of a model, or the model itself where it is one; None for others."""
    for found in (getattr(model, "module", None), model):
        if hasattr(found, "named_buffers"):
            return found
    return None


def kinds(*updates: Mapping[str, Any]) -> dict[str, str]:
    """Return {name: kind} of the first of these state dicts of like models.

    An entry that any of them averages is averaged, and one that all of them freeze is frozen; of
    the other entries, numbers with a fraction are stepped, and the rest is copied.
    """
    known = labels(*updates)
    averaged = {*known.averaged}
    frozen = {*known.frozen}
    ties = known.ties
    found = {}
    for name, entry in updates[0].items():
        if ties.get(name) in updates[0]:
            found[name] = TIED
        elif not _is_quantity(entry):
            found[name] = COPIED
        else:
            found[name] = AVERAGED if name in averaged else FROZEN if name in frozen else STEPPED
    return found


def entries(kind: str | Collection[str], *updates: Mapping[str, Any]) -> list[str]:
    """Return the names of the entries of a kind, or of several; see `kinds`."""
    wanted = {kind} if isinstance(kind, str) else {*kind}
    return [name for name, found in kinds(*updates).items() if found in wanted]


def labels(*updates: Mapping[str, Any]) -> Parameters:
    """Return empty `Parameters` with the labels of several state dicts of like models."""
    averaged: set[str] = set()
    ties: dict[str, str] = {}
    frozen: list[set[str]] = []
    for update in updates:
        if isinstance(update, Parameters):
            averaged.update(update.averaged)
            ties.update(update.ties)
            frozen.append({*update.frozen})
    made = Parameters()
    made.averaged = tuple(sorted(averaged))
    if frozen and len(frozen) == len(updates):
        made.frozen = tuple(sorted(set.intersection(*frozen)))
    made.ties = ties
    return made


def like(values: Mapping[str, Any], *updates: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state dict `values` with the labels of `updates`, of like models.

    Tied entries get the value of the entry that they are tied to.
    """
    known = labels(*updates)
    ties = {}
    for name, first in known.ties.items():
        if name in values and first in values:
            ties[name] = first
    made = Parameters(values)
    for name, first in ties.items():
        made[name] = values[first]
    made.averaged = tuple(filter(values.__contains__, known.averaged))
    made.frozen = tuple(filter(values.__contains__, known.frozen))
    made.ties = ties
    return made if made.averaged or made.frozen or made.ties else dict(values)


def _describe(
    params: Mapping[str, Any],
    averaged: Iterable[str] = (),
    frozen: Iterable[str] = (),
    ties: Mapping[str, str] | None = None,
) -> Mapping[str, Any]:
    made = Parameters(params)
    quantities = [name for name in averaged if name in params and _is_quantity(params[name])]
    made.averaged = tuple(sorted(quantities))
    made.frozen = tuple(sorted(frozen))
    made.ties = dict(ties or {})
    return made if made.averaged or made.frozen or made.ties else params


def _is_quantity(entry: Any) -> bool:
    """Return whether an entry has floating-point or complex numbers."""
    if hasattr(entry, "is_floating_point"):
        return entry.is_floating_point() or entry.is_complex()
    return np.asarray(entry).dtype.kind in "fc"
