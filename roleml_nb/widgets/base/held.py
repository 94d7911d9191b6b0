"""Held: views of testbeds that have ended, which the kernel keeps for pages that are loaded
again."""

from __future__ import annotations

import threading
from typing import Any

from ipywidgets import Widget

__all__ = ["hold"]

_lock = threading.Lock()
_held: dict[int, list[Widget]] = {}
"""Those of the last testbed that has ended: {id of its trace: views}."""


class _Severed:
    """Stands in for the comm of a widget that is closed here, and not in its page."""

    def __init__(self, comm_id: str):
        self.comm_id = comm_id

    def on_msg(self, callback: Any) -> None:
        """Take no messages."""

    def close(self) -> None:
        """Tell nobody."""


def hold(owner: Any, *views: Widget) -> None:
    """Keep views of a testbed, whose trace is `owner`, and let those go that another one has left.

    ipywidgets keeps every widget until it is closed, and a widget that is closed is gone from its
    page, too. A view has its testbed with it, and all of the trace. So it is only kept until the
    views of the next testbed rest; the page keeps what it shows, and whoever has the view in
    Python has its pictures.
    """
    with _lock:
        earlier = [view for other, others in _held.items() if other != id(owner) for view in others]
        kept = [*_held.get(id(owner), ()), *views]
        _held.clear()
        _held[id(owner)] = kept
    for view in earlier:
        for widget in (view, getattr(view, "layout", None)):
            if isinstance(widget, Widget) and widget.comm is not None:
                _let_go(widget)


def _let_go(widget: Widget) -> None:
    """Close a widget without telling the page. Its comm stays, and is silent: its own end would
    take the view away."""
    widget.comm.on_msg(None)
    widget.comm = _Severed(widget.comm.comm_id)
    widget.close()
    vars(widget).pop(
        "_repr_mimebundle_", None
    )  # which ipywidgets has put there: it is still displayed, as a picture
