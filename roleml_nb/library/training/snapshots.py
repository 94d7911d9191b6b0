"""Snapshots of models, restored when a training fails or its result is not used."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from roleml_nb.library.aggregation.state_dicts import subset

__all__ = ["Snapshot"]


class Snapshot:
    """Parameters and buffers of a model, and the state of its optimizer, if it has one.

    Parameters
    ----------
    model : TrainableModel
        With ``optimizer_state()`` and ``set_optimizer_state(state)``, if its optimizer has a state.
    names : collection of str, optional
        Entries to keep; all of them when not given.
    """

    def __init__(self, model: Any, names: Collection[str] | None = None):
        entries = {} if names is not None and not names else model.get_params()
        self.entries = entries
        if names is not None:
            self.entries = subset(entries, names)
        self.whole = names is None
        self.optimizer = model.optimizer_state() if hasattr(model, "optimizer_state") else None

    def restore(self, model: Any) -> None:
        """Restore the model; may be called several times."""
        if self.whole:
            model.set_params(self.entries)
        elif self.entries:
            model.set_params({**model.get_params(), **self.entries})
        if hasattr(model, "set_optimizer_state"):
            model.set_optimizer_state(self.optimizer)
