"""``%rml update`` and ``%rml roles``: versions of role classes."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections import Counter

from roleml_nb.role import Role, RoleInstanceID, did_you_mean

from ..codegen import call_code, literals
from ..context import Context
from ..formatting import pluralize
from ..parsing import BadLine
from .subcommand import Subcommand

__all__ = ["Roles", "Update", "update_roles"]


class Update(Subcommand):
    """Have all roles of a class take up its newest version, as a %%role cell does by itself;
    without a class, all roles whose modules have changed.
    """

    name = "update"
    overview = {"update": "take up changed modules; or Trainer: its cell"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("role", nargs="?", help="Trainer")
        parser.add_argument(
            "--was",
            metavar="NAME",
            help="what the class was called before: roles of that class become its",
        )
        parser.add_argument(
            "--fresh",
            action="store_true",
            help="begin anew, with the options and elements that were given",
        )

    def run(self, context: Context, arguments: Namespace) -> None:
        name, was = arguments.role, arguments.was
        if name is None:
            if was:
                raise BadLine(
                    f"--was {was} is for a class that was renamed: %rml update NewName --was {was}"
                )
            _print_updates(update_roles(context, None, arguments.fresh), "no role is behind")
            for line in context.running().code_changes.not_loaded():
                print(line)
            return
        classes = context.role_classes()
        if name not in classes:
            raise BadLine(f"no role class {name!r}; {did_you_mean(name, classes)}")
        updates = update_roles(context, classes[name], arguments.fresh, was)
        _print_updates(updates, f"no role has another version of {name}")

    def complete(self, context: Context, words: list[str], begun: str) -> list[str]:
        return list(context.role_classes())

    def to_python(self, arguments: Namespace) -> str:
        roles = [arguments.role] if arguments.role else []
        return call_code(
            "bed.update",
            *roles,
            **literals(fresh=arguments.fresh or None, was=arguments.was and repr(arguments.was)),
        )


def update_roles(
    context: Context,
    roles: list[type[Role]] | type[Role] | None,
    fresh: bool,
    was: str | None = None,
) -> dict[str, list[str]]:
    """Update the roles of classes, or of None those that are behind.

    Return {name of a class: lines with the number of roles of each of its versions}.
    """
    bed = context.running()
    before = dict(bed.versions.running)
    updated = bed.update(roles, fresh=fresh, was=was)
    counted: Counter[tuple[tuple[str, int], bool]] = Counter()
    for instance in updated:
        version = bed.versions.running[instance]
        counted[version, version == before[instance]] += 1
    outcome = "begun anew" if fresh else "taken up"
    lines: dict[str, list[str]] = {}
    for ((name, number), same), times in counted.items():
        with_elements = ", with what changed in its elements," if same else ""
        lines.setdefault(name, []).append(
            f"version {number} of {name.rpartition('.')[2]}{with_elements} is {outcome} by"
            f" {pluralize(times, 'role')}"
        )
    return lines


def _print_updates(updates: dict[str, list[str]], otherwise: str) -> None:
    if not updates:
        print(otherwise)
    for lines in updates.values():
        print("\n".join(lines))


class Roles(Subcommand):
    """Print which version of which role class runs where."""

    name = "roles"
    effect = "none"

    def run(self, context: Context, arguments: Namespace) -> None:
        bed = context.running()
        bed.code_changes.refresh()
        table = bed.versions.table()
        behind = bed.versions.behind()
        for name, version, instances in table:
            print(f"{name.removeprefix('__main__.')} version {version}: {_listed(instances)}")
            late = [instance for instance in instances if instance in behind]
            changed: set[str] = set()
            for instance in late:
                changed.update(behind[instance])
            if changed:
                print(f"    behind, since {' and '.join(sorted(changed))} changed: {_listed(late)}")
        if not table:
            print("no roles are assigned")


def _listed(instances: list[RoleInstanceID]) -> str:
    return ", ".join(map(str, instances))
