"""Figures that leave a picture behind where no kernel and no network is.

plotly's default renderer stores only ``application/vnd.plotly.v1+json``, of which ``nbconvert --to html`` makes nothing.
A `Figure` adds an SVG of a few kB: JupyterLab and VS Code still show the live figure, nbconvert the SVG.
"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from .svg import draw

__all__ = ["COLOURS", "Figure", "shade"]

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
"""Okabe and Ito's palette, which survives colour blindness."""


def shade(colour: str, opacity: float) -> str:
    """A colour of the palette, made transparent."""
    red, green, blue = (int(colour[place:place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


class Figure(go.Figure):
    """A `plotly.graph_objects.Figure` that shows as an SVG too."""

    _ipython_display_ = None
    """plotly's own would show the bundle of its renderer only."""

    _repr_html_ = None
    """plotly's own needs the network, and nbconvert would prefer it to the SVG."""

    def _repr_mimebundle_(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(*args, **kwargs)
        title = self.layout.title.text or "without a title"
        picture = draw(self)
        return {"text/plain": f"<Figure: {title}>", **({"image/svg+xml": picture} if picture else {}), **bundle}
