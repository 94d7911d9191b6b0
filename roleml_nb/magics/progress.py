"""Waiting for a run in a cell, with a bar that knows its rounds."""

from __future__ import annotations

import sys
import time
import uuid
from typing import Any

from roleml_nb.testbed.calls.runs import LiveRun

from .context import Context

__all__ = ["watch"]

BAR_DELAY_S = 0.5
"""A run that ends earlier shows no bar."""
POLL_INTERVAL_S = 0.2
WIDGET = "application/vnd.jupyter.widget-view+json"


def watch(context: Context, run: LiveRun, timeout: float | None) -> Any:
    """Return the result of a run, or raise its error; CallTimeout after `timeout` seconds.

    In a notebook a bar shows the progress meanwhile, in a terminal a line; both are gone at the
    end.
    """
    bar = None
    began = time.monotonic()
    until = began + (run.limit if timeout is None else timeout)
    try:
        while not run.wait(max(0.0, min(POLL_INTERVAL_S, until - time.monotonic()))):
            now = time.monotonic()
            if now >= until:
                break
            has_rounds = run.progress.total or run.progress.done
            if bar is None and has_rounds and now - began > BAR_DELAY_S:
                bar = _bar(context, run)
            if bar is not None:
                bar.refresh()
    finally:
        if bar is not None:
            bar.end()
    return run.result(timeout=0.0)


def _bar(context: Context, run: LiveRun) -> _Bar:
    if hasattr(context.shell, "kernel"):
        return _Widget(context, run)
    return _Line(run) if sys.stderr.isatty() else _Bar()


class _Bar:
    """No bar, where output is not shown as it comes."""

    def refresh(self) -> None: ...

    def end(self) -> None: ...


class _Line(_Bar):
    """A line in a terminal, which is written over."""

    def __init__(self, run: LiveRun):
        self._run = run

    def refresh(self) -> None:
        print(
            f"\r\x1b[K{self._run.name}: {self._run.progress}", end="", file=sys.stderr, flush=True
        )

    def end(self) -> None:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class _Widget(_Bar):
    """A run bar in the output of the cell. When it fails there is none, and the run goes on."""

    def __init__(self, context: Context, run: LiveRun):
        self._publish = context.shell.display_pub.publish
        self._display = {"display_id": uuid.uuid4().hex}
        self._widget: Any = None
        try:
            from roleml_nb.widgets.notifications.run_bar import RunBar

            widget = RunBar(context.running(), run)
            view = {"version_major": 2, "version_minor": 1, "model_id": widget.model_id}
            self._publish({WIDGET: view}, transient=self._display)
            self._widget = widget
        except Exception:  # a front end that has no comms, or is gone
            pass

    def refresh(self) -> None:
        try:
            if self._widget is not None:
                self._widget.on_tick()
        except Exception:  # as above
            self._widget = None

    def end(self) -> None:
        try:
            if self._widget is not None:
                self._publish({}, transient=self._display, update=True)
                self._widget.close()
        except Exception:  # as above
            self._widget = None
