"""A figure of Plotly that has its picture with it, for where nothing draws Plotly's own format."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from .picture import Picture
from .plotted import draw_figure
from .svg import plain_text

__all__ = ["PLOTLY", "Figure"]

PLOTLY = "application/vnd.plotly.v1+json"


class Figure(go.Figure):
    """Displays as Plotly does where a front end can, and as PNG elsewhere: on GitHub, in
    nbviewer, after nbconvert. JupyterLab shows the PNG, too, until one points at it.

    A figure that has more than `draw_figure` draws, such as surfaces, has no picture.
    """

    def picture(self) -> Picture | None:
        """Return the figure as a picture; None if it has parts that only Plotly draws."""
        try:
            svg = draw_figure(self)
        except Exception:  # such as of dates: whatever a figure holds, Plotly itself shows it
            svg = None
        if svg is None:
            return None
        return Picture(svg, f"<Figure: {plain_text(self.layout.title.text) or 'untitled'}>")

    def _repr_mimebundle_(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(*args, **kwargs)
        shown = self.picture() if PLOTLY in bundle else None
        if shown is None:
            return bundle
        data, _ = shown.bundle(zoom=1.0)  # the renderer of Plotly's figures keeps the size
        return {**data, **bundle}

    def show(self, *args: Any, **kwargs: Any) -> None:
        """Show the figure as Plotly's `show` does, with its picture beside it."""
        bundle = {} if args or kwargs else self._repr_mimebundle_()
        if PLOTLY in bundle:
            _display(bundle)
        else:
            super().show(*args, **kwargs)

    def _ipython_display_(self) -> None:
        bundle = self._repr_mimebundle_()
        if PLOTLY in bundle:
            _display(bundle)
        else:
            super()._ipython_display_()


def _display(bundle: dict[str, Any]) -> None:
    from IPython.display import display

    display(bundle, raw=True)
