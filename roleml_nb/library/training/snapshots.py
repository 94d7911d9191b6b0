"""Snapshots of models, to go back to when nothing comes of a training."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

__all__ = ["Snapshot"]


class Snapshot:
    """Parameters and buffers of a model, and the state of its optimizer, where it has one.

    Parameters
    ----------
    model : TrainableModel
        With ``optimizer_state()`` and ``set_optimizer_state(state)``, if its optimizer has a state.
    names : collection of str, optional
        Entries to keep; all of them when not given.
    """

    def __init__(self, model: Any, names: Collection[str] | None = None):
        entries = {} if names is not None and not names else model.get_params()
        self.entries = entries if names is None else {name: entries[name] for name in names}
        self.whole = names is None
        self.optimizer = model.optimizer_state() if hasattr(model, "optimizer_state") else None

    def restore(self, model: Any) -> None:
        """Put it back, as often as wanted."""
        if self.whole:
            model.set_params(self.entries)
        elif self.entries:
            model.set_params({**model.get_params(), **self.entries})
        if hasattr(model, "set_optimizer_state"):
            model.set_optimizer_state(self.optimizer)
