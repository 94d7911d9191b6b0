"""The board: a testbed drawn, and changed by hand."""

from __future__ import annotations

import ast
import sys
import threading
from collections.abc import Mapping
from typing import Any

from traitlets import Dict, List

from roleml_nb.role import TestbedError, did_you_mean
from roleml_nb.testbed import Testbed
from roleml_nb.testbed.expressions import BadLine, evaluate, parse, ready_names
from roleml_nb.testbed.operations.commands.command import Command
from roleml_nb.testbed.operations.commands.commands import parse_command
from roleml_nb.testbed.operations.commands.requests import check_arguments
from roleml_nb.testbed.operations.commands.role_commands import Call
from roleml_nb.widgets.base.view import View

from .forms import Forms
from .inspector import inspect, shown
from .live import live
from .palette import palette
from .picture import draw
from .state import Drawing

__all__ = ["Board"]

LOOK = 10
"""Beats between two looks at which role classes the notebook has."""
LONG = 2000
"""Letters of a result that are shown."""
SHOWN = ("needs", "errors", "waiting")
LIVE = 4
"""Beats between two looks at who is at work."""


class Board(View):
    """A testbed drawn: nodes with their roles, and who knows whom.

    What a hand does there, it also says as code.

    Parameters
    ----------
    bed
        The testbed.
    names
        The names that expressions mean; default: those of the main module, where notebook cells
        define things.
    by
        "engine" draws nodes within their engine, "relationship" near those that they know; default:
        as the last board did, in the beginning by engine where there are several.

    What is drawn follows the testbed, whoever changes it. Gestures are carried out one at a time,
    on a thread of the view.
    """

    source = __file__
    _drawn = Dict().tag(sync=True)
    _palette: Any = List().tag(sync=True)
    _history = Dict().tag(sync=True)
    _live = Dict().tag(sync=True)
    _me = Dict().tag(sync=True)

    def __init__(
        self, bed: Testbed, *, names: Mapping[str, Any] | None = None, by: str | None = None
    ):
        self._bed = bed
        self._names = vars(sys.modules["__main__"]) if names is None else names
        usual = "engine" if len(bed.fleet.numbers) > 1 else "relationship"
        self._drawing = Drawing(
            bed, by or (bed.registry.board_layout.group_by if bed.registry.board_layout else usual)
        )
        self._forms = Forms(bed)
        self._done: list[tuple[Command, Command]] = []
        self._undone: list[tuple[Command, Command]] = []
        """What was done and undone: how it said itself, and what takes it back, or does it again.
        """
        self._refreshing = threading.Lock()
        self._looked = 0
        super().__init__(
            _drawn=self._drawing.draw(),
            _palette=palette(bed, self._names),
            _history={"done": [], "undone": 0, "note": ""},
        )
        self._me = {"id": self.model_id}
        bed.when_stopped(self.stop)
        bed.runs.when_ended(self.renew_soon)

    # what is shown

    def svg(self) -> str:
        return draw(self._drawing.draw())

    @property
    def owner(self) -> Any:
        return self._bed.trace

    def describe(self) -> str:
        roles = sum(len(given) for given in self._bed.registry.roles.values())
        nodes = len(self._bed.registry.nodes())
        return f"<Board: {nodes} node{'s' * (nodes != 1)}, {roles} role{'s' * (roles != 1)}>"

    def on_tick(self) -> None:
        self._refresh()
        self._looked += 1
        if self._looked % LIVE == 1:
            self._live = live(self._bed)
        if self._looked % LOOK == 0:
            self._look_for_classes()

    def _refresh(self) -> None:
        """Draw anew if the testbed has changed."""
        with self._refreshing:
            if self._drawing.outdated:
                self._drawn = self._drawing.draw()

    def _look_for_classes(self) -> None:
        found = palette(self._bed, self._names)
        if found != self._palette:
            self._palette = found

    # what the page asks for

    def handle_do(self, gesture: str, given: dict[str, Any]) -> dict[str, Any]:
        """Carry out a gesture; returns how it says itself."""
        return self._do(parse_command(gesture, given, self._bed))

    def handle_form(self, kind: str, given: dict[str, Any]) -> dict[str, Any]:
        """What the form of a gesture asks for, or that of a call."""
        return self._forms.form(kind, given, self._palette)

    def handle_say(
        self, kind: str, given: dict[str, Any], values: dict[str, str]
    ) -> dict[str, Any]:
        """How what was filled in would say itself."""
        made = self._filled(kind, given, values)
        return {"lines": made.to_magic(), "python": made.to_python()}

    def handle_submit(
        self, kind: str, given: dict[str, Any], values: dict[str, str]
    ) -> dict[str, Any]:
        """Carry out what was filled in."""
        self._forms.remember(kind, given, values)
        made = self._filled(kind, given, values)
        return self._call(made) if isinstance(made, Call) else self._do(made)

    def _filled(self, kind: str, given: dict[str, Any], values: dict[str, str]) -> Command:
        filled = self._forms.filled(kind, given, values)
        return (
            _call(**check_arguments(_call, filled))
            if kind == "call"
            else parse_command(kind, filled, self._bed)
        )

    def do(self, kind: str, **given: Any) -> dict[str, Any]:
        """As a hand does: ``board.do("terminate", nodes="client*", name="trainer")``; returns it as
        lines and as Python, and what should be known of undoing it.
        """
        return self._do(parse_command(kind, given, self._bed))

    def _do(self, made: Command) -> dict[str, Any]:
        back = self._carry_out(made)
        self._done.append((made, back))
        self._undone.clear()
        self._tell_history()
        return {"lines": made.to_magic(), "python": made.to_python(), "notes": back.notes()}

    def _carry_out(self, made: Command) -> Command:
        try:
            return made.do(self._bed, self._names)
        finally:
            self._refresh()

    def handle_undo(self) -> list[str]:
        return self.undo()

    def undo(self) -> list[str]:
        """Undo the last gesture; returns what was undone, as lines."""
        return self._step(self._done, self._undone, "there is nothing to undo")

    def handle_redo(self) -> list[str]:
        return self.redo()

    def redo(self) -> list[str]:
        """Do again what was undone last; returns it as lines."""
        return self._step(self._undone, self._done, "there is nothing to do again")

    def _step(
        self, out: list[tuple[Command, Command]], to: list[tuple[Command, Command]], none: str
    ) -> list[str]:
        """One step back, or on. What cannot be done any more is not tried again."""
        if not out:
            raise TestbedError(none)
        made, back = out.pop()
        try:
            to.append((made, self._carry_out(back)))
        finally:
            self._tell_history()
        return made.to_magic()

    def call(self, address: str, channel: str, arguments: str = "") -> dict[str, Any]:
        """Call a service or a task with ``name=value, …``, and go on; the page is told "called"
        with what came of it.

        It stands in the code, and is not undone.
        """
        return self._call(_call(address, channel, arguments))

    def _call(self, made: Call) -> dict[str, Any]:
        try:
            args = {
                key: evaluate(text, ready_names(self._names))
                for key, text in made.arguments.items()
            }
        except BadLine as error:
            raise TestbedError(str(error)) from None
        invocation = self._bed.call_task(made.address, made.channel, args)
        self._done.append((made, made))
        self._undone.clear()
        self._tell_history()
        (line,) = made.to_magic()

        def wait() -> None:
            try:
                outcome, text = "result", _short(repr(invocation.result()))
            except Exception as error:  # whatever the handler raised is shown in the page
                outcome, text = "error", str(error)
            self.send_message(
                "called", {"address": made.address, "line": line, "outcome": outcome, "text": text}
            )

        self._bed.fleet.home.run_in_background(wait, "board call")
        return {"lines": [line], "python": made.to_python(), "notes": []}

    def handle_inspect(self, address: str) -> dict[str, Any]:
        """All that is known of a role ("node/role"), or of a node."""
        return inspect(self._bed, self._names, address, self._live)

    def handle_show(self, kind: str) -> dict[str, Any]:
        """All "needs", "errors", or "waiting" calls."""
        if kind not in SHOWN:
            raise TestbedError(f"nothing is called {kind!r}; {did_you_mean(kind, SHOWN)}")
        return shown(self._bed, kind, live(self._bed))

    def handle_channels(self, address: str) -> list[str]:
        """What can be called of a role."""
        return self._bed.channels(address)

    def handle_draw(self, by: str) -> None:
        """Draw by engine or by relationship."""
        self._drawing.by = by
        self._refresh()

    def handle_tidy(self) -> None:
        """Place all nodes anew."""
        moved: dict[str, Any] = {node: None for node in self._bed.registry.positions}
        self._drawing.forget()
        if moved:
            self.do("arrange", positions=moved)
        self._refresh()

    def _tell_history(self) -> None:
        self._history = {
            "done": [
                {"lines": made.to_magic(), "python": made.to_python()} for made, _ in self._done
            ],
            "undone": len(self._undone),
            "note": "\n".join(self._done[-1][1].notes()) if self._done else "",
        }

    def code(self) -> str:
        """All that was done here by hand, and not undone, as `%rml` lines."""
        return "\n".join(line for made, _ in self._done for line in made.to_magic())


def _short(text: str) -> str:
    return text if len(text) <= LONG else f"{text[:LONG]}…"


def _call(address: str, channel: str, arguments: str) -> Call:
    """A call, whose arguments are named: ``amount=3, …``."""
    try:
        tree = parse(f"f({arguments})").body
    except BadLine as error:
        raise TestbedError(str(error)) from None
    if (
        not isinstance(tree, ast.Call)
        or tree.args
        or any(item.arg is None for item in tree.keywords)
    ):
        raise TestbedError(f"{arguments}: name the arguments, as in amount=3")
    return Call(
        address, channel, {str(item.arg): ast.unparse(item.value) for item in tree.keywords}
    )
