"""Main routines of `Runnable` roles: each runs on a thread of its own."""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial

from roleml_nb.role import Runnable, StatusError
from roleml_nb.role.running import running

from .errors import describe
from .host import ActorHost
from .role_table import RoleTable

__all__ = ["Routines"]


class Routines:
    """Starts, halts and restarts the main routines of one actor's roles."""

    def __init__(self, roles: RoleTable, host: ActorHost):
        self._roles = roles
        self._host = host
        self._ends: dict[str, Future] = {}
        """Done when the main routine of that role has ended."""

    def start(self, name: str) -> None:
        """Start the main routine of a `Runnable`, unless it runs already."""
        role = self._roles[name]
        if isinstance(role, Runnable) and (name not in self._ends or self._ends[name].done()):
            ended = self._ends[name] = Future()
            self._host.run_in_background(
                partial(self._run, name, role, ended), f"{self._roles.node}/{name}"
            )

    def running(self) -> list[str]:
        """Return the roles whose main routine is running."""
        return [name for name, ended in list(self._ends.items()) if not ended.done()]

    def restart(self, name: str) -> None:
        """Run the main routine of a role that was asked to stop: now, or when it has ended."""

        def again(_: Future) -> None:
            if self._roles.started(name):
                self.start(name)

        ended = self._ends.get(name)
        if ended is None or ended.done():
            self.start(name)
        else:
            ended.add_done_callback(again)

    def _run(self, name: str, role: Runnable, ended: Future) -> None:
        try:
            with running(role):  # type: ignore[arg-type]
                role.run()
        except StatusError as error:
            # else it was the last thing that a role did which is being stopped
            if self._roles.started(name):
                self._report(name, error)
        except BaseException as error:  # nobody waits for it: it is reported
            self._host.failures.keep(error, self._roles.instance(name), "run", "run")
            self._report(name, error)
        finally:
            ended.set_result(None)

    def _report(self, name: str, error: BaseException) -> None:
        self._host.report(describe(error, self._roles.instance(name), "run", self._host.label))

    def halt(self, name: str, timeout: float | None) -> None:
        """Ask a main routine to stop, and wait for it; TimeoutError after `timeout` seconds."""
        ended = self._ends.pop(name, None)
        if ended is None:
            return
        role = self._roles[name]
        with running(role):
            role.stop()  # type: ignore[attr-defined]
        try:
            self._host.clock.wait(ended, timeout)
        except TimeoutError:
            self._ends[name] = ended
            raise TimeoutError(
                f"the main routine of {self._roles.node}/{name} has not ended {timeout} s"
                " after stop()"
            ) from None

    def discard(self, name: str) -> None:
        """Keep no main routine of a role that is no longer here."""
        self._ends.pop(name, None)
