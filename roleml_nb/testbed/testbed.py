"""The testbed: the notebook's handle on engines, nodes, roles, relationships and the trace."""

from __future__ import annotations

import os
import uuid
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from roleml_nb.actor import Invocation
from roleml_nb.host.process import machine_name
from roleml_nb.host.stdio import split_output
from roleml_nb.host.stop import Stopped
from roleml_nb.role import (
    NOTEBOOK,
    ArgumentTypeError,
    Message,
    Role,
    RoleInstanceID,
    TestbedError,
)
from roleml_nb.role.checks.arguments import checked, checked_methods
from roleml_nb.role.checks.numbers import check_number
from roleml_nb.spec import Source, write_spec
from roleml_nb.spec.patterns import expand
from roleml_nb.spec.spec import describe
from roleml_nb.testbed.calls.calls import Calls
from roleml_nb.testbed.calls.replay import Replay, replay
from roleml_nb.testbed.calls.runs import LiveRun, Runs, begin_run
from roleml_nb.testbed.cluster.fleet import Fleet
from roleml_nb.testbed.cluster.handshake import why
from roleml_nb.testbed.operations import reattach
from roleml_nb.testbed.operations.assign import assign
from roleml_nb.testbed.operations.checkpoint import restore, save
from roleml_nb.testbed.operations.checkpoint_file import describe_checkpoint
from roleml_nb.testbed.operations.deployment import Deployment
from roleml_nb.testbed.operations.load import load
from roleml_nb.testbed.operations.migrate import migrate
from roleml_nb.testbed.operations.move import move
from roleml_nb.testbed.operations.relate import link_relationship, relate
from roleml_nb.testbed.operations.remove import remove
from roleml_nb.testbed.operations.rename import rename
from roleml_nb.testbed.operations.respawn import respawn
from roleml_nb.testbed.operations.spawn import spawn
from roleml_nb.testbed.operations.terminate import terminate
from roleml_nb.testbed.operations.update import update
from roleml_nb.testbed.registry.code_changes import CodeChanges
from roleml_nb.testbed.registry.provenance import about
from roleml_nb.testbed.registry.registry import Registry
from roleml_nb.testbed.registry.status import NodeStatus, TestbedStatus
from roleml_nb.testbed.registry.versions import Versions
from roleml_nb.trace import LogView, Trace
from roleml_nb.trace.errors import Errors, Failure
from roleml_nb.trace.recording import write_recording
from roleml_nb.views import open_view

from .nodes import Nodes
from .options import JOIN_OPTIONS, MAX_TIMEOUT_S, check_engines, check_host_options

if TYPE_CHECKING:
    from roleml_nb.topologies.topology import Topology
    from roleml_nb.widgets import Board, Metrics, RunBar, Traffic

__all__ = ["Testbed"]

PRELOAD = ("torch",)
Pattern = str | Iterable[str]


