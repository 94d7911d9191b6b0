"""Rounds of synchronous decentralised learning."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable
from uuid import uuid4

from roleml_nb.library.attempts import Attempt
from roleml_nb.library.channel_numbers import count_of
from roleml_nb.library.channel_types import Options
from roleml_nb.library.ordering import in_order
from roleml_nb.library.pausing import Pausable
from roleml_nb.role import (
    Element,
    ErrorHandlingStrategy,
    Event,
    Message,
    Role,
    RoleInstanceID,
    RoleMLError,
    Task,
    TaskInvocation,
    natural_key,
)
from roleml_nb.role.errors import GONE

__all__ = ["DecentralisedCoordinator"]

Graph = dict[RoleInstanceID, list[RoleInstanceID]]


@runtime_checkable
class ChangingTopology(Protocol):
    """Who sends to whom in each round: {node: nodes}, for example a `roleml_nb.Topology`."""

    def neighbours(self, round: int = 0) -> dict[str, list[str]]: ...


class DecentralisedCoordinator(Pausable):
    """Runs rounds on nodes that train, send to their neighbours and mix: it says when.

    Models do not come through here.

    Needs the relationship ``mixer``: all nodes, as `Mixer` roles of one kind. Who sends to whom,
    they know (their ``peer``); the element `topology` overrides it round by round. In a round, all
    train and send; when all have, all mix. The result is the same in every run, to the last bit, on
    any number of engines.

    Nodes may come and go: those in the relationship when a round begins take part in it; those that
    are lost are left out from then on. A round that fails is taken back by all of them.
    """

    topology: Any = Element(ChangingTopology, optional=True)
    round_completed = Event()

    def __init__(self) -> None:
        super().__init__()
        self.rounds = 0
        """How many rounds were done so far, in all runs."""
        self._unfinished = ""
        """The attempt at a round that is under way, or was given up and not taken back by all."""
        self._lost: set[RoleInstanceID] = set()
        self._anew = False
        """Whether some have been lost since the others last began anew."""

    @Task(expand=True)
    def run(
        self,
        caller: RoleInstanceID,
        num_rounds: int,
        num_epochs: int = 1,
        test_every: int = 0,
        options: Options | None = None,
    ) -> dict[str, Any]:
        """Do `num_rounds` rounds of `num_epochs` local epochs (0: mix only); `options` go to the
        trainers' ``train``.

        After each round, ``round-completed`` carries "round" (from 1), "nodes", and, every
        `test_every` rounds (0: never), the means over the nodes of their test metrics. A graph in
        which not every node is reached from every other one is refused, with its components, before
        anything is trained.

        Returns
        -------
        dict
            "rounds", "nodes", and "accuracy" of the last test (None if there was none), a mean over
            the nodes.
        """
        num_rounds = count_of("num_rounds", num_rounds, 1)
        num_epochs = count_of("num_epochs", num_epochs)
        test_every = count_of("test_every", test_every)
        self._lost = set()
        self._undo_unfinished(self._members())
        self._check_graph(self._members())
        tested: dict[str, Any] = {}
        for number in range(1, num_rounds + 1):
            self.before_round()
            members = self._do_round(num_epochs, options)
            metrics: dict[str, Any] = {}
            if test_every and number % test_every == 0:
                metrics = tested = self._test_all(members)
            self.round_completed.emit(args={**metrics, "round": number, "nodes": len(members)})
        return {"rounds": num_rounds, "nodes": len(members), "accuracy": tested.get("accuracy")}

    def _members(self) -> list[RoleInstanceID]:
        node = self.id.actor_name
        known = self.ctx.relationships.get_relationship_view("mixer")
        members = in_order(set(known) - self._lost)
        self.require(
            members or not known,
            f"all nodes of relationship 'mixer' of {node} are lost:"
            f" {', '.join(map(str, in_order(known)))}; make them anew with bed.respawn(), or relate"
            " others",
        )
        self.require(
            members,
            f"relationship 'mixer' of {node} is empty: relate the nodes first, "
            f"e.g. %rml relate {node} mixer=node*/mixer",
        )
        return members

    def _do_round(self, num_epochs: int, options: dict[str, Any] | None) -> list[RoleInstanceID]:
        number = self.rounds + 1
        members = self._members()
        graph = self._graph(members, number)
        members = [member for member in members if member in graph]
        self._unfinished = uuid4().hex
        anew, self._anew = self._anew, False
        work = {
            "num_epochs": num_epochs,
            "options": options,
            "round": number,
            "attempt": self._unfinished,
            "anew": anew,
        }
        try:
            self._call_all(
                members,
                "train",
                {member: Message({**work, "receivers": graph[member]}) for member in members},
            )
            mix = Message({"attempt": self._unfinished})
            left = [member for member in members if member not in self._lost]
            self._call_all(left, "mix", dict.fromkeys(left, mix))
        except Exception:
            self._anew |= anew
            with suppress(RoleMLError):  # else at the beginning of the next run
                self._undo_unfinished(members)
            raise
        self.rounds, self._unfinished = number, ""
        return [member for member in members if member not in self._lost]

    def _record_lost(self, member: RoleInstanceID) -> None:
        self._lost.add(member)
        self._anew = True

    def _undo_unfinished(self, members: list[RoleInstanceID]) -> None:
        """Have all be what they were before a round that was given up."""
        if self._unfinished:
            answers = self.call_group(
                members,
                "forget",
                {"attempt": self._unfinished},
                on_error=ErrorHandlingStrategy.KEEP,
            )
            for member, answer in answers:
                if isinstance(answer, GONE):
                    self._record_lost(member)
                elif isinstance(answer, Exception):
                    raise answer
            self._unfinished = ""

    def _call_all(
        self,
        members: Iterable[RoleInstanceID],
        channel: str,
        messages: dict[RoleInstanceID, Message] | None = None,
    ) -> list[Any]:
        """Have all do it at the same time; the results, without those of nodes that are gone.

        The first error is raised.
        """
        results, errors = [], []
        with Attempt() as attempt:
            calls: list[tuple[RoleInstanceID, TaskInvocation]] = attempt.add(
                self.call_task_group(
                    members, channel, message_map=messages, on_call_error=ErrorHandlingStrategy.KEEP
                )
            )
            for member, invocation in calls:
                try:
                    results.append(invocation.result())
                except GONE as error:
                    self.logger.warning("%s is left out from now on: %s", member, error)
                    self._record_lost(member)
                except Exception as error:  # raised below, when all have ended
                    errors.append(error)
                    attempt.cancel()
            if errors:
                raise errors[0]
        return results

    def _test_all(self, members: list[RoleInstanceID]) -> dict[str, Any]:
        tested = self._call_all(members, "test")
        return {
            name: sum(metrics[name] for metrics in tested) / len(tested)
            for name in (tested[0] if tested else ())
        }

    # the graph

    def _graph(self, members: list[RoleInstanceID], number: int) -> Graph:
        """Whom each member sends to in a round (0: ever), of those that are here."""
        answers = self.call_group(
            members, "get-peers", {"round": number}, on_error=ErrorHandlingStrategy.KEEP
        )
        answered = {}
        for member, answer in answers:
            if isinstance(answer, GONE):
                self._record_lost(member)
            elif isinstance(answer, Exception):
                raise answer
            else:
                answered[member] = answer
        graph = {
            member: [
                RoleInstanceID(*peer)
                for peer in answer["peers"]
                if RoleInstanceID(*peer) in answered
            ]
            for member, answer in answered.items()
        }
        if self.topology.implemented:
            named = {member.actor_name: member for member in answered}
            neighbours = self.topology().neighbours(max(0, number - 1))
            graph = {
                member: [
                    named[other]
                    for other in neighbours.get(member.actor_name, ())
                    if other in named
                ]
                for member in answered
            }
        if not all(answer["directed"] for answer in answered.values()):
            _check_symmetric(self, graph)
        return graph

    def _check_graph(self, members: list[RoleInstanceID]) -> None:
        graph = self._graph(members, 0)
        if self.topology.implemented:
            unknown = [
                member.actor_name
                for member in members
                if member.actor_name not in self.topology().neighbours()
            ]
            self.require(
                not unknown,
                f"the topology of {self.id} does not name the node {', '.join(unknown)}: "
                "make it over the names of the nodes",
            )
            return  # a round's graph need not be connected
        parts = _components(graph)
        said = " and ".join(
            "{"
            + ", ".join(member.actor_name for member in part[:6])
            + (", …" if len(part) > 6 else "")
            + "}"
            for part in parts[:4]
        ) + (" and more" if len(parts) > 4 else "")
        self.require(
            len(parts) < 2,
            f"the graph of 'peer' is not connected: its components are {said}; "
            "wire the nodes with bed.wire or %rml wire",
        )


def _check_symmetric(coordinator: Role, graph: Graph) -> None:
    for member, others in graph.items():
        for other in others:
            coordinator.require(
                member in graph[other],
                f"{member} sends to {other}, but not the other way round: this method needs edges"
                " both ways; wire them with bed.wire or %rml wire, or use StochasticGradientPush,"
                " which keeps the mean on directed graphs, too",
            )


def _components(graph: Graph) -> list[list[RoleInstanceID]]:
    """Return the strongly connected components."""
    back: Graph = {node: [] for node in graph}
    for node, others in graph.items():
        for other in others:
            back[other].append(node)
    left, parts = set(graph), []
    for node in graph:
        if node in left:
            part = _reached(graph, node) & _reached(back, node)
            left -= part
            parts.append(sorted(part, key=lambda one: natural_key(str(one))))
    return parts


def _reached(graph: Graph, start: RoleInstanceID) -> set[RoleInstanceID]:
    seen, open_ends = {start}, [start]
    while open_ends:
        new = [other for other in graph[open_ends.pop()] if other not in seen]
        seen.update(new)
        open_ends += new
    return seen
