"""RoleML's configuration of a run (its conductor's ``appConfig``): expanded, then planned."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from roleml_nb.role import NOTEBOOK, RoleInstanceID, did_you_mean, parse_instances

from .entry import Entry
from .matching import matching
from .plan import Plan
from .roles import read_role
from .scope import Scope
from .templates import MAX_VALUES, Templates

__all__ = ["FIXED_KEYS", "KEYS", "Expansion", "plan_run"]

FIXED_KEYS = (
    "profiles",
    "roles",
    "connections",
    "relationships",
    "relationship_links",
    "deployment_order",
    "fixed",
    "seed",
)
RULES = (
    "profiles_separate",
    "profiles_individual",
    "connection_rules",
    "relationship_rules",
    "bandwidth",
)
KEYS = (*FIXED_KEYS, *RULES)
CONDUCTOR = "conductor"
"""The actor that RoleML's examples run their conductor on.

It has no profile; here the notebook takes its place.
"""


class Expansion:
    """A run with its patterns, rules and value templates written out.

    `run` is the run in RoleML's own form, with ``fixed: true``. What is fixed already is left as it
    is. `own_roles` are the actors that (may) deploy roles themselves, which the run therefore does
    not know.
    """

    def __init__(
        self, entry: Entry, seed: int | None = None, usual_seed: int = 0, trust: bool = False
    ):
        self.notes: list[str] = []
        self.own_roles: list[str] = []
        self._trust = trust
        self._written = Counter[str]()
        """How much templates and rules come to."""
        self._given = entry.fields(KEYS)
        own = self._given["seed"].integer() if "seed" in self._given else usual_seed
        self.seed = own if seed is None else seed
        if "fixed" in self._given and self._given["fixed"].flag():
            for key in RULES:
                if key in self._given:
                    raise self._given[key].fail(
                        "is for what is still to be expanded; remove it, or 'fixed: true'"
                    )
            self.run = entry
            self.own_roles = [
                name for name in self._profiles("profiles") if name not in self._map("roles")
            ]
            return
        self._entry = entry
        self._batch = self._profiles("profiles")
        self._separate = self._profiles("profiles_separate")
        self._individual = self._profiles("profiles_individual")
        self._managed = [*self._batch, *self._separate]
        self.own_roles = [*self._separate, *self._individual]
        self._all = [*self._managed, *self._individual]
        self._asked: dict[tuple[str, str], Entry] = {}
        self._conductor = [] if CONDUCTOR in self._all else [CONDUCTOR]
        profiles = [item for key in KEYS if key.startswith("profiles") for item in self._list(key)]
        self.run = Entry(
            {
                "profiles": entry.with_value(profiles),
                "roles": self._roles(),
                "connections": self._connections(),
                "relationships": self._relationships(),
                "relationship_links": self._links(),
                "deployment_order": self._order(),
                "fixed": Entry(True),
            },
            (),
            entry.location,
        )
        if "seed" in self._given or seed is not None:  # RoleML's own files have none
            self.run.value["seed"] = Entry(self.seed)

    def _list(self, key: str) -> list[Entry]:
        return self._given[key].sequence() if key in self._given else []

    def _map(self, key: str) -> dict[str, Entry]:
        return self._given[key].mapping() if key in self._given else {}

    def _profiles(self, key: str) -> list[str]:
        return [name.text() for name in _profile_names(self._list(key))]

    def _match(self, entry: Entry, pattern: str, actors: list[str]) -> list[str]:
        """Return the actors whose whole name matches; an error for a plain name that is none, a
        note for an idle pattern.
        """
        if pattern in self._conductor:
            return [pattern]
        try:
            found = matching(pattern or ".*", actors, self._trust)
        except ValueError as error:
            raise entry.fail(error) from None
        if not found and re.fullmatch(r"[\w-]+", pattern):
            raise entry.fail(f"no actor {pattern!r} here; {did_you_mean(pattern, actors)}")
        if not found:
            self.notes.append(f"{entry.where}: no actor matches {pattern!r}")
        return found

    def _at(self, key: str, per_actor: dict[str, Any]) -> Entry:
        """Return the values of each actor, at the first entry that gave it something."""
        at = self._given.get(key, self._entry)
        return at.with_value(
            {actor: self._asked[key, actor].with_value(item) for actor, item in per_actor.items()}
        )

    def _count(self, rule: Entry, pairs: int) -> None:
        self._written["pairs"] += pairs
        if self._written["pairs"] > MAX_VALUES:
            raise rule.fail(
                f"with {rule.value!r}, rules relate more than {MAX_VALUES:,} pairs of actors"
            )

    def _roles(self) -> Entry:
        found: dict[str, dict[str, Entry]] = {}
        for pattern, item in self._map("roles").items():
            templates = Templates(self.seed, self._written)
            for actor in self._match(item, pattern, self._batch):
                self._asked.setdefault(("roles", actor), item)
                found.setdefault(actor, {}).update(templates.fill(item).mapping())
        return self._at("roles", found)

    def _connections(self) -> Entry:
        found: dict[str, dict[str, Entry]] = {}
        for rule in self._list("connection_rules"):
            words = rule.text().split()
            if len(words) != 2:
                raise rule.fail("must be two patterns: FROM TO")
            targets = {
                target: rule.with_value(target) for target in self._match(rule, words[1], self._all)
            }
            actors = self._match(rule, words[0], self._managed)
            self._count(rule, len(actors) * len(targets))
            for actor in actors:
                self._asked.setdefault(("connections", actor), rule)
                found.setdefault(actor, {}).update(targets)
        for actor, item in self._map("connections").items():
            for name in (item.with_value(actor), *item.texts()):
                if name.value not in (*self._all, *self._conductor):
                    raise name.fail(
                        f"no actor {name.value!r} in profiles;"
                        f" {did_you_mean(name.value, self._all)}"
                    )
            self._asked.setdefault(("connections", actor), item)
            found.setdefault(actor, {}).update({name.text(): name for name in item.texts()})
        return self._at(
            "connections", {actor: list(items.values()) for actor, items in found.items()}
        )

    def _relationships(self) -> Entry:
        key, found = "relationships", dict[str, dict[str, dict[str, Entry]]]()
        for actor, item in self._map("relationships").items():
            self._asked[key, actor] = item
            for name, members in item.mapping().items():
                found.setdefault(actor, {}).setdefault(name, {}).update(
                    {one.text(): one for one in members.texts()}
                )
        for pattern, rules in self._map("relationship_rules").items():
            actors = self._match(rules, pattern, self._managed)
            for relationship, rule in rules.mapping().items():
                for one in rule.texts():
                    who, slash, instance = one.text().rpartition("/")
                    targets = self._match(one, who if slash else instance, self._all)
                    named = [
                        f"{target}/{instance if slash else relationship}" for target in targets
                    ]
                    self._count(one, len(actors) * len(named))
                    for actor in actors:
                        self._asked.setdefault((key, actor), rules)
                        found.setdefault(actor, {}).setdefault(relationship, {}).update(
                            {member: one.with_value(member) for member in named}
                        )
        return self._at(
            key,
            {
                actor: {
                    name: self._asked[key, actor].with_value(list(members.values()))
                    for name, members in known.items()
                }
                for actor, known in found.items()
            },
        )

    def _links(self) -> Entry:
        found: dict[str, dict[str, Entry]] = {}
        for pattern, item in self._map("relationship_links").items():
            for actor in self._match(item, pattern, self._managed):
                self._asked.setdefault(("relationship_links", actor), item)
                found.setdefault(actor, {}).update(item.mapping())
        return self._at("relationship_links", found)

    def _order(self) -> Entry:
        found: dict[str, Entry] = {}
        for item in self._list("deployment_order"):
            for actor in self._match(item, item.text(), self._all):
                found.setdefault(actor, item.with_value(actor))
        return self._given.get("deployment_order", self._entry).with_value(list(found.values()))


def _profile_names(profiles: Iterable[Entry]) -> list[Entry]:
    names = [item.fields(("name", "address"), required=("name",))["name"] for item in profiles]
    seen: dict[str, Entry] = {}
    for name in names:
        if name.text() in seen:
            raise name.fail(f"a second actor {name.value!r} (first: {seen[name.value].where})")
        seen[name.value] = name
    return names


def plan_run(entry: Entry, scope: Scope, seed: int | None = None, usual_seed: int = 0) -> Plan:
    """Return the plan of a run, expanded or not."""
    expansion = Expansion(entry, seed, usual_seed, scope.trust)
    plan = Plan(seed=expansion.seed, notes=expansion.notes)
    given = expansion.run.fields(FIXED_KEYS, required=("profiles",))
    for actor in _profile_names(given["profiles"].sequence()):
        plan.node(actor.text(), actor, complete=actor.value not in expansion.own_roles)
    actors = list(plan.nodes)

    def per_actor(key: str) -> list[tuple[str, Entry]]:
        """Return (node, entry) of each actor under a key."""
        found = []
        for actor, item in (given[key].mapping() if key in given else {}).items():
            if actor not in actors and actor != CONDUCTOR:
                raise item.fail(f"no actor {actor!r} in profiles; {did_you_mean(actor, actors)}")
            found.append((actor if actor in actors else NOTEBOOK, item))
        return found

    for node, item in per_actor("roles"):
        for name, role in item.mapping().items():
            plan.node(node, item).roles[name] = read_role(name, role, scope)
    for node, item in per_actor("relationships"):
        for name, members in item.mapping().items():
            plan.node(node, item).relationships.setdefault(name, []).extend(
                _members(members, name, actors, plan)
            )
    for node, item in per_actor("relationship_links"):
        for alias, target in item.mapping().items():
            target.text()
            plan.node(node, item).links[alias] = target
    order = given["deployment_order"].texts() if "deployment_order" in given else []
    for item in order:
        if item.value not in actors:
            raise item.fail(
                f"no actor {item.value!r} in profiles; {did_you_mean(item.value, actors)}"
            )
    plan.first = [*([NOTEBOOK] if NOTEBOOK in plan.nodes else []), *(item.value for item in order)]
    plan.unused = dict.fromkeys(
        key for key in entry.mapping() if key.startswith(("connection", "bandwidth"))
    )
    if any("address" in item.mapping() for item in given["profiles"].sequence()):
        plan.unused["address"] = None
    return plan


def _members(
    entry: Entry, relationship: str, actors: list[str], plan: Plan
) -> list[tuple[RoleInstanceID, Entry]]:
    found = []
    for item in entry.texts():
        try:
            (member,) = parse_instances(item.value, relationship)
        except ValueError as error:
            raise item.fail(error) from None
        if member.actor_name == CONDUCTOR and CONDUCTOR not in actors:
            plan.notes.append(
                f"{item.where}: {member} is left out: the notebook takes the conductor's place"
            )
        else:
            found.append((member, item))
    return found
