"""Held: the kernel keeps the views of the last testbed that has ended, for pages that are loaded
again.
"""

from __future__ import annotations

import threading
from typing import Any

from ipywidgets import Widget

__all__ = ["hold"]

_lock = threading.Lock()
_held: dict[int, list[Widget]] = {}
"""{id of the trace of the last testbed that has ended: its views}."""


class _SilentComm:
    """Stands in for the comm of a widget that is closed here, and not in its page."""

    def __init__(self, comm_id: str):
        self.comm_id = comm_id

    def on_msg(self, callback: Any) -> None:
        """Ignore the callback: no message comes."""

    def close(self) -> None:
        """Close nothing: the page keeps its side."""


def hold(owner: Any, *views: Widget) -> None:
    """Keep views of a testbed, whose trace is `owner`, and release those of another one.

    ipywidgets keeps every widget until it is closed, and a widget that is closed is gone from its
    page, too. A view holds its testbed and all of the trace. So it is only kept until the views of
    the next testbed stop; the page keeps showing it, and a variable in Python keeps its pictures.
    """
    earlier: list[Widget] = []
    with _lock:
        kept = [*_held.pop(id(owner), ()), *views]
        for others in _held.values():
            earlier += others
        _held.clear()
        _held[id(owner)] = kept
    for view in earlier:
        for widget in (view, getattr(view, "layout", None)):
            if isinstance(widget, Widget) and widget.comm is not None:
                _release(widget)


def _release(widget: Widget) -> None:
    """Close a widget in the kernel alone.

    Its comm is replaced by a silent one, and stays open: its end would take the view off the page.
    """
    widget.comm.on_msg(None)
    widget.comm = _SilentComm(widget.comm.comm_id)
    widget.close()
    # ipywidgets has set it; without it, the widget is displayed as a picture
    vars(widget).pop("_repr_mimebundle_", None)
