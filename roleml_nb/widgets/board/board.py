"""The board: a testbed drawn, and changed by hand."""

from __future__ import annotations

import ast
import sys
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

from traitlets import Dict, List

from roleml_nb.role import TestbedError, did_you_mean
from roleml_nb.role.checks.names import pluralize, shorten
from roleml_nb.testbed import Testbed
from roleml_nb.testbed.calls.runs import LiveRun
from roleml_nb.testbed.expressions import BadLine, evaluate, parse, ready_names
from roleml_nb.testbed.operations.commands.codegen import imports
from roleml_nb.testbed.operations.commands.command import Command
from roleml_nb.testbed.operations.commands.commands import parse_command
from roleml_nb.testbed.operations.commands.requests import check_arguments
from roleml_nb.testbed.operations.commands.role_commands import Call
from roleml_nb.widgets.base.view import View

from .forms import Forms
from .inspector import inspect, report
from .live import live
from .palette import palette
from .picture import draw
from .state import Drawing

__all__ = ["Board"]

TICKS_PER_STATUS = 4
"""Ticks between two updates of the status of roles."""
TICKS_PER_CLASS_SEARCH = 10
"""Ticks between two searches of the notebook's names for role classes."""
MAX_RESULT_LENGTH = 2000
"""Letters of a call's result that a page shows."""
REPORTS = ("needs", "errors", "waiting")


class Done(NamedTuple):
    """A command that was carried out, and the one that takes it back, or does it again."""

    command: Command
    reverse: Command


