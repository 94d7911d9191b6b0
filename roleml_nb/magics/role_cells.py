"""``%%role``: a cell that defines roles, and has those that run take up the new classes."""

from __future__ import annotations

from roleml_nb.role import Role, RoleMLError
from roleml_nb.testbed.registry.versions import class_name

from .context import Context
from .errors import UsageError
from .execution_count import current_execution_count
from .subcommands.update import update_roles

__all__ = ["define_roles"]

OPTIONS = ("", "--fresh", "--keep")
CHANNELS_AND_ELEMENTS = ("services", "tasks", "events", "elements")


def define_roles(context: Context, line: str, cell: str) -> None:
    """Run a cell, and print the roles that it has defined; UsageError when there is none."""
    option = line.strip()
    if option not in OPTIONS:
        raise UsageError(
            f"role: {option!r}: %%role takes --fresh or --keep or nothing on its line; put the"
            " class below it"
        )
    roles = _run(context, line, cell)
    updates: dict[str, list[str]] = {}
    if option != "--keep" and context.running_bed is not None:
        try:
            updates = update_roles(context, roles, fresh=option == "--fresh")
        except RoleMLError as error:
            raise UsageError(f"role: {error}") from None
    for cls in roles:
        print(
            "\n".join(
                [f"role {cls.__name__}: {_described(cls)}", *updates.get(class_name(cls), ())]
            )
        )


def _run(context: Context, line: str, cell: str) -> list[type[Role]]:
    """Run a cell and return the roles that it defines."""
    before = dict(context.shell.user_ns)
    with current_execution_count(context.shell):
        # lines count as they are seen
        outcome = context.shell.run_cell(f"# %%role {line}\n{cell}", store_history=False)
    if not outcome.success:  # an error of this cell, too, so that "run all" stops here
        fault = outcome.error_before_exec or outcome.error_in_exec
        raise UsageError(f"role: the cell failed, see above: {type(fault).__name__}: {fault}")
    roles = []
    for name, value in context.shell.user_ns.items():
        is_role = isinstance(value, type) and issubclass(value, Role)
        if is_role and value.__module__ == "__main__" and before.get(name) is not value:
            roles.append(value)
    if not roles:
        raise UsageError("role: the cell defines no subclass of Role")
    return roles


def _described(cls: type[Role]) -> str:
    """Return the channels and elements of a role in words."""
    parts = []
    for kind in CHANNELS_AND_ELEMENTS:
        names = getattr(cls, kind)
        if names:
            parts.append(f"{kind} {', '.join(sorted(names))}")
    return "; ".join(parts) or "no channels"
