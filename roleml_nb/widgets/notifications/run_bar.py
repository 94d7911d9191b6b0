"""The bar of runs: how far they are, how fast, and how long still; to pause, to go round by round,
to stop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from traitlets import Dict

from roleml_nb.pictures import Picture
from roleml_nb.pictures.svg import COLOURS, FAINT, LINE, document, element, text
from roleml_nb.role import RoleMLError
from roleml_nb.widgets.base.view import View

if TYPE_CHECKING:
    from roleml_nb.testbed import Testbed
    from roleml_nb.testbed.calls.runs import LiveRun

__all__ = ["RunBar"]

NOTHING = "no run yet: begin one with bed.run(…) or %rml call"


class RunBar(View):
    """Shows the run of a testbed that is under way, or the last one."""

    source = __file__
    _run = Dict().tag(sync=True)

    def __init__(self, bed: Testbed):
        self._bed = bed
        self._paused: set[str] = set()
        self._offers: dict[str, bool] = {}
        super().__init__(_run=self._state())

    # how it stands

    def _last(self) -> LiveRun | None:
        running = self._bed.runs.under_way
        return running[-1] if running else self._bed.runs.latest

    def _state(self) -> dict[str, Any]:
        run = self._last()
        if run is None:
            return {}
        progress, running = run.progress, not run.done()
        roles = list(map(str, progress.roles))
        rate, left = progress.rate, progress.left
        return {
            "number": run.number,
            "name": run.name,
            "state": run.state,
            "rounds": progress.rounds,
            "fraction": progress.fraction,
            "rate": None if rate is None else float(f"{rate:.3g}"),
            "left": None if left is None else round(left),
            "seconds": round(progress.seconds, 1),
            "paused": running and bool(roles) and self._paused.issuperset(roles),
            "pausable": running and self._pausable(roles),
        }

    def _pausable(self, roles: list[str]) -> bool:
        for role in roles:
            if role not in self._offers:
                try:
                    self._offers[role] = "pause" in self._bed.channels(role)
                except RoleMLError:  # its node is lost: asked again
                    return False
        return bool(roles) and all(self._offers[role] for role in roles)

    def on_tick(self) -> None:
        self._run = self._state()

    # what the page asks for

    def handle_stop(self) -> str:
        """End what handlers do, on all hosts."""
        self._paused.clear()
        return str(self._bed.stop_run())

    def handle_pause(self) -> str:
        return self._steer("pause")

    def handle_resume(self) -> str:
        return self._steer("resume")

    def handle_step(self) -> str:
        return self._steer("step")

    def _steer(self, channel: str) -> str:
        run = self._last()
        roles = (
            [str(role) for role in run.progress.roles] if run is not None and not run.done() else []
        )
        for role in roles:
            self._bed.call(role, channel)
            (self._paused.discard if channel == "resume" else self._paused.add)(role)
        self._run = self._state()
        return f"{channel}: {', '.join(roles) or 'no run is under way'}"

    # what stays

    def picture(self) -> Picture:
        if not self._stopped:
            self.on_tick()
        return super().picture()

    def svg(self) -> str:
        state, width = self._run, 640.0
        if not state:
            return document(width, 34, [text(10, 21, NOTHING, fill=FAINT)], NOTHING)
        share = 1.0 if state["state"] == "done" else state["fraction"] or 0.0
        colour = {
            "done": COLOURS["event"],
            "failed": COLOURS["error"],
            "stopped": COLOURS["task"],
        }.get(state["state"], COLOURS["service"])
        how = f"{state['state']}, {state['rounds']}, {state['seconds']} s"
        parts = [
            text(10, 20, state["name"], font_weight="bold"),
            text(width - 10, 20, how, text_anchor="end", fill=FAINT),
            element("rect", x=10, y=28, width=width - 20, height=8, rx=4, fill=LINE),
            element(
                "rect",
                x=10,
                y=28,
                width=max(8.0, (width - 20) * share),
                height=8,
                rx=4,
                fill=colour,
            ),
        ]
        return document(width, 46, parts, self.describe())

    def describe(self) -> str:
        state = self._run
        return (
            f"<RunBar: {state['name']}, {state['state']}, {state['rounds']}>"
            if state
            else f"<RunBar: {NOTHING}>"
        )

    @property
    def owner(self) -> Any:
        return self._bed.trace

    def stop(self) -> None:
        if not self._stopped:
            state = self._state()
            self._run = state and {**state, "pausable": False}
        super().stop()