@checked_methods
class Testbed:
    """Engines with actors on them, driven from a notebook.

    Parameters
    ----------
    engines
        Number of engines to start, 2 by default; 0 keeps every actor in this process, with the same
        semantics. Of a cluster that is joined: the number to wait for, and to use; by default all
        that are there.
    cluster, profile, cluster_id
        Join a running cluster instead: an `ipyparallel.Cluster` or `Client`, or the names to find
        one by. docs/machines.md.
    start_timeout
        Seconds that engines get to come.
    timeout
        Seconds that a call waits for its answer by default.
    workers
        Tasks that run at the same time on one host; services and events always find a thread.
        Default: cores ÷ engines, at most 4. More are let in when none of them gets on.
    threads
        torch threads per engine; default: cores ÷ engines, and 1 with `pin`. With another number,
        torch adds up in another order, and the last bits of weights differ.
    pin
        True to keep each engine of our own to one core (Linux). Where many nodes train small
        models and nothing else is to be done on the machine, that is about twice as fast, since its
        threads do not chase each other over the cores; beside other work it is slower.
    links
        Links to use, best first: "direct" and "relay". A direct link that breaks gives way to
        the relay by itself.
    preload
        Modules that each engine imports in the background, since they take seconds. Add
        ``torch._dynamo`` if your models use ``torch.optim``, which imports it; the library's do
        not.
    seed
        The root of all random numbers: of roles (`Role.rng`; ``ctx.seed``, unless their node has
        its own), of models and data that are built for them without a seed, of random graphs, and
        of the draws of a configuration. Global generators are neither read nor seeded, but for
        torch's: while a role of the library trains or builds, it is the role's own.
    trace
        True to record messages. Metrics are always recorded.
    detached
        True to have engines of our own outlive this process, however it ends: `attach` finds them
        again, `stop` ends them.

    Use as a context manager, or call `stop`. All errors are `RoleMLError`; bad input changes
    nothing.

    Examples
    --------
    >>> from roleml_nb import Role, Service, Testbed
    >>> class Greeter(Role):
    ...     @Service(expand=True)
    ...     def greet(self, caller, name):
    ...         return f"{self.ctx.profile.name} greets {name}"
    >>> with Testbed(engines=0) as bed:
    ...     nodes = bed.spawn("client{1..2}").assign("greeter", Greeter)
    ...     bed.call("client1/greeter", "greet", name="Ada")
    ...     bed.call("client*/greeter", "greet", name="Ada")
    'client1 greets Ada'
    {'client1': 'client1 greets Ada', 'client2': 'client2 greets Ada'}
    """

    __test__ = False

    def __init__(
        self,
        engines: int | None = None,
        *,
        cluster: Any = None,
        profile: str | None = None,
        cluster_id: str | None = None,
        timeout: float = 600.0,
        workers: int | None = None,
        threads: int | None = None,
        links: tuple[str, ...] = ("direct", "relay"),
        preload: tuple[str, ...] = PRELOAD,
        seed: int = 0,
        trace: bool = True,
        detached: bool = False,
        pin: bool = False,
        start_timeout: float = 60.0,
    ):
        given = {"cluster": cluster, "profile": profile, "cluster_id": cluster_id}
        joins = {key: value for key, value in given.items() if value is not None}
        options = check_host_options(
            {
                "timeout": timeout,
                "workers": workers,
                "threads": threads,
                "links": links,
                "preload": preload,
                "seed": seed,
                "trace": trace,
                "pin": pin,
            }
        )
        engines = check_engines(engines, joins, detached=detached, pin=pin)
        start_timeout = check_number("start_timeout", start_timeout, 0, MAX_TIMEOUT_S)
        fleet = Fleet(
            uuid.uuid4().hex[:12],
            engines,
            joins,
            detached=detached,
            start_timeout=start_timeout,
            **options,
        )
        self._begin(options["seed"], fleet)
        if detached:
            self._persist({"options": options, "numbers": fleet.numbers})

    def _begin(self, seed: int, fleet: Fleet) -> None:
        self._stopping = False
        self.seed = seed
        self.at_stop: list[Callable[[], None]] = []
        """Called once when the testbed stops, before anything ends: of views and others that look
        on.
        """
        self.registry = Registry()
        """Nodes, roles and relationships."""
        self.fleet = fleet
        """The hosts that the nodes live on."""
        self.trace: Trace = self.fleet.trace
        self._calls = Calls(self.fleet.home.actors[NOTEBOOK], self.registry)
        self.versions = Versions()
        """Which version of its class each role has."""
        self.fleet.home.actors[NOTEBOOK].migration.listeners += [
            self.registry.moved,
            self.versions.moved,
        ]
        self.registry.query_roles = self._calls.roles_of
        self.code_changes = CodeChanges(self.fleet, self.versions)
        """Edits of the user's own modules, and the reports about them."""
        self.deployment = Deployment(
            seed, fleet, self._calls, self.registry, self.versions, self.code_changes
        )
        """These parts together, as the operations take them."""
        self.fleet.home.actors[NOTEBOOK].migration.listeners.append(self.deployment.record_move)
        self.runs = Runs()
        """The calls that `run` has begun."""
        self.errors.run = self.runs.first_under_way

    # staying when the kernel ends

    @classmethod
    def attach(cls, testbed_id: str | None = None, *, mark: str | None = None) -> Testbed:
        """Attach to the detached testbed of that name, or the only one, from a new process.

        It has its nodes, roles, relationships and places, and the trace since the other process has
        left. Options and elements of roles are known as in the spec. TestbedError when there is
        none.
        """
        if mark is not None:
            warnings.warn(
                "roleml_nb: the option mark=… of Testbed.attach is testbed_id=… now",
                DeprecationWarning,
                stacklevel=2,
            )
        runtime_file = reattach.select_detached(testbed_id or mark)
        options = dict(runtime_file.attach_info["options"])
        options["links"] = tuple(options["links"])
        fleet = Fleet(
            runtime_file.testbed_id, runtime_file.engines, {}, runtime_file=runtime_file, **options
        )
        bed = cls.__new__(cls)
        bed._begin(options["seed"], fleet)
        try:
            reattach.restore(bed.deployment)
            bed._persist(runtime_file.attach_info)
        except BaseException:
            bed.detach()
            raise
        return bed

    def _persist(self, attach_info: dict[str, Any]) -> None:
        """Persist the data that another process needs to attach; stop the testbed if that fails."""
        try:
            reattach.begin_persisting(self.fleet, self.registry, attach_info)
        except TestbedError:
            self.stop()
            raise

    def detach(self) -> str:
        """Leave the engines to themselves; returns the name to `attach` by.

        Work there goes on.

        TestbedError unless it was started with ``detached=True``. Roles on the notebook's own node
        end.
        """
        self._check_running()
        if self.fleet.engines is None or not self.fleet.engines.detached:
            raise TestbedError(
                "this testbed ends with its kernel; start one that stays with"
                " Testbed(detached=True) or %rml start --detach"
            )
        reattach.write_registry(self.fleet, self.registry)
        self._stopping = True
        self._notify_stop()
        self.fleet.detach()
        return self.fleet.testbed_id

    # engines

    @property
    def engines(self) -> int:
        """Number of engines that live; 0 for an embedded testbed."""
        return len(self.fleet.alive)

    @property
    def machines(self) -> dict[str, str]:
        """Where the engines are that are alive: {engine: name of its machine}."""
        self._check_running()
        found = self.fleet.on_hosts(machine_name)
        return {host_id: found[host_id] for host_id in self.fleet.alive if host_id in found}

    @property
    def lost(self) -> dict[str, str]:
        """Engines that died: {engine: reason}."""
        return self.fleet.lost

    @property
    def errors(self) -> Errors:
        """Errors that nobody waited for: of event handlers, `Runnable`s, callbacks and
        clean-ups.
        """
        return self.fleet.errors

    @property
    def running(self) -> bool:
        return not self._stopping

    def links(self) -> list[str]:
        """Return a line for each pair of hosts: its link, and why that is no better one."""
        return why(self.fleet.links)

    def stop_run(self) -> Stopped:
        """End all handlers, on all nodes, in less than two seconds; nodes and roles stay, and can
        be called again.

        Handlers make no more calls and wait for none; those that go on are interrupted; one that
        does not return from a call of its own is left alone, its callers get RunStopped, and its
        role is free. An engine that does not even answer is killed, and is lost; `respawn` makes
        its nodes anew on others.
        """
        self._check_running()
        return self.fleet.stop_run()

    def waiting(self) -> list[str]:
        """Return a line for each call that waits, with its time and the state of the other side;
        the oldest first.
        """
        self._check_running()
        return self.fleet.waiting()

    # nodes

    def spawn(self, *patterns: str, on: int | str | None = None, **context: Any) -> Nodes:
        """Make nodes: ``spawn("server", "client{1..8}")``, spread over the engines or all on one.

        `context` is for the ``ctx`` of their roles: `workdir`, `src`, and `seed`, which is the
        testbed's by default. Nodes that exist already are left as they are. Returns all nodes
        named.
        """
        self._check_running()
        return Nodes(self, spawn(self.deployment, patterns, on, context))

    def select(self, pattern: Pattern | Nodes) -> Nodes:
        """Return the nodes that a pattern finds: ``select("client*")``; the notebook's own only
        when it has roles, or by its name.
        """
        self._check_running()
        return Nodes(self, self.registry.select(pattern))

    def remove(self, nodes: Pattern | Nodes) -> list[str]:
        """Take nodes away, with their roles, whose running handlers end first; others forget them.

        Returns their names.
        """
        names = self.select(nodes).names
        remove(self.deployment, names)
        return names

    def respawn(self, nodes: Pattern | Nodes = "*", on: int | str | None = None) -> list[str]:
        """Make nodes anew that lived on lost engines, spread over the others or all on one; return
        their names.

        They get the context, the relationships and the roles that they had, with the same options
        and elements, and others know them again. Their state is lost: roles begin anew, or go on
        from a checkpoint (`save`, `restore`).
        """
        return respawn(self.deployment, self.select(nodes).names, on)

    def rename(self, node: str, name: str) -> None:
        """Give a node another name.

        Its roles go on with their state, and relationships speak of them by their new address.

        An old address that is kept elsewhere than in a relationship does not lead there any more,
        and `Role.rng` draws the numbers of the new name.
        """
        names = self.select(node).names
        if len(names) != 1:
            raise TestbedError(f"{node!r} names {len(names)} nodes; name one")
        rename(self.deployment, names[0], name)

    def move(self, nodes: Pattern | Nodes, on: int | str) -> list[str]:
        """Take nodes to another engine, with their roles and their state, while others go on
        calling them.

        Returns the names of roles that were not there yet. Running handlers end first, as in
        `migrate`.
        """
        return move(self.deployment, self.select(nodes).names, on)

    @partial(checked, exempt=("positions",))
    def arrange(self, positions: Mapping[str, tuple[float, float] | None]) -> None:
        """Put nodes somewhere on the board: {node: (x, y)}, x to the right, y down; None for
        wherever it likes.
        """
        places: dict[str, tuple[int, int] | None] = {}
        for pattern, at in positions.items():
            place = None if at is None else _position(pattern, at)
            places.update(dict.fromkeys(self.select(pattern), place))
        self.registry.arranged(places)

    def _check_running(self) -> None:
        if self._stopping:
            raise TestbedError(
                "this testbed has stopped; make a new one with Testbed(...) or %rml start"
            )
        if self.fleet.origin.in_fork:
            raise TestbedError(self.fleet.origin.error_text())
        split_output(self.fleet.home)

    # roles and relationships

    def assign(
        self,
        nodes: Pattern | Nodes,
        name: str,
        role: type[Role],
        *,
        options: Mapping[str, Any] | None = None,
        elements: Mapping[str, Any] | None = None,
    ) -> Nodes:
        """Put a role on nodes, with constructor `options` and `elements`; each may hold `Each` and
        `impl` values.

        Returns when every instance is ready. A role of that name on a node is replaced.
        """
        selected = self.select(nodes)
        assign(self.deployment, selected.names, name, role, options or {}, elements or {})
        self.code_changes.report_changes()
        return selected

    def update(
        self,
        role: type[Role] | Sequence[type[Role]] | None = None,
        *,
        fresh: bool = False,
        was: str | None = None,
    ) -> list[RoleInstanceID]:
        """Have all roles of a class of this name take up this version of it; returns those that had
        another one.

        Attributes and elements stay, running handlers end on the old code, and the next message
        meets the new. With `fresh` the roles are assigned anew, with the options and elements that
        they were given.

        Parameters
        ----------
        role
            The class, or several; without it, all roles take up all changes of the user's
            modules since they were assigned. When it is refused for one role, none takes it up.
        fresh
            True to have them begin anew.
        was
            The name that the class had before, if it was renamed: the roles of that class become
            roles of this one.
        """
        self._check_running()
        if role is None and was is not None:
            raise TestbedError(
                f"was={was!r} is for a class that was renamed: give that class, bed.update(NewName,"
                f" was={was!r})"
            )
        return update(self.deployment, role, fresh, was)

    def terminate(self, nodes: Pattern | Nodes, name: str) -> Nodes:
        """Take a role off nodes; its running handlers end first."""
        selected = self.select(nodes)
        terminate(self.deployment, selected.names, name)
        return selected

    def relate(
        self, nodes: Pattern | Nodes, relationship: str, instances: Any, *, remove: bool = False
    ) -> Nodes:
        """Add role instances to a relationship that nodes know: ``relate("server", "trainer",
        "client*/trainer")``.

        A pattern without ``/`` means the role named like the relationship. Those already there
        stay.
        """
        selected = self.select(nodes)
        relate(self.deployment, selected.names, relationship, instances, remove)
        return selected

    def link_relationship(self, nodes: Pattern | Nodes, alias: str, relationship: str) -> Nodes:
        """Give a relationship that nodes know a second name there, for good."""
        selected = self.select(nodes)
        link_relationship(self.deployment, selected.names, alias, relationship)
        return selected

    def wire(
        self,
        graph: Any,
        *,
        relationship: str = "peer",
        nodes: Pattern | Nodes | None = None,
        role: str = "aggregator",
        round: int | None = None,
        connected: bool = True,
        **options: Any,
    ) -> Topology:
        """Relate nodes along the edges of a graph: ``wire("ring", nodes="peer*").report()``.

        Each node's `relationship` then names the roles called `role` of its out-neighbours, and
        no others. `graph` and `options` are arguments of `topology`, the seed of random ones is the
        testbed's; `nodes` are all with that role unless given; `round` picks one graph of a
        topology that changes. TestbedError, with the components, when not every node is reached
        from every other one, unless that need not be (`connected` False); nothing is wired then.
        """
        # networkx takes a third of a second to import
        from roleml_nb.testbed.operations.wire import wire

        self._check_running()
        return wire(self.deployment, graph, relationship, nodes, role, round, connected, options)

    def migrate(
        self,
        role: str | RoleInstanceID,
        to: str,
        *,
        conflicts: str = "refuse",
        timeout: float = 60.0,
    ) -> RoleInstanceID:
        """Move a role to another node, with its state, while others go on calling it; returns its
        new address.

        The role is paused until it is over there: running handlers end first, calls and events
        wait. Attributes (``__getstate__`` and ``__setstate__`` are honoured) and elements travel;
        relationships, subscriptions and calls follow. A `Runnable` is stopped, and run again over
        there. When anything fails, the role goes on where it was.

        Parameters
        ----------
        role
            "node/role".
        to
            "node", or "node/other-name" where that node has a role of the same name.
        conflicts
            For a relationship that the role mentions and that means other roles over there:
            "refuse", or "keep" (the role then uses that node's).
        timeout
            Seconds that its running handlers get to end.
        """
        self._check_running()
        return migrate(self.deployment, role, to, conflicts, timeout)

    # calls

    def call(
        self,
        target: str | RoleInstanceID,
        channel: str,
        args: Mapping[str, Any] | None = None,
        payloads: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
        **arguments: Any,
    ) -> Any:
        """Call a service or a task and return its result; for a pattern, {node: result}.

        Keywords are added to `args`: ``bed.call("client*/trainer", "train", epochs=2)``.

        Raises the handler's error (HandlerError with the remote traceback), NodeLost or
        CallTimeout. An interrupt ends the wait at once, and the testbed stays usable.
        """
        self._check_running()
        self.code_changes.report_changes()
        return self._calls.call(target, channel, {**(args or {}), **arguments}, payloads, timeout)

    def channels(self, target: str | RoleInstanceID) -> list[str]:
        """Return the services and tasks of the first role that `target` names, as they can be
        called.
        """
        self._check_running()
        return self._calls.channels(target)

    def call_task(
        self,
        target: str | RoleInstanceID,
        channel: str,
        args: Mapping[str, Any] | None = None,
        payloads: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> Invocation:
        """Call a task (or a service) and go on; ask the invocation for its ``result(timeout=…)``.

        Keywords are added to `args`, as in `call`.
        """
        self._check_running()
        self.code_changes.report_changes()
        return self._calls.call_task(target, channel, {**(args or {}), **arguments}, payloads)

    def run(
        self,
        target: str | RoleInstanceID,
        channel: str,
        args: Mapping[str, Any] | None = None,
        payloads: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> LiveRun:
        """Call as `call` does, in the background: return at once a `Run`, which knows its progress.

        Its `progress` counts the rounds that the called roles complete, out of the argument
        ``num_rounds``.
        """
        self._check_running()
        self.code_changes.report_changes()
        args = {**(args or {}), **arguments}
        return begin_run(self.runs, self._calls, self.fleet, target, channel, args, payloads)

    # looking

    def logs(
        self, *nodes: str, level: str = "debug", tail: int | None = None, times: bool = False
    ) -> LogView:
        """Return the log lines and prints of nodes: ``bed.logs("client3", level="warning")``; see
        `LogView`.
        """

        def pane(view: LogView) -> Any:
            return open_view("LogPane", view, self)

        names = []
        for pattern in nodes:
            node, slash, role = pattern.partition("/")
            for name in expand(node) if "{" in node else [node]:
                names.append(f"{name}{slash}{role}")
        return LogView(self.trace.logs, names, level=level, tail=tail, times=times, pane=pane)

    def replay(self, error: Exception | Failure | int) -> Replay:
        """Return a failure to be replayed in this process with ``.run()``: of an error that was
        raised, of one of `errors`, or of its number there.

        TestbedError, saying why, when it cannot be played again.
        """
        self._check_running()
        found = self.errors.numbered(error) if isinstance(error, int) else error
        if found is None:
            raise TestbedError(f"there is no error {error}; see bed.errors or %rml errors")
        return replay(self.fleet, getattr(found, "where", {}))

    def status(self) -> TestbedStatus:
        """Return the status of nodes and roles now."""
        self._check_running()
        numbers = self.fleet.numbers
        messages = dict.fromkeys(self.registry.nodes(), Message())
        nodes = []
        for (node, _), answer in self._calls.ask_nodes("service", "get-roles", messages):
            number = numbers.get(self.registry.places[node])
            engine = "notebook" if number is None else str(number)
            nodes.append(NodeStatus.from_answer(node, engine, answer))
        return TestbedStatus(list(numbers), dict(self.lost), nodes, self.seed)

    def board(self, **how: Any) -> Board:
        """Return the testbed as a board: drag roles from the palette onto nodes, from node to node,
        and from role to role.

        `how`: options of `roleml_nb.widgets.Board`.
        """
        self._check_running()
        return open_view("Board", self, **how)

    def traffic(self) -> Traffic:
        """Show messages as they travel: a view for the notebook, live until the testbed stops, and
        replayed from then on.
        """
        self._check_running()
        view = self.trace.traffic(deployed=self.registry.known, live=True)
        self.when_stopped(view.stop)
        self.runs.when_ended(view.update_picture_soon)
        return view

    def metrics(
        self, show: str | Iterable[str] = ("loss", "accuracy", "rounds", "bytes"), **how: Any
    ) -> Metrics:
        """Show metrics as they come, in panels of one figure, under the bar of runs; `how`:
        options of `Metrics`.
        """
        self._check_running()
        view = open_view("Metrics", self, show, **how)
        self.when_stopped(view.stop)
        self.runs.when_ended(view.update_picture_soon)
        return view

    def run_bar(self) -> RunBar:
        """Show the progress of the last run, with buttons to pause it, to go round by round, and to
        stop it.
        """
        self._check_running()
        view = open_view("RunBar", self)
        self.when_stopped(view.stop)
        self.runs.when_ended(view.update_picture_soon)
        return view

    # as plain data

    def spec(self) -> dict[str, Any]:
        """Return the whole deployment as plain data.

        Other than plain data appears as ``{"$opaque": its type}``.
        """
        return describe(self.registry, len(self.fleet.numbers), self.seed)

    def save_spec(self, path: str | os.PathLike[str]) -> None:
        """Write the spec as YAML (JSON for a name that ends so); ConfigError for values in it
        that are not plain data.
        """
        write_spec(path, self.spec())

    def record(self, path: str | os.PathLike[str]) -> None:
        """Write the trace so far, and its provenance, into a folder: ``record("run.parquet")``.

        `Recording.open` gives it back, with the same tables and plots. A recording of that name is
        replaced. RecordingError when that is not possible. A testbed that was stopped can be
        recorded, too.
        """
        write_recording(path, self.trace, about(self.spec(), self.registry, self.versions))

    def save(self, path: str | os.PathLike[str], *, timeout: float = 60.0) -> None:
        """Write the state of all roles into a file, a checkpoint: ``save("run.checkpoint")``.

        Attributes and elements of roles, relationships, subscriptions and events that wait. It is
        taken between handlers: handlers at work get `timeout` seconds to end, main routines of
        `Runnable`s are asked to stop and run again afterwards. CheckpointError, or TestbedError
        with the names of handlers still at work, when it cannot be taken; nothing is changed then.
        """
        self._check_running()
        save(self.deployment, path, timeout)

    def restore(self, path: str | os.PathLike[str], *, timeout: float = 60.0) -> None:
        """Restore all nodes as they were when a checkpoint was written; nodes that are not there
        are made.

        The work goes on as after the checkpoint: in synchronous architectures bit for bit the same,
        on any number of engines. Roles keep the classes of the checkpoint; `update` gives them new
        ones. Open none that you do not trust: it holds code.
        CheckpointError when it does not fit this testbed, which is then as it was.
        """
        self._check_running()
        restore(self.deployment, path, timeout)

    @classmethod
    def from_checkpoint(cls, path: str | os.PathLike[str], **options: Any) -> Testbed:
        """Return a testbed with as many engines and the seed of a checkpoint, and all that was in
        it (see `restore`).

        `options`: as of `Testbed`.
        """
        header = describe_checkpoint(path)
        options.setdefault("seed", header["seed"])
        if JOIN_OPTIONS.isdisjoint(options):
            options.setdefault("engines", header["engines"])
        bed = cls(**options)
        try:
            bed.restore(path)
        except BaseException:
            bed.stop()
            raise
        return bed

    @classmethod
    def from_spec(
        cls,
        source: Source,
        *,
        names: Mapping[str, Any] | None = None,
        trust: bool = False,
        root: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> Testbed:
        """Make a testbed from a file, or from plain data: our own spec, or configurations of RoleML
        (see `roleml_nb.spec.read`).

        Classes that a notebook defined (``__main__.Trainer``) are looked up in `names`, by default
        in the main module. `options`: as of `Testbed`. One warning names all deviations from the
        text. ConfigError, with file, line and key, when something is wrong; then there is
        no testbed.

        It may name classes and functions that are public in `roleml_nb.library` and
        `roleml_nb.workload`, or were defined in the notebook or in modules below its folder, and
        include files from its own folder, or from below `root`. A source that names others, or
        opens other files, is refused, with the names that it would call, unless you `trust` it.
        """
        bed, plan = load(cls, source, names=names, trust=trust, root=root, **options)
        if plan.notes:
            warnings.warn("\n".join(plan.notes), stacklevel=3)
        return bed

    def load(
        self,
        source: Source,
        *,
        names: Mapping[str, Any] | None = None,
        trust: bool = False,
        root: str | os.PathLike[str] | None = None,
        seed: int | None = None,
    ) -> None:
        """Deploy a configuration on this testbed, beside its nodes.

        As `from_spec`, which makes a testbed for it; `seed` is for value templates that draw, by
        default the testbed's. When something fails, new roles and relationships are taken back.
        """
        self._check_running()
        options = {} if seed is None else {"seed": seed}
        _, plan = load(self, source, names=names, trust=trust, root=root, **options)
        if plan.notes:
            warnings.warn("\n".join(plan.notes), stacklevel=3)

    # the end

    def stop(self) -> None:
        """End nodes, links and engines; an embedded cluster ends with them. Idempotent.

        In a fork of this process, such as one of multiprocessing, it does nothing: they are not the
        fork's.
        """
        if self.fleet.origin.in_fork:
            return
        self._notify_stop()
        self._stopping = True
        self.fleet.stop()

    def when_stopped(self, method: Callable[[], None]) -> None:
        """Call a method once when the testbed stops, if its object, a view, is there by then."""
        reference = weakref.WeakMethod(method)

        def at_stop() -> None:
            called = reference()
            if called is not None:
                called()

        self.at_stop.append(at_stop)

    def _notify_stop(self) -> None:
        """Notify views for the last time; an error of one of them keeps nothing from ending."""
        while self.at_stop:
            at_stop = self.at_stop.pop()
            try:
                at_stop()
            except Exception as error:  # whatever a page, or its library for drawing, raises
                self.fleet.home.logger.warning(
                    "a view could not be ended: %s: %s", type(error).__name__, error
                )

    def __enter__(self) -> Testbed:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        if self._stopping:
            return "<Testbed: stopped>"
        where = f"{self.engines} engines" if self.fleet.engines else "in this process"
        return f"<Testbed: {where}, {len(self.registry.places) - 1} nodes>"


def _position(node: str, at: Any) -> tuple[int, int]:
    if not isinstance(at, (tuple, list)) or len(at) != 2:
        raise ArgumentTypeError(f"the position of {node} must be (x, y) or None, not {at!r:.60}")
    what = f"the position of {node}"
    x, y = at
    return round(check_number(what, x, -1e9, 1e9)), round(check_number(what, y, -1e9, 1e9))
