"""RoleML's configuration of one actor (``ActorBootstrapSpec``), planned as a node."""

from __future__ import annotations

import os
import secrets
import sys

from roleml_nb.role import NATIVE, RoleInstanceID, did_you_mean
from roleml_nb.spec.entry import Entry, mapping_at, texts_at
from roleml_nb.spec.plan import Plan
from roleml_nb.spec.readers import Reader
from roleml_nb.spec.scope import Scope

from .roles import Presets, read_role

__all__ = ["KEYS", "ActorReader"]

COMPONENTS = (
    "procedure_invoker",
    "procedure_provider",
    "messaging_component",
    "collective_implementor",
)
CONTAINER = ("containerize", "temp_dir", "base_image", "mounts")
LEVELS = ("DISABLED", "INTERNAL", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOGGING = ("log_file_path", "log_file_level", "log_console_type", "log_console_level", "debug")
UNUSED = ("address", "contacts", "handshakes", "handwaves", *COMPONENTS, *LOGGING, *CONTAINER)
KEYS = (
    "name",
    "roles",
    "relationships",
    "relationship_links",
    "element_preset",
    "workdir",
    "src",
    "seed",
    *UNUSED,
)


class ActorReader(Reader):
    """Reads single actors; several are planned together, since they may know each other."""

    key = "name"
    form = "an actor of RoleML"

    def plan(self, entries: list[Entry], scope: Scope, seed: int | None, usual_seed: int) -> Plan:
        """Return the plan of actors, which are deployed one after the other."""
        plan = Plan()
        given: list[dict[str, Entry]] = []
        actors: list[str] = []
        for entry in entries:
            given.append(entry.fields(KEYS, required=("name",)))
        for keys in given:
            name = keys["name"].text()
            if name in actors:
                raise keys["name"].fail(f"a second actor {name!r}")
            actors.append(name)
        for keys in given:
            _plan_actor(plan, keys, actors, scope)
            for key in keys:
                if key in UNUSED:
                    plan.unused[key] = None
        plan.first = list(actors)
        return plan

    def sources(self, entry: Entry, scope: Scope) -> list[str]:
        """Return the folder of an actor's modules, unless it is on sys.path: `src`, else `workdir`.

        Both may be relative to the working directory.
        """
        given = entry.fields(KEYS)
        workdir = os.path.abspath(given["workdir"].text()) if "workdir" in given else os.getcwd()
        source = os.path.join(workdir, given["src"].text()) if "src" in given else workdir
        named = given.get("src", given.get("workdir"))
        if not os.path.isdir(source):
            raise (named or entry).fail(f"there is no folder {source}")
        if named is None or source in sys.path:
            return []
        scope.check_place(named, source, "import from")
        return [source]


def _plan_actor(plan: Plan, given: dict[str, Entry], actors: list[str], scope: Scope) -> None:
    name = given["name"].value
    node = plan.node(name, given["name"])
    contacts = list(mapping_at(given, "contacts"))
    _check_rest(given, [*contacts, *actors])
    presets = Presets(given.get("element_preset"), scope)
    for role, item in mapping_at(given, "roles").items():
        node.roles[role] = read_role(role, item, scope, presets)
    for relationship, members in mapping_at(given, "relationships").items():
        for item in members.texts():
            member = _instance(item, name)
            if member.actor_name in actors:
                node.relationships.setdefault(relationship, []).append((member, item))
            elif member.actor_name in contacts or relationship == "manager":
                plan.notes.append(
                    f"{item.where}: {member} is left out: no such actor is loaded here"
                )
            else:
                raise item.fail(
                    f"no actor {member.actor_name!r};"
                    f" {did_you_mean(member.actor_name, [*actors, *contacts])}"
                )
    node.add_links(mapping_at(given, "relationship_links"))
    if "workdir" in given:
        node.context["workdir"] = os.path.abspath(given["workdir"].text())
    if "src" in given:
        node.context["src"] = os.path.join(
            node.context.get("workdir", os.getcwd()), given["src"].text()
        )
    if "seed" in given:
        seed = given["seed"].integer()
        # drawn here, so that a saved run holds it
        node.context["seed"] = secrets.randbelow(2**31) if seed == -1 else seed


def _instance(entry: Entry, own: str) -> RoleInstanceID:
    """Return the role of ``actor/instance``, ``/instance`` (its own), or ``actor`` (native)."""
    text = entry.text()
    actor, slash, instance = text.partition("/")
    if "/" in instance or (slash and not instance) or not text:
        raise entry.fail(
            f"{text!r} is no role: write actor/role, /role for one of this actor, or actor"
        )
    return RoleInstanceID(actor or own, instance or NATIVE)


def _check_rest(given: dict[str, Entry], known: list[str]) -> None:
    """Check the keys that have no effect here; mistakes in them are still mistakes."""
    for key in ("handshakes", "handwaves"):
        for item in texts_at(given, key):
            if item.value not in known:
                raise item.fail(
                    f"{item.value!r} is not among the contacts; {did_you_mean(item.value, known)}"
                )
    for key in ("log_file_level", "log_console_level"):
        if key in given:
            given[key].choice(LEVELS)
    if "log_console_type" in given:
        given["log_console_type"].choice(("single", "shared"))
    if "debug" in given:
        given["debug"].flag()
    for key in COMPONENTS:
        if key in given and not isinstance(given[key].value, str):
            given[key].fields(("type", "options"), required=("type",))
