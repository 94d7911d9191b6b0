"""RoleML's configuration of a run (its conductor's ``appConfig``): expanded, then planned."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from roleml_nb.role import NOTEBOOK, RoleInstanceID, did_you_mean, parse_instances
from roleml_nb.spec.entry import Entry, mapping_at, sequence_at, texts_at
from roleml_nb.spec.matching import matching
from roleml_nb.spec.plan import Plan
from roleml_nb.spec.readers import Reader
from roleml_nb.spec.scope import Scope

from .roles import read_role
from .templates import MAX_VALUES, Templates

__all__ = ["FIXED_KEYS", "KEYS", "Expansion", "RunReader", "plan_run"]

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

    `run` is the run in RoleML's own form, with ``fixed: true``. A fixed run stays as it is.
    `own_roles` are the actors that (may) deploy roles themselves, which the run therefore does not
    know.
    """

    def __init__(
        self, entry: Entry, seed: int | None = None, usual_seed: int = 0, trust: bool = False
    ):
        self.notes: list[str] = []
        self.own_roles: list[str] = []
        self._trust = trust
        self._written = Counter[str]()
        """Numbers of values and pairs that templates and rules write out."""
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
            with_roles = self._map("roles")
            for name in self._profiles("profiles"):
                if name not in with_roles:
                    self.own_roles.append(name)
            return
        self._entry = entry
        self._batch = self._profiles("profiles")
        self._separate = self._profiles("profiles_separate")
        self._individual = self._profiles("profiles_individual")
        self._managed = [*self._batch, *self._separate]
        self.own_roles = [*self._separate, *self._individual]
        self._all = [*self._managed, *self._individual]
        self._first_entries: dict[tuple[str, str], Entry] = {}
        """{(key, actor): the first entry that gave the actor something under that key}."""
        self._conductor = [] if CONDUCTOR in self._all else [CONDUCTOR]
        profiles = []
        for key in KEYS:
            if key.startswith("profiles"):
                profiles += self._list(key)
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
        return sequence_at(self._given, key)

    def _map(self, key: str) -> dict[str, Entry]:
        return mapping_at(self._given, key)

    def _profiles(self, key: str) -> list[str]:
        return list(map(Entry.text, _profile_names(self._list(key))))

    def _match(self, entry: Entry, pattern: str, actors: list[str]) -> list[str]:
        """Return the actors whose whole name matches a pattern.

        A plain name that is none is an error; another pattern without matches is noted.
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

    def _per_actor(self, key: str, values: Mapping[str, Any]) -> Entry:
        """Return the value of each actor, at the first entry that gave it something."""
        found = {}
        for actor, value in values.items():
            found[actor] = self._first_entries[key, actor].with_value(value)
        return self._given.get(key, self._entry).with_value(found)

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
                self._first_entries.setdefault(("roles", actor), item)
                found.setdefault(actor, {}).update(templates.fill(item).mapping())
        return self._per_actor("roles", found)

    def _connections(self) -> Entry:
        found: dict[str, dict[str, Entry]] = {}
        for rule in self._list("connection_rules"):
            words = rule.text().split()
            if len(words) != 2:
                raise rule.fail("must be two patterns: FROM TO")
            targets = {}
            for target in self._match(rule, words[1], self._all):
                targets[target] = rule.with_value(target)
            actors = self._match(rule, words[0], self._managed)
            self._count(rule, len(actors) * len(targets))
            for actor in actors:
                self._first_entries.setdefault(("connections", actor), rule)
                found.setdefault(actor, {}).update(targets)
        for actor, item in self._map("connections").items():
            for name in (item.with_value(actor), *item.texts()):
                if name.value not in (*self._all, *self._conductor):
                    raise name.fail(
                        f"no actor {name.value!r} in profiles;"
                        f" {did_you_mean(name.value, self._all)}"
                    )
            self._first_entries.setdefault(("connections", actor), item)
            targets = found.setdefault(actor, {})
            for name in item.texts():
                targets[name.text()] = name
        lists = {}
        for actor, targets in found.items():
            lists[actor] = list(targets.values())
        return self._per_actor("connections", lists)

    def _relationships(self) -> Entry:
        key = "relationships"
        found: dict[str, dict[str, dict[str, Entry]]] = {}
        """{actor: {relationship: {member: its entry}}}"""
        for actor, item in self._map(key).items():
            self._first_entries[key, actor] = item
            for relationship, members in item.mapping().items():
                related = found.setdefault(actor, {}).setdefault(relationship, {})
                for member in members.texts():
                    related[member.text()] = member
        for pattern, rules in self._map("relationship_rules").items():
            actors = self._match(rules, pattern, self._managed)
            for relationship, rule in rules.mapping().items():
                for one in rule.texts():
                    targets = self._members(one, relationship)
                    self._count(one, len(actors) * len(targets))
                    for actor in actors:
                        self._first_entries.setdefault((key, actor), rules)
                        found.setdefault(actor, {}).setdefault(relationship, {}).update(targets)
        lists: dict[str, dict[str, Entry]] = {}
        for actor, relationships in found.items():
            first = self._first_entries[key, actor]
            lists[actor] = {}
            for relationship, related in relationships.items():
                lists[actor][relationship] = first.with_value(list(related.values()))
        return self._per_actor(key, lists)

    def _members(self, rule: Entry, relationship: str) -> dict[str, Entry]:
        """Return {role: its entry} of the members that a rule, PATTERN or PATTERN/ROLE, names."""
        pattern, slash, instance = rule.text().rpartition("/")
        if not slash:
            pattern, instance = instance, relationship
        found = {}
        for actor in self._match(rule, pattern, self._all):
            member = f"{actor}/{instance}"
            found[member] = rule.with_value(member)
        return found

    def _links(self) -> Entry:
        found: dict[str, dict[str, Entry]] = {}
        for pattern, item in self._map("relationship_links").items():
            for actor in self._match(item, pattern, self._managed):
                self._first_entries.setdefault(("relationship_links", actor), item)
                found.setdefault(actor, {}).update(item.mapping())
        return self._per_actor("relationship_links", found)

    def _order(self) -> Entry:
        found: dict[str, Entry] = {}
        for item in self._list("deployment_order"):
            for actor in self._match(item, item.text(), self._all):
                found.setdefault(actor, item.with_value(actor))
        return self._given.get("deployment_order", self._entry).with_value(list(found.values()))


class RunReader(Reader):
    """Reads runs."""

    key = "profiles"
    form = "a run of RoleML"

    def reads(self, keys: Collection[str]) -> bool:
        return any(key.startswith(self.key) for key in keys)

    def plan(self, entries: list[Entry], scope: Scope, seed: int | None, usual_seed: int) -> Plan:
        plan = Plan()
        for entry in entries:
            plan.add(plan_run(entry, scope, seed, usual_seed))
        return plan

    def expand(self, entry: Entry, seed: int | None, trust: bool) -> Any:
        """Return a run in RoleML's own form, with ``fixed: true``."""
        return Expansion(entry, seed, trust=trust).run.plain()


def _profile_names(profiles: Iterable[Entry]) -> list[Entry]:
    names = []
    for item in profiles:
        names.append(item.fields(("name", "address"), required=("name",))["name"])
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
        for actor, item in mapping_at(given, key).items():
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
        plan.node(node, item).add_links(item.mapping())
    if NOTEBOOK in plan.nodes:
        plan.first.append(NOTEBOOK)
    for item in texts_at(given, "deployment_order"):
        if item.value not in actors:
            raise item.fail(
                f"no actor {item.value!r} in profiles; {did_you_mean(item.value, actors)}"
            )
        plan.first.append(item.value)
    for key in entry.mapping():
        if key.startswith(("connection", "bandwidth")):
            plan.unused[key] = None
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
