"""The testbed: the notebook's handle on engines, nodes, roles, relationships and the trace."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from roleml_nb.actor import Actor, Invocation
from roleml_nb.messaging.relay import Relay, Relayed
from roleml_nb.role import (
    NATIVE,
    CallTimeout,
    ErrorHandlingStrategy,
    Message,
    NodeLost,
    Role,
    RoleInstanceID,
    TestbedError,
    did_you_mean,
    natural_key,
    standard_name,
)
from roleml_nb.trace import Trace

from . import engine as remote
from .cluster import Engines
from .deployment import implementation, resolve, spec_of
from .failures import fold
from .host import NOTEBOOK, Host
from .links import link_all, why
from .nodes import Nodes
from .patterns import expand, match
from .status import NodeStatus, TestbedStatus

__all__ = ["Testbed"]

PRELOAD = ("torch",)
Pattern = str | Iterable[str]


class Testbed:
    """Engines with actors on them, steered from a notebook.

    Parameters
    ----------
    engines
        How many engines to start; 0 keeps every actor in this process, with the same semantics.
    cluster, profile, cluster_id
        Join what runs already instead: an `ipyparallel.Cluster` or `Client`, or the names to find one by.
    timeout
        Seconds that a call waits for its answer unless told otherwise.
    workers
        Tasks that run at the same time on one host; services and events always find a thread.
    threads
        torch threads per engine; default: cores ÷ engines.
    links
        Which links to use, best first.
    preload
        Modules that each engine imports in the background, since they take seconds. Add ``torch._dynamo`` if your models
        use ``torch.optim``, which imports it; the library's do not.

    Use as a context manager, or call `stop`. All errors are `RoleMLError`; bad input changes nothing.
    """

    __test__ = False

    def __init__(
        self, engines: int = 2, *, cluster: Any = None, profile: str | None = None, cluster_id: str | None = None,
        timeout: float = 600.0, workers: int | None = None, threads: int | None = None,
        links: tuple[str, ...] = ("direct", "relay"), preload: tuple[str, ...] = PRELOAD,
    ):
        if engines < 0:
            raise TestbedError(f"engines must be 0 or more, not {engines}")
        unknown = set(links) - {"direct", "relay"}
        if unknown:
            raise TestbedError(f"no such link: {', '.join(sorted(unknown))}; known: direct, relay")
        self._id = uuid.uuid4().hex[:12]
        self._places: dict[str, str] = {}
        self._roles: dict[str, dict[str, dict[str, Any]]] = {}
        self._relationships: dict[str, dict[str, list[str]]] = {}
        self._engines: Engines | None = None
        self._numbers: dict[str, int] = {}
        self._links: dict[tuple[str, str], tuple[str, str]] = {}
        self._stopping = False
        self.lost: dict[str, str] = {}
        """Engines that died: {engine: reason}."""
        self.errors: list[Exception] = []
        """Errors that nobody waited for: of event handlers, `Runnable`s and clean-ups."""
        joins = cluster is not None or profile is not None or cluster_id is not None
        if engines or joins:
            self._engines = Engines(engines, self._id, cluster=cluster, profile=profile, cluster_id=cluster_id)
        try:
            self._home = Host(
                NOTEBOOK, "the notebook", call_timeout=timeout, lost=self._host_lost, workers=workers or 4,
                directory=self._engines.directory if self._engines else None,
                tcp=joins)
            self._home.tell = self.errors.append
            self.trace = Trace(self._home.clock.now(), self._collect)
            self._home.ship = self.trace.add
            self._shipments: dict[str, int] = {}
            self._arrived = threading.Condition()
            self._home.router.controls["trace"] = self._take_notes
            self._home.router.controls["error"] = lambda peer, error: self.errors.append(error)
            self._home.spawn([NOTEBOOK])
            self._places[NOTEBOOK] = NOTEBOOK
            self._relay = Relay(NOTEBOOK, self._exchange, self._home.deliver, self._host_lost,
                                self._home.run_in_background)
            if self._engines is not None:
                self._start_hosts(timeout, threads, links, preload, joins)
        except BaseException:
            self.stop()
            raise

    def _start_hosts(
        self, timeout: float, threads: int | None, links: tuple[str, ...], preload: tuple[str, ...], tcp: bool
    ) -> None:
        engines = self._engines
        assert engines is not None  # for mypy; the caller has checked
        each = threads or max(1, (os.cpu_count() or 1) // len(engines.ids))
        started = {
            number: engines.send(
                number, remote.start_host, self._id, f"engine{number}", f"engine {number}",
                directory=engines.directory, tcp=tcp, call_timeout=timeout, threads=each,
                owned=engines.owned, preload=preload)
            for number in engines.ids
        }
        addresses = {}
        for number, answer in started.items():
            addresses[number], _ = answer.get(60.0)
            self._numbers[f"engine{number}"] = number
        self._links = link_all(self._id, self._home, engines, addresses, self._relay, links)
        self._tell_places({NOTEBOOK: NOTEBOOK})

    # engines

    @property
    def engines(self) -> int:
        """How many engines are alive; 0 for an embedded testbed."""
        return len(self._numbers) - len(self.lost)

    @property
    def running(self) -> bool:
        return not self._stopping

    def _alive(self) -> list[str]:
        return [host_id for host_id in self._numbers if host_id not in self.lost]

    def _exchange(self, host_id: str, incoming: list[Relayed]) -> list[Relayed]:
        return self._engine().run(self._numbers[host_id], remote.exchange, self._id, incoming)

    def _engine(self) -> Engines:
        if self._engines is None:
            raise TestbedError("this testbed has no engines")
        return self._engines

    def _host_lost(self, host_id: str, reason: str) -> None:
        if self._stopping or host_id in self.lost:
            return
        self.lost[host_id] = reason
        self._home.router.host_lost(host_id, reason)
        self.errors.append(NodeLost(f"{host_id} is lost: {reason}"))

        def tell() -> None:
            for other in self._alive():
                try:
                    self._engine().run(self._numbers[other], remote.lose, self._id, host_id, reason)
                except Exception as error:  # an engine that is just dying is told of nothing
                    self._home.logger.info("%s was not told: %s", other, error)

        self._home.run_in_background(tell, "tell of loss")

    def _tell_places(self, places: dict[str, str]) -> None:
        self._home.learn(places)
        self._on_engines(remote.learn, places)

    def _on_engines(self, function: Any, *args: Any) -> dict[str, Any]:
        answers = {host_id: self._engine().send(self._numbers[host_id], function, self._id, *args)
                   for host_id in self._alive()}
        results = {}
        for host_id, answer in answers.items():
            try:
                results[host_id] = answer.get(30.0)
            except Exception as error:
                if host_id not in self.lost:
                    raise TestbedError(f"{host_id} does not answer: {error}") from error
        return results

    def _take_notes(self, host_id: str, notes: tuple[list[tuple], list[tuple]]) -> None:
        self.trace.add(*notes)
        with self._arrived:
            self._shipments[host_id] = self._shipments.get(host_id, 0) + 1
            self._arrived.notify_all()

    def _collect(self) -> None:
        """Have every host ship its notes."""
        if not self._stopping:
            self._home.flush()
            shipped = self._on_engines(remote.flush)
            with self._arrived:  # the notes travel on another road than the answer just received
                self._arrived.wait_for(
                    lambda: all(self._shipments.get(host_id, 0) >= count or host_id in self.lost
                                for host_id, count in shipped.items()), 10.0)

    def links(self) -> list[str]:
        """Which link each pair of hosts uses, and why it is no better one."""
        return why(self._links)

    # nodes

    def spawn(self, *patterns: str, on: int | str | None = None) -> Nodes:
        """Make nodes: ``spawn("server", "client{1..8}")``, spread over the engines or all on one.

        Nodes that exist already are left as they are. Returns all nodes named.
        """
        self._check_running()
        names = [name for pattern in patterns for name in expand(pattern)]
        hosts = self._hosts_for(on)
        new = [name for name in dict.fromkeys(names) if name not in self._places]
        if not patterns:
            raise TestbedError("name the nodes to spawn: spawn('server', 'client{1..8}')")
        places = {name: hosts[index % len(hosts)] for index, name in enumerate(new)}
        by_host: dict[str, list[str]] = {}
        for name, host_id in places.items():
            by_host.setdefault(host_id, []).append(name)
        answers = []
        for host_id, group in by_host.items():
            if host_id == NOTEBOOK:
                self._home.spawn(group)
            else:
                answers.append(self._engine().send(self._numbers[host_id], remote.spawn, self._id, group))
        for answer in answers:
            answer.get(60.0)
        if places:
            self._places.update(places)
            self._tell_places(places)
        return Nodes(self, dict.fromkeys(names))

    def _hosts_for(self, on: int | str | None) -> list[str]:
        alive = self._alive() or [NOTEBOOK]
        if on is None:
            return alive
        host_id = f"engine{on}" if isinstance(on, int) or str(on).isdigit() else str(on)
        if host_id not in (*alive, NOTEBOOK):
            raise TestbedError(f"no engine {on!r}; {did_you_mean(host_id, [*alive, NOTEBOOK])}")
        return [host_id]

    def select(self, pattern: Pattern | Nodes) -> Nodes:
        """The nodes that a pattern finds: ``select("client*")``."""
        self._check_running()
        return Nodes(self, match(pattern, self._places))

    def _check_running(self) -> None:
        if self._stopping:
            raise TestbedError("this testbed has stopped; make a new one with Testbed(...) or %rml start")

    @property
    def _actor(self) -> Actor:
        return self._home.actors[NOTEBOOK]

    # roles and relationships

    def assign(
        self, nodes: Pattern | Nodes, name: str, role: type[Role], *, options: Mapping[str, Any] | None = None,
        elements: Mapping[str, Any] | None = None,
    ) -> Nodes:
        """Put a role on nodes, with constructor `options` and `elements`; each may hold `Each` and `impl` values.

        Returns when every instance is ready. A role of that name on a node is replaced.
        """
        chosen = self.select(nodes)
        options, given = dict(options or {}), {standard_name(k): v for k, v in (elements or {}).items()}
        self._check_role(chosen, name, role, given)
        messages: dict[RoleInstanceID, Message] = {}
        plans = {}
        for index, node in enumerate(chosen):
            try:
                plan = ({k: resolve(v, index, len(chosen)) for k, v in options.items()},
                        {k: resolve(v, index, len(chosen)) for k, v in given.items()})
            except ValueError as error:
                raise TestbedError(f"assign {name}={role.__name__}: {error}") from None
            plans[node] = plan
            messages[RoleInstanceID(node, NATIVE)] = Message(
                {"name": name},
                {"cls": role, "options": plan[0],
                 "elements": {k: implementation(v) for k, v in plan[1].items()}})
        results = self._group("task", list(messages), "assign-role", messages)
        for target, result in results:
            if not isinstance(result, Exception):
                where = plans[target.actor_name]
                self._roles.setdefault(target.actor_name, {})[name] = {
                    "class": spec_of(role), "options": spec_of(where[0]), "elements": spec_of(where[1])}
        fold(results, f"assign {name}={role.__name__}")
        return chosen

    def _check_role(self, nodes: Nodes, name: str, role: Any, given: Mapping[str, Any]) -> None:
        if not (isinstance(role, type) and issubclass(role, Role)):
            raise TestbedError(f"assign takes a Role class, not {role!r}")
        for element in given:
            if element not in role.elements:
                raise TestbedError(f"{role.__name__} has no element {element!r}; {did_you_mean(element, role.elements)}")
        for element, attribute in role.elements.items():
            declared = getattr(role, attribute)
            if element not in given and not declared.optional and not declared.has_default:
                raise TestbedError(
                    f"{nodes.names[0]}/{name}: element {element!r} of {role.__name__} is not implemented; "
                    f"give it with elements={{{element!r}: …}} or --element {element}=…")

    def terminate(self, nodes: Pattern | Nodes, name: str) -> Nodes:
        """Take a role off nodes; its running handlers end first."""
        chosen = self.select(nodes)
        self._instances([f"{node}/{name}" for node in chosen])
        group = [RoleInstanceID(node, NATIVE) for node in chosen]
        results = self._group("task", group, "terminate-role", dict.fromkeys(group, Message({"name": name})))
        for target, result in results:
            if not isinstance(result, Exception):
                self._roles.get(target.actor_name, {}).pop(name, None)
        fold(results, f"terminate {name}")
        return chosen

    def relate(self, nodes: Pattern | Nodes, relationship: str, instances: Any, *, remove: bool = False) -> Nodes:
        """Add role instances to a relationship that nodes know: ``relate("server", "trainer", "client*/trainer")``.

        A pattern without ``/`` means the role named like the relationship. Those already there stay.
        """
        chosen = self.select(nodes)
        members = self._instances(instances, relationship)
        group = [RoleInstanceID(node, NATIVE) for node in chosen]
        message = Message({"relationship_name": relationship, "op": "remove" if remove else "add"},
                          {"instances": [tuple(item) for item in members]})
        results = self._group("service", group, "update-relationship", dict.fromkeys(group, message))
        for target, result in results:
            if not isinstance(result, Exception):
                known = self._relationships.setdefault(target.actor_name, {}).setdefault(relationship, [])
                named = [str(item) for item in members]
                known[:] = ([item for item in known if item not in named] if remove
                            else [*known, *(item for item in named if item not in known)])
        fold(results, f"relate {relationship}")
        return chosen

    def _instances(self, instances: Any, default: str = "") -> list[RoleInstanceID]:
        """Role instances of a pattern, or of several; TestbedError for a node or a role that is not there."""
        if isinstance(instances, (str, RoleInstanceID)):
            instances = [instances]
        found: dict[RoleInstanceID, None] = {}
        for item in instances:
            pattern = str(RoleInstanceID(*item)) if isinstance(item, tuple) else str(item)
            node_pattern, _, name = pattern.partition("/")
            for node in match(node_pattern, self._places):
                found[self._instance(node, name or default)] = None
        return list(found)

    def _instance(self, node: str, name: str) -> RoleInstanceID:
        known = self._roles.get(node, {})
        for spelling in (name, name.replace("-", "_"), name.replace("_", "-")):
            if spelling in known or spelling == NATIVE:
                return RoleInstanceID(node, spelling)
        raise TestbedError(f"node '{node}' has no role '{name}'; {did_you_mean(name, known)}")

    # calls

    def call(
        self, target: str | RoleInstanceID, channel: str, args: Mapping[str, Any] | None = None,
        payloads: Mapping[str, Any] | None = None, *, timeout: float | None = None,
    ) -> Any:
        """Call a service or a task and return its result; for a pattern, {node: result}.

        Raises what the handler raised (HandlerError with the remote traceback), NodeLost or CallTimeout. An interrupt
        ends the wait at once, and the testbed stays usable.
        """
        invocations = self._invoke(target, channel, args, payloads)
        results: list[tuple[RoleInstanceID, Any]] = []
        many = any(sign in str(target) for sign in "*?[{")
        try:
            for invocation in invocations:
                try:
                    results.append((invocation.target, invocation.result(timeout)))
                except CallTimeout:
                    raise
                except Exception as error:
                    if not many:
                        raise
                    results.append((invocation.target, error))
        finally:
            for invocation in invocations:
                invocation.forget()
        if not many:
            return results[0][1]
        fold(results, f"call {target} {channel}")
        return {instance.actor_name: result for instance, result in results}

    def call_task(
        self, target: str | RoleInstanceID, channel: str, args: Mapping[str, Any] | None = None,
        payloads: Mapping[str, Any] | None = None,
    ) -> Invocation:
        """Call a task (or a service) and go on; ask the invocation for its ``result(timeout=…)``."""
        invocations = self._invoke(target, channel, args, payloads)
        if len(invocations) != 1:
            raise TestbedError(f"{target!r} names {len(invocations)} roles; call_task takes one")
        return invocations[0]

    def _invoke(
        self, target: str | RoleInstanceID, channel: str, args: Mapping[str, Any] | None,
        payloads: Mapping[str, Any] | None,
    ) -> list[Invocation]:
        self._check_running()
        pattern = str(RoleInstanceID(*target)) if isinstance(target, tuple) else target
        if "/" not in pattern:
            raise TestbedError(f"{pattern!r} names no role; write node/role, as in 'server/coordinator'")
        group = self._instances(pattern)
        channel = standard_name(channel)
        kinds: dict[str, list[RoleInstanceID]] = {}
        for instance in group:
            kinds.setdefault(self._kind(instance, channel), []).append(instance)
        message = Message(dict(args or {}), dict(payloads or {}))
        made: dict[RoleInstanceID, Invocation] = {}
        for kind, members in kinds.items():
            calls = self._actor._group(kind, NATIVE, members, channel, [message] * len(members))
            made.update(zip(members, calls, strict=True))
        return [made[instance] for instance in group]

    def _kind(self, instance: RoleInstanceID, channel: str) -> str:
        services, tasks = self._channels(instance)
        if channel in tasks:
            return "task"
        if channel in services:
            return "service"
        raise TestbedError(f"{instance} has no channel '{channel}'; {did_you_mean(channel, [*services, *tasks])}")

    def _channels(self, instance: RoleInstanceID) -> tuple[list[str], list[str]]:
        known = self._roles.get(instance.actor_name, {}).get(instance.instance_name)
        if known is not None and "channels" in known:
            return known["channels"]
        channels = self._actor.call(NATIVE, RoleInstanceID(instance.actor_name, NATIVE), "get-channels",
                                    Message({"name": instance.instance_name}))
        if known is not None:
            known["channels"] = channels
        return channels

    def _group(
        self, kind: str, group: list[RoleInstanceID], channel: str, messages: Mapping[RoleInstanceID, Message]
    ) -> list[tuple[RoleInstanceID, Any]]:
        return self._actor.call_group(NATIVE, group, channel, message=Message(), message_map=messages,
                                      on_error=ErrorHandlingStrategy.KEEP, kind=kind)

    # looking

    def status(self) -> TestbedStatus:
        """How nodes and roles stand now."""
        self._check_running()
        names = sorted((name for name in self._places if name != NOTEBOOK or self._roles.get(NOTEBOOK)),
                       key=natural_key)
        group = [RoleInstanceID(name, NATIVE) for name in names]
        answers = self._group("service", group, "get-roles", dict.fromkeys(group, Message()))
        nodes = []
        for target, roles in answers:
            place = self._places[target.actor_name]
            number = self._numbers.get(place)
            shown = {"": ("lost", "")} if isinstance(roles, Exception) else {
                name: (cls, status.value) for name, (cls, status) in roles.items()}
            nodes.append(NodeStatus(target.actor_name, "notebook" if number is None else str(number), shown))
        return TestbedStatus(list(self._numbers), dict(self.lost), nodes)

    def spec(self) -> dict[str, Any]:
        """The whole deployment as plain data."""
        nodes = {}
        for name in sorted(self._places, key=natural_key):
            roles = {role: {k: v for k, v in given.items() if k != "channels"}
                     for role, given in self._roles.get(name, {}).items()}
            related = {k: list(v) for k, v in self._relationships.get(name, {}).items()}
            if name != NOTEBOOK or roles or related:
                nodes[name] = {"engine": self._places[name], "roles": roles, "relationships": related}
        return {"engines": len(self._numbers), "nodes": nodes}

    # the end

    def stop(self) -> None:
        """End nodes, links and engines; an embedded cluster ends with them. Idempotent."""
        if self._stopping:
            return
        home = getattr(self, "_home", None)
        if home is not None and hasattr(self, "trace"):
            try:
                self._collect()
            except Exception as error:  # stopping must go on; what is not collected is said
                home.logger.info("last notes not collected: %s", error)
        self._stopping = True
        if hasattr(self, "_relay"):
            self._relay.close()
        if self._engines is not None:
            for host_id in self._alive():
                try:
                    self._engines.run(self._numbers[host_id], remote.stop_host, self._id, timeout=5.0)
                except Exception as error:  # an engine that does not answer is ended with its cluster
                    self.errors.append(error)
        if home is not None:
            home.stop()
        if self._engines is not None:
            self._engines.stop()

    def __enter__(self) -> Testbed:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        if self._stopping:
            return "<Testbed: stopped>"
        where = f"{self.engines} engines" if self._engines else "in this process"
        return f"<Testbed: {where}, {len(self._places) - 1} nodes>"