class Board(View):
    """A testbed drawn: nodes with their roles, and who knows whom.

    Commands that are given by hand on the board are shown as code, too.

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

    Notes
    -----
    The drawing follows all changes of the testbed, also from elsewhere. Commands are carried out
    one at a time, on a thread of the view.
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
        self._drawing = Drawing(bed, by or _last_grouping(bed))
        self._forms = Forms(bed)
        self._done: list[Done] = []
        self._undone: list[Done] = []
        self._refreshing = threading.Lock()
        self._ticks = 0
        super().__init__(
            _drawn=self._drawing.draw(),
            _palette=palette(bed, self._names),
            _history={"done": [], "undone": 0, "note": ""},
        )
        self._me = {"id": self.model_id}
        bed.when_stopped(self.stop)
        bed.runs.when_ended(self.update_picture_soon)

    # what is shown

    def svg(self) -> str:
        return draw(self._drawing.draw())

    def describe(self) -> str:
        roles = sum(map(len, self._bed.registry.roles.values()))
        nodes = len(self._bed.registry.nodes())
        return f"<Board: {pluralize(nodes, 'node')}, {pluralize(roles, 'role')}>"

    def on_tick(self) -> None:
        self._refresh()
        self._ticks += 1
        if self._ticks % TICKS_PER_STATUS == 1:
            self._live = live(self._bed)
        if self._ticks % TICKS_PER_CLASS_SEARCH == 0:
            self._search_classes()

    def _refresh(self) -> None:
        """Show the testbed as it stands, whoever drew it first: pictures are drawings, too."""
        with self._refreshing:
            self._drawn = self._drawing.draw()

    def _search_classes(self) -> None:
        found = palette(self._bed, self._names)
        if found != self._palette:
            self._palette = found

    # requests of the page

    def handle_do(self, gesture: str, given: dict[str, Any]) -> dict[str, Any]:
        """Carry out a command; see `do`."""
        return self._do(parse_command(gesture, given, self._bed))

    def handle_form(self, kind: str, given: dict[str, Any]) -> dict[str, Any]:
        """Return the form for a command of that kind, or for a call."""
        return self._forms.form(kind, given, self._palette)

    def handle_say(
        self, kind: str, given: dict[str, Any], values: dict[str, str]
    ) -> dict[str, Any]:
        """Return the code of the command that a filled form stands for."""
        return self._code(self._filled_command(kind, given, values))

    def handle_submit(
        self, kind: str, given: dict[str, Any], values: dict[str, str]
    ) -> dict[str, Any]:
        """Carry out the command that a filled form stands for."""
        self._forms.store(kind, given, values)
        command = self._filled_command(kind, given, values)
        return self._do_call(command) if isinstance(command, Call) else self._do(command)

    def _filled_command(self, kind: str, given: dict[str, Any], values: dict[str, str]) -> Command:
        filled = self._forms.filled(kind, given, values)
        if kind == "call":
            return _call(**check_arguments(_call, filled))
        return parse_command(kind, filled, self._bed)

    def do(self, kind: str, **given: Any) -> dict[str, Any]:
        """Carry out a command; return it as `%rml` lines and as Python, and notes on undoing it.

        As by hand: ``board.do("terminate", nodes="client*", name="trainer")``.
        """
        return self._do(parse_command(kind, given, self._bed))

    def _do(self, command: Command) -> dict[str, Any]:
        reverse = self._carry_out(command)
        self._append_done(command, reverse)
        return {**self._code(command), "notes": reverse.notes()}

    def _carry_out(self, command: Command) -> Command:
        try:
            return command.do(self._bed, self._names)
        finally:
            self._refresh()

    def handle_undo(self) -> list[str]:
        return self.undo()

    def undo(self) -> list[str]:
        """Undo the last command; return it as lines."""
        return self._reverse_last(self._done, self._undone, "there is nothing to undo")

    def handle_redo(self) -> list[str]:
        return self.redo()

    def redo(self) -> list[str]:
        """Carry out again the command that was undone last; return it as lines."""
        return self._reverse_last(self._undone, self._done, "there is nothing to do again")

    def _reverse_last(self, source: list[Done], target: list[Done], none: str) -> list[str]:
        """Move the last command from one list to the other; one that fails is tried only once."""
        if not source:
            raise TestbedError(none)
        command, reverse = source.pop()
        try:
            target.append(Done(command, self._carry_out(reverse)))
        finally:
            self._publish_history()
        return command.to_magic()

    def call(self, address: str, channel: str, arguments: str = "") -> dict[str, Any]:
        """Call a service or a task with ``name=value, …`` without waiting for it.

        The page gets the result in a message "called". A call stands in the code, and is not
        undone.
        """
        return self._do_call(_call(address, channel, arguments))

    def _do_call(self, call: Call) -> dict[str, Any]:
        names = ready_names(self._names)
        args = {}
        try:
            for key, text in call.arguments.items():
                args[key] = evaluate(text, names)
        except BadLine as error:
            raise TestbedError(str(error)) from None
        run = self._bed.run(call.address, call.channel, args)
        self._append_done(call, call)
        run.when_ended(lambda: self._show_end(call, run))
        return {**self._code(call), "notes": []}

    def _show_end(self, call: Call, run: LiveRun) -> None:
        """Send the page how a call has ended; where no page shows the board, a cell reports it."""
        run.reported = self.visible
        (line,) = call.to_magic()
        if run.error is None:
            outcome, text = "result", shorten(repr(run.value), MAX_RESULT_LENGTH)
        else:
            outcome, text = "error", str(run.error)
        self.send_message(
            "called", {"address": call.address, "line": line, "outcome": outcome, "text": text}
        )

    def handle_inspect(self, address: str) -> dict[str, Any]:
        """Return a role ("node/role") or a node in detail."""
        return inspect(self._bed, self._names, address, self._live)

    def handle_show(self, kind: str) -> dict[str, Any]:
        """Return the report on "needs", "errors" or "waiting" calls."""
        if kind not in REPORTS:
            raise TestbedError(f"nothing is called {kind!r}; {did_you_mean(kind, REPORTS)}")
        return report(self._bed, kind, live(self._bed))

    def handle_channels(self, address: str) -> list[str]:
        """Return the channels of a role that can be called."""
        return self._bed.channels(address)

    def handle_draw(self, by: str) -> None:
        """Draw by engine or by relationship."""
        self._drawing.by = by
        self._refresh()

    def handle_tidy(self) -> None:
        """Place all nodes anew."""
        moved: dict[str, Any] = dict.fromkeys(self._bed.registry.positions)
        self._drawing.reset_places()
        if moved:
            self.do("arrange", positions=moved)
        self._refresh()

    def _append_done(self, command: Command, reverse: Command) -> None:
        self._done.append(Done(command, reverse))
        self._undone.clear()
        self._publish_history()

    def _publish_history(self) -> None:
        self._history = {
            "done": [self._code(done.command) for done in self._done],
            "undone": len(self._undone),
            "note": "\n".join(self._done[-1].reverse.notes()) if self._done else "",
        }

    def _code(self, command: Command) -> dict[str, Any]:
        python = command.to_python()
        return {"lines": command.to_magic(), "python": imports(python, self._names) + python}

    def code(self) -> str:
        """Return all commands given by hand here, and not undone, as `%rml` lines."""
        lines: list[str] = []
        for done in self._done:
            lines += done.command.to_magic()
        return "\n".join(lines)


def _last_grouping(bed: Testbed) -> str:
    if bed.registry.board_layout:
        return bed.registry.board_layout.group_by
    return "engine" if len(bed.fleet.numbers) > 1 else "relationship"


def _call(address: str, channel: str, arguments: str) -> Call:
    """Return a call whose arguments are named: ``amount=3, …``."""
    try:
        tree = parse(f"f({arguments})").body
    except BadLine as error:
        raise TestbedError(str(error)) from None
    named: dict[str, str] = {}
    positional = not isinstance(tree, ast.Call) or bool(tree.args)
    for item in getattr(tree, "keywords", ()):
        positional = positional or item.arg is None
        named[str(item.arg)] = ast.unparse(item.value)
    if positional:
        raise TestbedError(f"{arguments}: name the arguments, as in amount=3")
    return Call(address, channel, named)
