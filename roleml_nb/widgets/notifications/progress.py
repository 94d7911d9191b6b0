"""A bar that fills with the rounds of a run, and is gone when the run has ended."""

from __future__ import annotations

import uuid
from typing import Any

import ipywidgets

from roleml_nb.testbed.calls.progress import Progress

__all__ = ["ProgressBar"]

WIDGET = "application/vnd.jupyter.widget-view+json"
STYLES = {"failed": "danger", "stopped": "warning", "done": "success"}
"""{state of a run: style of its bar}."""


class ProgressBar(ipywidgets.HBox):
    """Draws a `Progress` whenever `refresh` is called."""

    def __init__(self, progress: Progress, name: str = ""):
        self._progress = progress
        self._bar = ipywidgets.FloatProgress(min=0.0, max=1.0, layout={"width": "40%"})
        self._text = ipywidgets.Label()
        labels = [ipywidgets.Label(name)] if name else []
        super().__init__([*labels, self._bar, self._text])
        self._display = uuid.uuid4().hex
        self.refresh()

    def refresh(self) -> None:
        """Show the progress as it is now."""
        fraction = self._progress.fraction
        self._bar.value = 0.0 if fraction is None else fraction
        self._bar.bar_style = STYLES.get(self._progress.state, "")
        self._text.value = str(self._progress).removeprefix("running, ")

    @property
    def text(self) -> str:
        """The text beside the bar."""
        return str(self._text.value)

    def show(self, publish: Any) -> None:
        """Show the bar in the output of the cell; nothing, where no widgets can be shown."""
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        publish({WIDGET: view}, transient={"display_id": self._display})

    def vanish(self, publish: Any) -> None:
        """Remove the bar from the output of the cell."""
        publish({}, transient={"display_id": self._display}, update=True)
        self.close()

    def __repr__(self) -> str:
        return "<ProgressBar>"
