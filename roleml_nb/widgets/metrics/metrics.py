"""Metrics as they come: one Plotly figure that grows while cells run, under the bar of runs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np

from roleml_nb.pictures.picture import ZOOM, Picture
from roleml_nb.role import RoleMLError
from roleml_nb.widgets.base.displayed import MAX_PAGE_BYTES, Displayed, position
from roleml_nb.widgets.base.held import hold
from roleml_nb.widgets.notifications.run_bar import RunBar

from .chart import PALETTE, chart
from .curves import BYTES, ROUNDS, Curve, Curves
from .plot import Plot

if TYPE_CHECKING:
    from roleml_nb.testbed import Testbed

__all__ = ["Metrics"]

PLOTLY = "application/vnd.plotly.v1+json"
SHOWN = ("loss", "accuracy", ROUNDS, BYTES)
CLEAR, INK, GRID = "rgba(0,0,0,0)", "#7b8794", "rgba(128,128,128,0.25)"
"""Colours that can be read on light and on dark ground."""
PAUSE = 0.5
"""Seconds between two drawings: a page needs a few tens of milliseconds for each."""


class Metrics(Displayed, ipywidgets.VBox):
    """Loss, accuracy, rounds and bytes, or other metrics, in panels of one figure.

    Parameters
    ----------
    bed : Testbed
    show : str or iterable of str
        One panel each: metrics, which are numbers in the args of events; "rounds"; "bytes".
    nodes : str, optional
        Patterns of the nodes that are looked at: "server peer*".
    against : {"round", "time"}
        What metrics are drawn against.

    Notes
    -----
    Of several roles the mean is drawn, with the range around it; a click on "each" in the legend
    shows them one by one. A metric that is emitted once per round is drawn from these alone;
    others, from each channel that has them.
    """

    def __init__(
        self,
        bed: Testbed,
        show: str | Iterable[str] = SHOWN,
        *,
        nodes: str | None = None,
        against: str = "round",
    ):
        if against not in ("round", "time"):
            raise ValueError(f"against must be 'round' or 'time', got {against!r}")
        self._shown = show.split() if isinstance(show, str) else list(show)
        if not self._shown:
            raise ValueError(f"show names no panel; known: {', '.join(SHOWN)} and any metric")
        patterns = (nodes or "*").split()
        self._bed, self._against = bed, against
        self._curves = Curves(
            bed.trace, against, lambda node: any(fnmatchcase(node, pattern) for pattern in patterns)
        )
        self._drawing, self._drawn = threading.Lock(), 0.0
        self._traces: dict[tuple[str, str], Any] = {}
        self.figure = self._make_figure()
        """The figure, to be changed at will: ``metrics.figure.update_layout(…)``."""
        self._pictured: tuple[int, ...] = ()
        """How far the trace was when the picture was published last."""
        self.bar, self.plot = RunBar(bed), Plot(self.figure, self._on_tick)
        super().__init__([self.bar, self.plot])

    def _make_figure(self) -> Any:
        import pandas  # noqa: F401
        from plotly.subplots import make_subplots

        from roleml_nb.pictures.figure import Figure

        rows = -(-len(self._shown) // 2)
        figure = make_subplots(
            rows=rows,
            cols=min(2, len(self._shown)),
            subplot_titles=self._shown,
            horizontal_spacing=0.09,
            vertical_spacing=0.4 / rows,
            figure=Figure(),
        )
        for place, what in enumerate(self._shown):
            figure.update_xaxes(title={"text": self._axis(what), "standoff": 4}, **self._at(place))
            if what == BYTES:
                figure.update_yaxes(ticksuffix=" MB", **self._at(place))
        figure.update_xaxes(gridcolor=GRID, zerolinecolor=GRID).update_yaxes(
            gridcolor=GRID, zerolinecolor=GRID
        )
        return figure.update_layout(
            template="plotly_white",
            paper_bgcolor=CLEAR,
            plot_bgcolor=CLEAR,
            font={"color": INK},
            autosize=True,
            height=60 + 250 * rows,
            margin={"t": 40, "b": 40, "l": 50, "r": 20},
            hovermode="x",
            uirevision="as it is",  # what was zoomed or chosen in the legend stays
            legend={"orientation": "h", "y": -0.1},
        )

    def _at(self, place: int) -> dict[str, int]:
        return {"row": place // 2 + 1, "col": place % 2 + 1}

    def _axis(self, what: str) -> str:
        return "seconds" if what in (ROUNDS, BYTES) or self._against == "time" else "round"

    # drawing

    def _on_tick(self) -> None:
        if time.monotonic() - self._drawn >= PAUSE:
            self._bed.trace.poll()
            self.refresh()

    def refresh(self) -> None:
        """Draw what the trace has by now."""
        with self._drawing:
            self._drawn = time.monotonic()
            if not self._curves.read():
                return
            for place, what in enumerate(self._shown):
                for number, curve in enumerate(self._curves.curves(what)):
                    self._draw(what, curve, number, place)
                self._draw_each(what, place)

    def _draw(self, what: str, curve: Curve, number: int, place: int) -> None:
        colour = PALETTE[(place + number) % len(PALETTE)]
        if curve.low is not None and curve.high is not None:
            band = self._trace(
                what,
                f"{number} range",
                place,
                fill="toself",
                fillcolor=colour,
                mode="lines",
                line={"width": 0},
                opacity=0.2,
                hoverinfo="skip",
                showlegend=False,
            )
            band.x, band.y = (
                np.concatenate([curve.x, curve.x[::-1]]),
                np.concatenate([curve.high, curve.low[::-1]]),
            )
        line = self._trace(
            what, str(number), place, mode="lines", line={"color": colour, "width": 2.5}
        )
        line.x, line.y, line.name = curve.x, curve.y, f"{what}: {curve.name}"

    def _draw_each(self, what: str, place: int) -> None:
        """All roles as one trace, with gaps."""
        lines = self._curves.each(what)
        if lines:
            each = self._trace(
                what,
                "each",
                place,
                mode="lines",
                line={"color": "#888888", "width": 1},
                name=f"{what}: each",
                visible="legendonly",
            )
            gap = [np.nan]
            each.x, each.y = (
                np.concatenate([part for line in lines for part in (getattr(line, axis), gap)])
                for axis in "xy"
            )

    def _trace(self, what: str, name: str, place: int, /, **style: Any) -> Any:
        if (what, name) not in self._traces:
            self.figure.add_scatter(**style, **self._at(place))
            self._traces[what, name] = self.figure.data[-1]
        return self._traces[what, name]

    # what stays

    def _panels(self) -> dict[str, tuple[str, list[Curve]]]:
        return {what: (self._axis(what), self._curves.curves(what)) for what in self._shown}

    def picture(self) -> Picture:
        """The panels as they stand, as a picture that shows without a kernel, too."""
        try:
            self._bed.trace.refresh()
        except RoleMLError:  # an engine that does not answer: what it has shipped is there
            self._bed.trace.poll()
        self.refresh()
        with self._drawing:
            return Picture(chart(self._panels(), repr(self)), repr(self))

    def outdated(self) -> bool:
        before, self._pictured = self._pictured, position(self._bed.trace)
        return before != self._pictured

    def still(self, shown: Picture, zoom: float = ZOOM) -> tuple[dict[str, Any], dict[str, Any]]:
        """See `Displayed.still`; once it rests, with the figure, for where Plotly is at hand."""
        figure = self.figure.to_json() if self.bar._stopped else ""
        if not 0 < len(figure) <= MAX_PAGE_BYTES:
            return super().still(shown, zoom)
        data, metadata = super().still(shown, zoom=1.0)  # as large as it is: see `Figure`
        return {**data, PLOTLY: json.loads(figure)}, metadata

    def to_html(self, path: str | Path) -> None:
        """Write the figure as one page that needs neither kernel nor network (5 MB: it has Plotly
        in it).
        """
        self.picture()
        self.figure.write_html(path, include_plotlyjs=True)

    def stop(self) -> None:
        """Draw the last of it, and end. Idempotent."""
        first = not self.bar._stopped
        self.bar.stop()
        if first:
            self.picture()
            self.plot.draw()
            self.settle()
            hold(self._bed.trace, self, self.plot)
        self.plot.stop()

    def close(self) -> None:
        if "plot" in vars(self):  # else it was refused before it began
            self.bar.close()
            self.settle()
            self.plot.close()
        super().close()

    def __repr__(self) -> str:
        return f"<Metrics: {', '.join(self._shown)}>"

    def _repr_mimebundle_(self, **how: Any) -> Any:
        still, metadata = self.picture()._repr_mimebundle_()
        bundle = {} if self.comm is None else super()._repr_mimebundle_(**how)
        return {**bundle, **still}, metadata
