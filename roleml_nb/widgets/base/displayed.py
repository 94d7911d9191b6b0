"""Displayed: what a view leaves in a notebook, which is two outputs. A picture shows wherever no
kernel runs; the live widget beside it hides it where one does.

Neither hears of the other, nor of a save, and front ends store the state of widgets whatever a
kernel does. So each output has a display id of its own; the picture is published anew at the end of
each cell, and of each run, that has changed it; and the widget draws nothing where it hears no
kernel (`common.js`). When the view rests, its widget's output is emptied, or becomes a page that
needs neither kernel nor network.
"""

from __future__ import annotations

import html
import logging
import struct
import threading
import uuid
import weakref
import zlib
from typing import Any

from IPython import get_ipython

from roleml_nb.pictures.picture import ZOOM, Picture
from roleml_nb.trace import Trace

from .former_methods import FormerMethods
from .worker import Worker

__all__ = [
    "IHDR_END",
    "MARK",
    "MAX_PAGE_BYTES",
    "WIDGET",
    "Displayed",
    "frame",
    "marked",
    "position",
]

WIDGET = "application/vnd.jupyter.widget-view+json"
IHDR_END = 33
"""Bytes of a PNG's signature and header."""
_TEXT = b"tEXtSource\0roleml_nb view"
MARK = struct.pack(">I", len(_TEXT) - 4) + _TEXT + struct.pack(">I", zlib.crc32(_TEXT))
"""A chunk of the PNG of a picture that a live widget may hide.

`common.js` finds it in the address of an image: 33 bytes precede it, which is a multiple of 3, so
its base64 is the same in each picture.
"""
MAX_PAGE_BYTES = 150_000
"""A page that is larger is not left in a notebook."""

_displayed: weakref.WeakSet[Displayed] = weakref.WeakSet()
"""Views whose pictures are published anew."""


class Outputs:
    """The two outputs of one display of a view, and the cell that they are in."""

    def __init__(self, shell: Any):
        self.picture_id, self.widget_id = uuid.uuid4().hex, uuid.uuid4().hex
        parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
        self.cell = (parent or {}).get("metadata", {}).get("cellId")
        self.execution = shell.execution_count

    def replaced_by(self, other: Outputs) -> bool:
        """True when the cell has run again since, so that a front end has dropped these outputs."""
        return (
            self.cell is not None and self.cell == other.cell and self.execution < other.execution
        )


class Displayed(FormerMethods):
    """Mixin of widgets that leave a picture in the notebook. A subclass draws `picture`."""

    comm: Any

    def __init__(self, *args: Any, **traits: Any) -> None:
        self._outputs: list[Outputs] = []
        self._published = ""
        self._publishing = threading.RLock()
        self._renewing = Worker(f"{type(self).__name__.lower()}-pictures")
        super().__init__(*args, **traits)

    # what subclasses say

    def picture(self) -> Picture:
        """The view as it stands, as a picture that shows without a kernel, too."""
        raise TypeError(f"{type(self).__name__} draws no picture")

    def outdated(self) -> bool:
        """Return False when the picture is known to be the same as when it was published last; it
        is asked at the end of each cell, so it costs little."""
        return True

    def page(self) -> str:
        """Return a page that shows the view without a kernel and without network, for the notebook
        to keep; empty when there is none."""
        return ""

    def still(self, shown: Picture, zoom: float = ZOOM) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what the notebook keeps of a picture: data and their metadata."""
        data, metadata = shown.bundle(zoom)
        return {**data, "image/png": marked(data["image/png"])}, metadata

    # in the notebook

    def _ipython_display_(self) -> None:
        shell = get_ipython()
        if shell is None:
            print(repr(self))
            return
        if not hasattr(shell, "kernel"):  # a terminal, which shows text, and nothing anew
            _publish(shell, {"text/plain": repr(self)}, {}, "")
            return
        outputs = Outputs(shell)
        for view in list(_displayed):
            view._outputs = [one for one in view._outputs if not one.replaced_by(outputs)]
        with self._publishing:
            self.outdated()
            shown = self.picture()
            self._published = shown.svg
            _publish(shell, *self.still(shown), outputs.picture_id)
            if self.comm is None:
                return
            view_of_model = {"version_major": 2, "version_minor": 1, "model_id": self.comm.comm_id}
            _publish(shell, {WIDGET: view_of_model, "text/html": ""}, {}, outputs.widget_id)
            self._outputs.append(outputs)
        _displayed.add(self)
        shell.events.register("post_run_cell", _at_cell_end)

    def renew(self) -> None:
        """Publish the picture anew, wherever the view is displayed, if it has changed."""
        with self._publishing:
            if self._outputs and self.outdated():
                self._renew()

    def _renew(self) -> None:
        shown, shell = self.picture(), get_ipython()
        if shell is not None and shown.svg != self._published:
            still = self.still(shown)
            for outputs in self._outputs:
                _publish(shell, *still, outputs.picture_id, update=True)
            self._published = shown.svg

    def renew_soon(self) -> None:
        """Publish the picture anew from another thread, such as when a run has ended.

        Who runs a notebook without a front end takes what is published while a cell runs, and
        nothing else, so the end of the next cell publishes it once more.
        """
        if self._outputs:
            self._renewing.submit(self._renew_between_cells)

    def _renew_between_cells(self) -> None:
        with self._publishing:
            before = self._published
            self._renew()
            self._published = before

    def settle(self) -> None:
        """Publish the last picture, and in place of the live widget its page, if that is small."""
        self._renewing.stop()
        with self._publishing:
            outputs, self._outputs = self._outputs, []
            _displayed.discard(self)
            shell = get_ipython() if outputs else None  # a view may be let go when Python ends
            if shell is None:
                return
            still, page = self.still(self.picture()), self.page()
            framed = frame(repr(self), page) if page else ""
            kept = framed if len(framed) <= MAX_PAGE_BYTES else ""
            for one in outputs:
                _publish(shell, *still, one.picture_id, update=True)
                _publish(shell, {"text/html": kept}, {}, one.widget_id, update=True)


def frame(title: str, page: str) -> str:
    """Return a page as HTML that stands within another one: a line, with no height until the page
    has drawn itself."""
    source = page.replace("&", "&amp;").replace("'", "&#39;").replace("\n", "&#10;")
    return (
        f'<iframe class="roleml-page" title="{html.escape(title)}" '
        f"style=\"width:100%;height:0;border:0\" srcdoc='{source}'></iframe>"
    )


def position(trace: Trace) -> tuple[int, ...]:
    """Return how far a trace is: it has not changed where this is the same."""
    trace.poll()
    metrics = sum(series.added for series in list(trace.metrics.series.values()))
    return trace.clears, trace.messages.added, trace.messages.gone, metrics


def marked(png: bytes) -> bytes:
    """Return a PNG that says in `MARK`, its second chunk, that a live widget may hide it."""
    return png[:IHDR_END] + MARK + png[IHDR_END:]


def _publish(
    shell: Any,
    data: dict[str, Any],
    metadata: dict[str, Any],
    display_id: str,
    update: bool = False,
) -> None:
    shell.display_pub.publish(data, metadata, transient={"display_id": display_id}, update=update)


def _at_cell_end(*_: Any) -> None:
    for view in list(_displayed):
        try:
            view.renew()
        except Exception as error:  # whatever it draws with raises; the cell is not to blame
            logging.getLogger(__name__).warning("the picture of %r is as before: %s", view, error)
