"""Rounds of synchronous decentralised learning."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol, runtime_checkable
from uuid import uuid4

from roleml_nb.library.attempts import Attempt
from roleml_nb.library.channel_numbers import count_of
from roleml_nb.library.channel_types import Options
from roleml_nb.library.members import drop_lost, members_of
from roleml_nb.library.ordering import without
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
    """A graph for each round, {sender: receivers}, for example a `roleml_nb.Topology`."""

    def neighbours(self, round: int = 0) -> dict[str, list[str]]: ...


class DecentralisedCoordinator(Pausable):
    """Runs rounds on nodes that train, send to their neighbours and mix.

    Models go from node to node, not through this role. Needs the relationship ``mixer``: all nodes,
    as `Mixer` roles of one kind. Each sends to its ``peer``; the element `topology` overrides that
    round by round. In a round, all train and send; when all have sent, all mix. The result is the
    same in every run, to the last bit, on any number of engines.

    Nodes may come and go: those in the relationship when a round begins take part in it; those that
    are lost are left out from then on. When a round fails, all nodes undo it.
    """

    topology: Any = Element(ChangingTopology, optional=True)
    round_completed = Event()

    def __init__(self) -> None:
        super().__init__()
        self.rounds = 0
        """The number of completed rounds of all runs."""
        self._unfinished = ""
        """The attempt at a round that is under way, or was given up and not undone by all nodes."""
        self._lost: set[RoleInstanceID] = set()
        self._anew = False
        """True if nodes have been lost since the others last began anew."""

    @Task(expand=True)
    def run(
        self,
        caller: RoleInstanceID,
        num_rounds: int,
        num_epochs: int = 1,
        test_every: int = 0,
        options: Options | None = None,
    ) -> dict[str, Any]:
        """Run `num_rounds` rounds of `num_epochs` local epochs (0: mix only).

        `options` go to the trainers' ``train``. After each round, ``round-completed`` carries
        "round" (from 1), "nodes", and, every `test_every` rounds (0: never), the means over the
        nodes of their test metrics. A graph that is not (strongly) connected is refused, with its
        components, before anything is trained.

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
        return members_of(self, "mixer", "the nodes", "node*/mixer", self._lost)

    def _do_round(self, num_epochs: int, options: dict[str, Any] | None) -> list[RoleInstanceID]:
        number = self.rounds + 1
        members = self._members()
        graph = self._graph(members, number)
        members = [member for member in members if member in graph]
        self._unfinished = uuid4().hex
        anew = self._anew
        self._anew = False
        work = {
            "num_epochs": num_epochs,
            "options": options,
            "round": number,
            "attempt": self._unfinished,
            "anew": anew,
        }
        messages = {member: Message({**work, "receivers": graph[member]}) for member in members}
        try:
            self._call_all(members, "train", messages)
            left = without(members, self._lost)
            mix = Message({"attempt": self._unfinished})
            self._call_all(left, "mix", dict.fromkeys(left, mix))
        except Exception:
            self._anew |= anew
            with suppress(RoleMLError):  # then it is tried again when the next run begins
                self._undo_unfinished(members)
            raise
        self.rounds = number
        self._unfinished = ""
        return without(members, self._lost)

    def _drop_lost(self, answers: list[tuple[RoleInstanceID, Any]]) -> dict[RoleInstanceID, Any]:
        """Return the answers of nodes that are there; those that are lost are left out from now on.

        Others begin anew in the next round then.
        """
        lost = len(self._lost)
        try:
            return drop_lost(self, answers, self._lost)
        finally:
            self._anew |= len(self._lost) > lost

    def _undo_unfinished(self, members: list[RoleInstanceID]) -> None:
        """Have all nodes undo a round that was given up."""
        if self._unfinished:
            answers = self.call_group(
                members,
                "forget",
                {"attempt": self._unfinished},
                on_error=ErrorHandlingStrategy.KEEP,
            )
            self._drop_lost(answers)
            self._unfinished = ""

    def _call_all(
        self,
        members: Iterable[RoleInstanceID],
        channel: str,
        messages: dict[RoleInstanceID, Message] | None = None,
    ) -> list[Any]:
        """Call a task of all nodes at the same time; return the results, without lost nodes.

        The first error is raised when all calls have ended.
        """
        answers: list[tuple[RoleInstanceID, Any]] = []
        with Attempt() as attempt:
            calls: list[tuple[RoleInstanceID, TaskInvocation]] = attempt.add(
                self.call_task_group(
                    members, channel, message_map=messages, on_call_error=ErrorHandlingStrategy.KEEP
                )
            )
            for member, invocation in calls:
                try:
                    answers.append((member, invocation.result()))
                except Exception as error:
                    answers.append((member, error))
                    if not isinstance(error, GONE):
                        attempt.cancel()
        return list(self._drop_lost(answers).values())

    def _test_all(self, members: list[RoleInstanceID]) -> dict[str, Any]:
        tested = self._call_all(members, "test")
        if not tested:
            return {}
        means: dict[str, Any] = {}
        for name in tested[0]:
            means[name] = sum(metrics[name] for metrics in tested) / len(tested)
        return means

    # The graph.

    def _graph(self, members: list[RoleInstanceID], number: int) -> Graph:
        """Return the graph of a round (0: of all rounds) over the members that are not lost."""
        answers = self.call_group(
            members, "get-peers", {"round": number}, on_error=ErrorHandlingStrategy.KEEP
        )
        answered = self._drop_lost(answers)
        if self.topology.implemented:
            graph = self._topology_graph(list(answered), number)
        else:
            graph = {}
            for member, answer in answered.items():
                peers = [RoleInstanceID(*peer) for peer in answer["peers"]]
                graph[member] = [peer for peer in peers if peer in answered]
        if not all(answer["directed"] for answer in answered.values()):
            _check_symmetric(self, graph)
        return graph

    def _topology_graph(self, members: list[RoleInstanceID], number: int) -> Graph:
        named = {member.actor_name: member for member in members}
        neighbours = self.topology().neighbours(max(0, number - 1))
        graph: Graph = {}
        for member in members:
            others = neighbours.get(member.actor_name, ())
            graph[member] = [named[other] for other in others if other in named]
        return graph

    def _check_graph(self, members: list[RoleInstanceID]) -> None:
        graph = self._graph(members, 0)
        if self.topology.implemented:
            known = self.topology().neighbours()
            unknown = [one.actor_name for one in members if one.actor_name not in known]
            self.require(
                not unknown,
                f"the topology of {self.id} does not name the node {', '.join(unknown)}: "
                "make it over the names of the nodes",
            )
            return  # a round's graph need not be connected
        parts = _components(graph)
        listed = " and ".join(map(_members_text, parts[:4]))
        more = " and more" if len(parts) > 4 else ""
        self.require(
            len(parts) < 2,
            f"the graph of 'peer' is not connected: its components are {listed}{more}; "
            "wire the nodes with bed.wire or %rml wire",
        )


def _members_text(part: list[RoleInstanceID]) -> str:
    """Return the names of the first members of a component."""
    names = ", ".join(member.actor_name for member in part[:6])
    more = ", …" if len(part) > 6 else ""
    return f"{{{names}{more}}}"


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
    left = set(graph)
    parts: list[list[RoleInstanceID]] = []
    for node in graph:
        if node in left:
            part = _reached(graph, node) & _reached(back, node)
            left -= part
            parts.append(sorted(part, key=lambda one: natural_key(str(one))))
    return parts


def _reached(graph: Graph, start: RoleInstanceID) -> set[RoleInstanceID]:
    seen = {start}
    open_ends = [start]
    while open_ends:
        new = without(graph[open_ends.pop()], seen)
        seen.update(new)
        open_ends += new
    return seen
