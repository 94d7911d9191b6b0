"""Displayed: a view is two outputs in a notebook. A picture shows wherever no kernel runs; the live
widget beside it hides it where one does.

Neither output knows of the other, nor of a save, and front ends store the state of widgets whatever
a kernel does. So each output has a display id of its own; the picture is published anew at the end
of each cell, and of each run, that has changed it; and the widget draws nothing without a kernel
(`common.js`). When the view stops, its widget's output is emptied, or becomes a page that needs
neither kernel nor network.
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
    "MAX_PAGE_BYTES",
    "PICTURE_TAG",
    "WIDGET",
    "Displayed",
    "frame",
    "position",
    "tagged",
]

WIDGET = "application/vnd.jupyter.widget-view+json"
IHDR_END = 33
"""Bytes of a PNG's signature and header."""
_TEXT = b"tEXtSource\0roleml_nb view"
PICTURE_TAG = struct.pack(">I", len(_TEXT) - 4) + _TEXT + struct.pack(">I", zlib.crc32(_TEXT))
"""A chunk of the PNG of a picture that a live widget may hide.

`common.js` finds it in the address of an image: 33 bytes precede it, which is a multiple of 3, so
its base64 is the same in each picture.
"""
MAX_PAGE_BYTES = 150_000
"""The largest page that is left in a notebook."""

_displayed: weakref.WeakSet[Displayed] = weakref.WeakSet()
"""Views whose pictures are published anew at the end of cells."""


class Outputs:
    """The two outputs of one display of a view, and the cell that they are in."""

    def __init__(self, shell: Any):
        self.picture_id = uuid.uuid4().hex
        self.widget_id = uuid.uuid4().hex
        parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
        self.cell = (parent or {}).get("metadata", {}).get("cellId")
        self.execution = shell.execution_count

    def replaced_by(self, other: Outputs) -> bool:
        """Return whether a later run of the cell made the others: front ends drop these then."""
        same_cell = self.cell is not None and self.cell == other.cell
        return same_cell and self.execution < other.execution


class Displayed(FormerMethods):
    """Mixin of widgets that leave a picture in the notebook. A subclass draws `picture`."""

    comm: Any

    def __init__(self, *args: Any, **traits: Any) -> None:
        self._outputs: list[Outputs] = []
        self._published = ""
        self._publishing = threading.RLock()
        self._picture_worker = Worker(f"{type(self).__name__.lower()}-pictures")
        super().__init__(*args, **traits)

    # what subclasses draw

    def picture(self) -> Picture:
        """Draw the view as it stands, as a picture that shows without a kernel, too."""
        raise TypeError(f"{type(self).__name__} draws no picture")

    def outdated(self) -> bool:
        """Return False when the picture is known to be the one that was published last.

        It is called at the end of each cell, so it costs little.
        """
        return True

    def page(self) -> str:
        """Return the page that stays in the notebook, without kernel and network; "" for none."""
        return ""

    def static_bundle(
        self, shown: Picture, zoom: float = ZOOM
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return data and metadata of a picture, for the notebook to keep."""
        data, metadata = shown.bundle(zoom)
        return {**data, "image/png": tagged(data["image/png"])}, metadata

    # in the notebook

    def _ipython_display_(self) -> None:
        shell = get_ipython()
        if shell is None:
            print(repr(self))
            return
        if not hasattr(shell, "kernel"):  # a terminal, which shows text only
            _publish(shell, {"text/plain": repr(self)}, {}, "")
            return
        outputs = Outputs(shell)
        for view in list(_displayed):
            view._outputs = [one for one in view._outputs if not one.replaced_by(outputs)]
        with self._publishing:
            self.outdated()
            shown = self.picture()
            self._published = shown.svg
            _publish(shell, *self.static_bundle(shown), outputs.picture_id)
            if self.comm is None:
                return
            view_of_model = {"version_major": 2, "version_minor": 1, "model_id": self.comm.comm_id}
            _publish(shell, {WIDGET: view_of_model, "text/html": ""}, {}, outputs.widget_id)
            self._outputs.append(outputs)
        _displayed.add(self)
        shell.events.register("post_run_cell", _at_cell_end)

    def update_picture(self) -> None:
        """Publish the picture anew, wherever the view is displayed, if it has changed."""
        with self._publishing:
            if self._outputs and self.outdated():
                self._update_picture()

    def _update_picture(self) -> None:
        shown = self.picture()
        shell = get_ipython()
        if shell is not None and shown.svg != self._published:
            bundle = self.static_bundle(shown)
            for outputs in self._outputs:
                _publish(shell, *bundle, outputs.picture_id, update=True)
            self._published = shown.svg

    def update_picture_soon(self) -> None:
        """Publish the picture anew from another thread, such as when a run has ended.

        Runners of notebooks without a front end take only outputs that are published while a cell
        runs, so the end of the next cell publishes the picture once more.
        """
        if self._outputs:
            self._picture_worker.submit(self._update_picture_between_cells)

    def _update_picture_between_cells(self) -> None:
        with self._publishing:
            before = self._published
            self._update_picture()
            self._published = before

    def publish_final(self) -> None:
        """Publish the last picture, and in place of the live widget its page, if that is small."""
        self._picture_worker.stop()
        with self._publishing:
            outputs, self._outputs = self._outputs, []
            _displayed.discard(self)
            shell = get_ipython() if outputs else None  # the interpreter may be shutting down
            if shell is None:
                return
            bundle = self.static_bundle(self.picture())
            page = self.page()
            framed = frame(repr(self), page) if page else ""
            kept = framed if len(framed) <= MAX_PAGE_BYTES else ""
            for one in outputs:
                _publish(shell, *bundle, one.picture_id, update=True)
                _publish(shell, {"text/html": kept}, {}, one.widget_id, update=True)


def frame(title: str, page: str) -> str:
    """Return a page as one line of HTML for another page; it has no height until it is drawn."""
    source = page.replace("&", "&amp;").replace("'", "&#39;").replace("\n", "&#10;")
    return (
        f'<iframe class="roleml-page" title="{html.escape(title)}" '
        f"style=\"width:100%;height:0;border:0\" srcdoc='{source}'></iframe>"
    )


def position(trace: Trace) -> tuple[int, ...]:
    """Return the position of a trace: another one whenever the trace has changed."""
    trace.poll()
    metrics = sum(series.added for series in list(trace.metrics.series.values()))
    return trace.clears, trace.messages.added, trace.messages.gone, metrics


def tagged(png: bytes) -> bytes:
    """Return a PNG with `PICTURE_TAG` as its second chunk."""
    return png[:IHDR_END] + PICTURE_TAG + png[IHDR_END:]


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
            view.update_picture()
        except Exception as error:  # of whatever draws the picture; the cell is not to blame
            logging.getLogger(__name__).warning("the picture of %r is as before: %s", view, error)
