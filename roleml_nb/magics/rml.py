"""``%rml`` and ``%%role``: find the sub-command of a line, and have it run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from IPython.core.magic import (
    Magics,
    cell_magic,
    line_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)

from roleml_nb.role import RoleMLError

from .arguments import HelpRequested, overview, parse
from .braces import fill
from .completion import complete
from .context import Context
from .errors import UsageError
from .lines import check_lines, run_all
from .parsing import BadLine, split
from .role_cells import define_roles
from .values import VALUE_MAGIC

__all__ = ["RoleMagics"]


@magics_class
class RoleMagics(Magics):
    """The magics of one IPython shell."""

    shell: Any

    def __init__(self, shell: Any):
        super().__init__(shell)
        self.context = Context(shell)

    @needs_local_scope
    @no_var_expand  # {1..8} and $ are the user's, not IPython's
    @line_magic
    def rml(self, line: str, local_ns: Mapping[str, Any] | None = None) -> None:
        """Steer a testbed: `%rml` alone prints an overview, `%rml COMMAND --help` explains a
        command.
        """
        __tracebackhide__ = True
        self._run_line(line, local_ns, value_wanted=False)

    @needs_local_scope
    @no_var_expand
    @line_magic(VALUE_MAGIC)  # type: ignore[arg-type]
    def rml_value(self, line: str, local_ns: Mapping[str, Any] | None = None) -> Any:
        """Carry out `r = %rml …`: as `%rml`, but return the value, and print no result."""
        __tracebackhide__ = True
        return self._run_line(line, local_ns, value_wanted=True)

    @no_var_expand
    @cell_magic("rml")  # type: ignore[arg-type]
    def rml_cell(self, line: str, cell: str) -> None:
        """Carry out several lines of `%rml`: all of them, or, where the lines done can be undone,
        none.
        """
        __tracebackhide__ = True
        if line.strip():
            raise UsageError(
                f"rml: {line.strip()!r}: %%rml takes nothing on its line; put each command on a"
                " line below it"
            )
        with self._refusals({}):
            run_all(check_lines(cell, self._parse), self.context, self._carry_out)

    @no_var_expand
    @cell_magic
    def role(self, line: str, cell: str) -> None:
        """Define roles: run the cell, check that it defines a role, and print its channels and
        elements.

        Roles of the testbed that have an earlier version of the class take up the new one, and keep
        their state; with `%%role --fresh` they begin anew, and with `%%role --keep` they stay as
        they are.
        """
        define_roles(self.context, line, cell)

    def complete(self, shell: Any, event: Any) -> list[str]:
        """Return completions of a line that begins with %rml."""
        return complete(event.line, self.context)

    def _run_line(
        self, line: str, local_ns: Mapping[str, Any] | None, *, value_wanted: bool
    ) -> Any:
        __tracebackhide__ = True
        local_names: Mapping[str, Any] = {}
        if local_ns is not None and local_ns is not self.shell.user_ns:
            local_names = dict(local_ns)
        with self._refusals(local_names):
            words = split(line)
            if not words or words[0] in ("help", "-h", "--help"):
                print(overview())
                return None
            return self._carry_out(words, value_wanted)

    def _carry_out(self, words: list[str], value_wanted: bool = False) -> Any:
        __tracebackhide__ = True
        arguments = self._parse(words)
        arguments.value_wanted = value_wanted
        return arguments.subcommand.run(self.context, arguments)

    def _parse(self, words: list[str]) -> Any:
        return parse(fill(words, self.context.names()))

    @contextmanager
    def _refusals(self, local_names: Mapping[str, Any]) -> Iterator[None]:
        """Show help that was asked for, and turn refusals into errors that are all text.

        Meanwhile, expressions may use `local_names`.
        """
        __tracebackhide__ = True
        context = self.context
        before = context.local_names
        context.local_names = local_names
        try:
            yield
        except HelpRequested as text:
            print(text)
        except BadLine as error:
            raise UsageError(f"rml: {error}") from None
        except RoleMLError as error:
            if hasattr(error, "remote_traceback") or error is context.replayed_error:
                raise
            raise UsageError(f"rml: {error}") from None
        finally:
            context.local_names = before
