"""A Plotly figure in the page, drawn anew when it has changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from traitlets import Unicode

from roleml_nb.widgets.base.view import View

__all__ = ["Plot"]


class Plot(View):
    """Shows a figure as it stands; `refresh` is called at each tick, before the page gets it.

    Plotly's own `FigureWidget` stays empty where its 5 MB need more than two seconds to begin:
    anywidget lets no message through to such a model. It is empty in a page that is loaded again,
    too.
    """

    source = __file__
    _figure = Unicode().tag(sync=True)

    def __init__(self, figure: Any, refresh: Callable[[], None]):
        self._plotted = figure
        self._refresh = refresh
        super().__init__(_figure=figure.to_json())

    def handle_plotly(self) -> str:
        """Return Plotly's script. As a trait, it would take 5 MB of a notebook for each view."""
        return plotly_js()

    def on_tick(self) -> None:
        self._refresh()
        self.draw()

    def draw(self) -> None:
        """Show the figure as it is now."""
        self._figure = self._plotted.to_json()


@cache
def plotly_js() -> str:
    """Return Plotly's script, 5 MB of it."""
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()
