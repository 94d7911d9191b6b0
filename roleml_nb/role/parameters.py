"""What of a model is stepped, averaged, copied or frozen.

A state dict is no vector of parameters. Beside the weights that are trained, it has statistics of
the data, such as BatchNorm's, counters, weights that are frozen, and sometimes one weight under
several names. `kinds` says which entry is what; whatever does arithmetic with models asks it.
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
"""Weights that are trained: steps are made of them, they are compressed, and count in norms and
distances.
"""
AVERAGED = "averaged"
"""Floating-point buffers, such as the statistics of BatchNorm: they are averaged, and no step is
made of them.
"""
COPIED = "copied"
"""Integers and bools, such as counters: the largest one is taken over."""
FROZEN = "frozen"
"""Frozen weights, the same in all models: they stay what they are."""
TIED = "tied"
"""Another name of an entry before it, which it is the same as."""


class Parameters(OrderedDict[str, Any]):
    """A state dict that knows what of it is not stepped; one without such entries is an ordinary
    mapping.
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
    """The state dict `params` of `model`, as `Parameters` where there is something to know about
    it.

    What is asked is the torch module ``model.module``, or `model` itself; a model without one may
    name its statistics in an attribute ``buffers``.
    """
    if isinstance(params, Parameters):
        return params
    module = module_of(model)
    if module is None:
        return _describe(params, [name for name in getattr(model, "buffers", ()) if name in params])
    tensors = dict(module.named_parameters(remove_duplicate=False))
    frozen = [
        name for name, tensor in tensors.items() if name in params and not tensor.requires_grad
    ]
    buffers = dict(module.named_buffers(remove_duplicate=False))
    first: dict[int, str] = {}
    ties = {}
    for name in params:
        tensor = tensors.get(name, buffers.get(name))
        if tensor is not None and first.setdefault(id(tensor), name) != name:
            ties[name] = first[id(tensor)]
    return _describe(params, [name for name in buffers if name in params], frozen, ties)


def module_of(model: Any) -> Any:
    """The torch module of a model, or the model itself where it is one; None for others."""
    return next(
        (one for one in (getattr(model, "module", None), model) if hasattr(one, "named_buffers")),
        None,
    )


def kinds(*updates: Mapping[str, Any]) -> dict[str, str]:
    """What each entry of the first of these state dicts of like models is, by name.

    One that any of them averages is averaged, and one that all of them leave is left; for all else,
    numbers with a fraction are stepped, and others copied.
    """
    label = labels(*updates)
    averaged, frozen, ties = {*label.averaged}, {*label.frozen}, label.ties
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
    """Names of the entries of a kind, or of several; see `kinds`."""
    wanted = {kind} if isinstance(kind, str) else {*kind}
    return [name for name, found in kinds(*updates).items() if found in wanted]


def labels(*updates: Mapping[str, Any]) -> Parameters:
    """What is known of the entries of one or several state dicts of like models, without the
    entries.
    """
    made, known = Parameters(), [update for update in updates if isinstance(update, Parameters)]
    made.averaged = tuple(sorted({name for update in known for name in update.averaged}))
    if known and len(known) == len(updates):
        made.frozen = tuple(sorted(set.intersection(*({*update.frozen} for update in known))))
    made.ties = {name: first for update in known for name, first in update.ties.items()}
    return made


def like(values: Mapping[str, Any], *updates: Mapping[str, Any]) -> dict[str, Any]:
    """The state dict `values`, of a model like those of `updates`: with what these know, and tied
    entries tied.
    """
    label = labels(*updates)
    ties = {name: first for name, first in label.ties.items() if name in values and first in values}
    made = Parameters((name, values[ties.get(name, name)]) for name in values)
    made.averaged = tuple(name for name in label.averaged if name in values)
    made.frozen, made.ties = tuple(name for name in label.frozen if name in values), ties
    return made if made.averaged or made.frozen or made.ties else dict(values)


def _describe(
    params: Mapping[str, Any],
    averaged: Iterable[str] = (),
    frozen: Iterable[str] = (),
    ties: Mapping[str, str] | None = None,
) -> Mapping[str, Any]:
    made = Parameters(params)
    made.averaged = tuple(sorted(name for name in averaged if _is_quantity(params[name])))
    made.frozen = tuple(sorted(frozen))
    made.ties = dict(ties or {})
    return made if made.averaged or made.frozen or made.ties else params


def _is_quantity(entry: Any) -> bool:
    """True for floating-point and complex numbers."""
    if hasattr(entry, "is_floating_point"):
        return entry.is_floating_point() or entry.is_complex()
    return np.asarray(entry).dtype.kind in "fc"
