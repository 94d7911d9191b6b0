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
from roleml_nb.role.checks.names import check_choice
from roleml_nb.widgets.base.displayed import MAX_PAGE_BYTES, Displayed, position
from roleml_nb.widgets.base.held import hold
from roleml_nb.widgets.notifications.run_bar import RunBar

from .chart import LINE_COLOURS, chart
from .curve import Curve
from .curves import BYTES, ROUNDS, Curves
from .plot import Plot

if TYPE_CHECKING:
    from roleml_nb.testbed import Testbed

__all__ = ["Metrics"]

PLOTLY = "application/vnd.plotly.v1+json"
DEFAULT_PANELS = ("loss", "accuracy", ROUNDS, BYTES)
TRANSPARENT, INK, GRID = "rgba(0,0,0,0)", "#7b8794", "rgba(128,128,128,0.25)"
"""Colours that can be read on light and on dark ground."""
REDRAW_INTERVAL_S = 0.5
"""A page needs a few tens of milliseconds for each drawing."""


class Metrics(Displayed, ipywidgets.VBox):
    """Loss, accuracy, rounds and bytes, or other metrics, in panels of one figure.

    Parameters
    ----------
    bed : Testbed
    show : str or iterable of str
        One panel each: metrics, which are numbers in the args of events; "rounds"; "bytes".
    nodes : str, optional
        Patterns of the nodes whose numbers are drawn: "server peer*".
    against : {"round", "time"}
        Metrics are drawn against the count of their emissions, or seconds since the trace began.

    Notes
    -----
    Of several roles the mean is drawn, with the range around it; a click on "each" in the legend
    shows them one by one. A metric that is emitted once per round is drawn from these alone;
    others, from each channel that has them.
    """

    def __init__(
        self,
        bed: Testbed,
        show: str | Iterable[str] = DEFAULT_PANELS,
        *,
        nodes: str | None = None,
        against: str = "round",
    ):
        self._panels = show.split() if isinstance(show, str) else list(show)
        if not self._panels:
            raise ValueError(
                f"show names no panel; known: {', '.join(DEFAULT_PANELS)} and any metric"
            )
        self._bed = bed
        self._against = check_choice("against", against, ("round", "time"))
        self._patterns = (nodes or "*").split()
        self._curves = Curves(bed.trace, against, self._matches)
        self._drawing = threading.Lock()
        self._drawn_at = 0.0
        self._traces: dict[tuple[str, str], Any] = {}
        self.figure = self._make_figure()
        """The figure, to be changed at will: ``metrics.figure.update_layout(…)``."""
        self._pictured: tuple[int, ...] = ()
        """The position of the trace when the picture was published last."""
        self.bar = RunBar(bed)
        self.plot = Plot(self.figure, self._on_tick)
        super().__init__([self.bar, self.plot])

    def _matches(self, node: str) -> bool:
        return any(fnmatchcase(node, pattern) for pattern in self._patterns)

    def _make_figure(self) -> Any:
        import pandas  # noqa: F401
        from plotly.subplots import make_subplots

        from roleml_nb.pictures.figure import Figure

        rows = -(-len(self._panels) // 2)
        figure = make_subplots(
            rows=rows,
            cols=min(2, len(self._panels)),
            subplot_titles=self._panels,
            horizontal_spacing=0.09,
            vertical_spacing=0.4 / rows,
            figure=Figure(),
        )
        for place, panel in enumerate(self._panels):
            at = self._at(place)
            figure.update_xaxes(title={"text": self._axis(panel), "standoff": 4}, **at)
            if panel == BYTES:
                figure.update_yaxes(ticksuffix=" MB", **at)
        lines = {"gridcolor": GRID, "zerolinecolor": GRID}
        figure.update_xaxes(**lines).update_yaxes(**lines)
        return figure.update_layout(
            template="plotly_white",
            paper_bgcolor=TRANSPARENT,
            plot_bgcolor=TRANSPARENT,
            font={"color": INK},
            autosize=True,
            height=60 + 250 * rows,
            margin={"t": 40, "b": 40, "l": 50, "r": 20},
            hovermode="x",
            uirevision="as it is",  # zoom, and choices in the legend, stay
            legend={"orientation": "h", "y": -0.1},
        )

    def _at(self, place: int) -> dict[str, int]:
        return {"row": place // 2 + 1, "col": place % 2 + 1}

    def _axis(self, panel: str) -> str:
        return "seconds" if panel in (ROUNDS, BYTES) or self._against == "time" else "round"

    # drawing

    def _on_tick(self) -> None:
        if time.monotonic() - self._drawn_at >= REDRAW_INTERVAL_S:
            self._bed.trace.poll()
            self.refresh()

    def refresh(self) -> None:
        """Draw the figure anew, if the trace has grown."""
        with self._drawing:
            self._drawn_at = time.monotonic()
            if not self._curves.read():
                return
            for place, panel in enumerate(self._panels):
                for number, curve in enumerate(self._curves.curves(panel)):
                    self._draw(panel, curve, number, place)
                self._draw_each(panel, place)

    def _draw(self, panel: str, curve: Curve, number: int, place: int) -> None:
        colour = LINE_COLOURS[(place + number) % len(LINE_COLOURS)]
        if curve.low is not None and curve.high is not None:
            band = self._trace(
                panel,
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
            band.x = np.concatenate([curve.x, curve.x[::-1]])
            band.y = np.concatenate([curve.high, curve.low[::-1]])
        style = {"mode": "lines", "line": {"color": colour, "width": 2.5}}
        line = self._trace(panel, str(number), place, **style)
        line.x, line.y, line.name = curve.x, curve.y, f"{panel}: {curve.name}"

    def _draw_each(self, panel: str, place: int) -> None:
        """Draw the lines of all roles as one trace of Plotly, with gaps."""
        xs: list[np.ndarray] = []
        ys: list[np.ndarray] = []
        gap = np.array([np.nan])
        for line in self._curves.each(panel):
            xs += [line.x, gap]
            ys += [line.y, gap]
        if xs:
            each = self._trace(
                panel,
                "each",
                place,
                mode="lines",
                line={"color": "#888888", "width": 1},
                name=f"{panel}: each",
                visible="legendonly",
            )
            each.x, each.y = np.concatenate(xs), np.concatenate(ys)

    def _trace(self, panel: str, name: str, place: int, /, **style: Any) -> Any:
        if (panel, name) not in self._traces:
            self.figure.add_scatter(**style, **self._at(place))
            self._traces[panel, name] = self.figure.data[-1]
        return self._traces[panel, name]

    # what stays

    def picture(self) -> Picture:
        """Draw the panels as they stand, as a picture that shows without a kernel, too."""
        self._bed.trace.catch_up()
        self.refresh()
        panels = {}
        with self._drawing:
            for panel in self._panels:
                panels[panel] = (self._axis(panel), self._curves.curves(panel))
        return Picture(chart(panels, repr(self)), repr(self))

    def outdated(self) -> bool:
        before = self._pictured
        self._pictured = position(self._bed.trace)
        return before != self._pictured

    def static_bundle(
        self, shown: Picture, zoom: float = ZOOM
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """See `Displayed.static_bundle`; once stopped, with the figure, for pages with Plotly."""
        figure = self.figure.to_json() if self.bar._stopped else ""
        if not 0 < len(figure) <= MAX_PAGE_BYTES:
            return super().static_bundle(shown, zoom)
        data, metadata = super().static_bundle(shown, zoom=1.0)  # as large as it is: see `Figure`
        return {**data, PLOTLY: json.loads(figure)}, metadata

    def to_html(self, path: str | Path) -> None:
        """Write the figure with Plotly, 5 MB, as a page that needs neither kernel nor network."""
        self.picture()
        self.figure.write_html(path, include_plotlyjs=True)

    def stop(self) -> None:
        """Draw the last of the trace, and end. Idempotent."""
        first = not self.bar._stopped
        self.bar.stop()
        if first:
            self.picture()
            self.plot.draw()
            self.publish_final()
            hold(self._bed.trace, self, self.plot)
        self.plot.stop()

    def close(self) -> None:
        if "plot" in vars(self):  # else the view was refused before it began
            self.bar.close()
            self.publish_final()
            self.plot.close()
        super().close()

    def __repr__(self) -> str:
        return f"<Metrics: {', '.join(self._panels)}>"

    def _repr_mimebundle_(self, **how: Any) -> Any:
        shown, metadata = self.picture()._repr_mimebundle_()
        bundle = {} if self.comm is None else super()._repr_mimebundle_(**how)
        return {**bundle, **shown}, metadata
