"""The shell that lines stand in, its testbed, and the names that lines may use."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from roleml_nb.role import Role
from roleml_nb.testbed import Testbed
from roleml_nb.testbed.expressions import ready_names, role_classes

from .formatting import pluralize
from .history import History
from .notifications import Notifier
from .parsing import BadLine

__all__ = ["Context"]


class Context:
    """The shell, the testbed and the names that a sub-command works with.

    Attributes
    ----------
    shell
        The shell of IPython.
    bed
        The testbed of this shell; it may have ended. See `running`.
    joined
        The cluster that the testbed has joined, as ``%rml start`` names it: profile, cluster_id.
    local_names
        Names of the function that a line stands in.
    replayed_error
        The error that a handler has raised in this process under ``%rml debug``.
    """

    def __init__(self, shell: Any):
        self.shell = shell
        self.bed: Testbed | None = None
        self.joined: dict[str, str] = {}
        self.local_names: Mapping[str, Any] = {}
        self.replayed_error: Exception | None = None
        self.history = History(shell)
        self._notifier = Notifier(shell)

    @property
    def running_bed(self) -> Testbed | None:
        """The testbed; None when none is running."""
        return self.bed if self.bed is not None and self.bed.running else None

    def running(self) -> Testbed:
        """Return the testbed; BadLine when none is running."""
        bed = self.running_bed
        if bed is None:
            raise BadLine("no testbed is running; begin with %rml start")
        return bed

    def use(self, bed: Testbed, joined: dict[str, str] | None = None) -> None:
        """Make `bed` the testbed of this shell, and the notebook's variable `bed`."""
        self.bed = bed
        self.joined = joined or {}
        self.shell.user_ns["bed"] = bed
        bed.code_changes.report = lambda line: print(line, file=sys.stderr)
        self._notifier.watch(bed)

    def require_engines(self, engines: int | None) -> None:
        """Raise BadLine when the running testbed has another number of engines."""
        bed = self.running()
        if engines not in (None, bed.engines):
            raise BadLine(
                f"a testbed with {pluralize(bed.engines, 'engine')} is running; end it first with"
                " %rml stop"
            )

    def location(self) -> str:
        """Return in words where nodes of the testbed live."""
        engines = self.running().engines
        return pluralize(engines, "engine") if engines else "in this process"

    def names(self) -> dict[str, Any]:
        """Return the names that expressions may use.

        Names of the function that a line stands in come first, then the notebook's.
        """
        return ready_names({**self.shell.user_ns, **self.local_names})

    def role_classes(self) -> dict[str, type[Role]]:
        """Return the role classes among these names."""
        return role_classes({**self.shell.user_ns, **self.local_names})

    def nodes(self) -> list[str]:
        """Return the nodes of the testbed; none when none is running."""
        bed = self.running_bed
        return [] if bed is None else list(bed.spec()["nodes"])

    def instances(self) -> list[str]:
        """Return the role instances of the testbed as node/role; none when none is running."""
        bed = self.running_bed
        found: list[str] = []
        if bed is not None:
            for node, given in bed.spec()["nodes"].items():
                found += [f"{node}/{role}" for role in given["roles"]]
        return found

    def report_notifications(self, *_: Any) -> None:
        """Print failures and ends of runs that nobody waited for. Called at the end of a cell."""
        beds = [self.bed]
        own = self.shell.user_ns.get("bed")
        if own is not self.bed:
            beds.append(own)
        for bed in beds:
            if isinstance(bed, Testbed):
                self._notifier.report(bed)
                if bed.running:
                    bed.code_changes.report_changes()
                self._notifier.watch(bed)  # also one that was made in Python
