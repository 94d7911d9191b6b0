"""The run bar: progress, speed and time left of a run; buttons pause, step and stop it."""

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

NO_RUN = "no run yet: begin one with bed.run(…) or %rml call"
WIDTH = 640.0
FILLS = {
    "running": COLOURS["service"],
    "done": COLOURS["event"],
    "failed": COLOURS["error"],
    "stopped": COLOURS["task"],
}
"""The colour of the bar in a state of the run."""


class RunBar(View):
    """Shows the run of a testbed that is under way, or the last one; or one run, whatever others
    there are.
    """

    source = __file__
    _run = Dict().tag(sync=True)

    def __init__(self, bed: Testbed, run: LiveRun | None = None):
        self._bed = bed
        self._only = run
        self._paused: set[str] = set()
        self._can_pause: dict[str, bool] = {}
        """{role: whether it has a service "pause"}."""
        super().__init__()
        self._reachable = run is None or hasattr(self.comm, "_reply_subshell_for")
        """False if the cell that waits for the run keeps the page's requests from the kernel."""
        self._run = self._state()

    # the state of the run

    def _shown_run(self) -> LiveRun | None:
        if self._only is not None:
            return self._only
        running = self._bed.runs.under_way
        return running[-1] if running else self._bed.runs.latest

    def _state(self) -> dict[str, Any]:
        run = self._shown_run()
        if run is None:
            return {}
        progress = run.progress
        running = not run.done()
        steerable = running and self._reachable
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
            "pausable": steerable and self._pausable(roles),
            "stoppable": steerable,
        }

    def _pausable(self, roles: list[str]) -> bool:
        for role in roles:
            if role not in self._can_pause:
                try:
                    self._can_pause[role] = "pause" in self._bed.channels(role)
                except RoleMLError:  # its node is lost: it may come back
                    return False
        return bool(roles) and all(self._can_pause[role] for role in roles)

    def on_tick(self) -> None:
        self._run = self._state()

    # requests of the page

    def handle_stop(self) -> str:
        """Stop the handlers of the run, on all hosts."""
        self._paused.clear()
        return str(self._bed.stop_run())

    def handle_pause(self) -> str:
        return self._control_run("pause")

    def handle_resume(self) -> str:
        return self._control_run("resume")

    def handle_step(self) -> str:
        return self._control_run("step")

    def _control_run(self, channel: str) -> str:
        """Call a service of all roles of the run that is under way."""
        run = self._shown_run()
        roles: list[str] = []
        if run is not None and not run.done():
            roles += map(str, run.progress.roles)
        for role in roles:
            self._bed.call(role, channel)
            if channel == "resume":
                self._paused.discard(role)
            else:
                self._paused.add(role)
        self._run = self._state()
        return f"{channel}: {', '.join(roles) or 'no run is under way'}"

    # what stays

    def picture(self) -> Picture:
        if not self._stopped:
            self.on_tick()
        return super().picture()

    def svg(self) -> str:
        state = self._run
        if not state:
            return document(WIDTH, 34, [text(10, 21, NO_RUN, fill=FAINT)], NO_RUN)
        share = 1.0 if state["state"] == "done" else state["fraction"] or 0.0
        summary = f"{state['state']}, {state['rounds']}, {state['seconds']} s"
        full = WIDTH - 20
        done = max(8.0, full * share)
        fill = FILLS.get(state["state"], FILLS["running"])
        parts = [
            text(10, 20, state["name"], font_weight="bold"),
            text(WIDTH - 10, 20, summary, text_anchor="end", fill=FAINT),
            element("rect", x=10, y=28, width=full, height=8, rx=4, fill=LINE),
            element("rect", x=10, y=28, width=done, height=8, rx=4, fill=fill),
        ]
        return document(WIDTH, 46, parts, self.describe())

    def describe(self) -> str:
        state = self._run
        if not state:
            return f"<RunBar: {NO_RUN}>"
        return f"<RunBar: {state['name']}, {state['state']}, {state['rounds']}>"

    def stop(self) -> None:
        if not self._stopped:
            state = self._state()
            self._run = state and {**state, "pausable": False, "stoppable": False}
        super().stop()
