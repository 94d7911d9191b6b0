"""The host: the one object per process that holds its actors, links, threads and records."""

from __future__ import annotations

import logging
import pickle
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context
from typing import Any

from roleml_nb.actor import Actor, NativeRole
from roleml_nb.actor.replay import FailureStore
from roleml_nb.messaging.executions import Key, Working
from roleml_nb.messaging.links.control_channel import ControlChannel
from roleml_nb.messaging.links.relay import Outbox, RelayLink
from roleml_nb.messaging.links.transport import DirectTransport
from roleml_nb.messaging.router import Link, Pending, Router
from roleml_nb.role import (
    NATIVE,
    NOTEBOOK,
    ActorProfile,
    Contacts,
    Deadlock,
    LinkFailed,
    RoleInstanceID,
)
from roleml_nb.role.host import Waitable

from . import switch_interval
from .event_loop import EventLoop
from .link_manager import LinkManager
from .log_buffer import LogBuffer
from .stdio import split_output, unsplit_output
from .trace_buffer import TraceBuffer
from .workers import SystemClock, Workers, end_fork

__all__ = ["NOTEBOOK", "Host"]

TICK_S = 0.05
"""Seconds between two shipments of records: at most 20 a second."""
TICKS_PER_PULSE = 20
"""Ticks between two signs of life for the notebook."""
LONG_HANDLER_S = 1.0
"""Seconds at work from which on a handler is reported to the notebook, which looks for deadlocks.
"""
HEARTBEAT_INTERVAL_S = 20.0
"""Seconds between two heartbeats of each node's native role, where somebody listens to them."""


class Host:
    """Holds the actors of one process, and all that they share.

    `send_trace(messages, metrics, logs)` and `report_error(error)` hand records and errors to the
    notebook; messages come in batches of columns.
    """

    def __init__(
        self,
        host_id: str,
        label: str,
        *,
        call_timeout: float,
        workers: int = 4,
        directory: str | None = None,
        trace: bool = True,
        heartbeat: float = HEARTBEAT_INTERVAL_S,
    ):
        self._heartbeat = heartbeat
        self.host_id, self.label, self.call_timeout = host_id, label, call_timeout
        self._threads: list[threading.Thread] = []
        self._workers = Workers(host_id, workers)
        self._receiving = _Receiving()
        self.clock = SystemClock(self._workers)
        self.log_buffer = LogBuffer(self.clock.now)
        self.logger: logging.Logger = self.log_buffer.logger(host_id)
        self.directory = Contacts()
        self.trace_buffer = TraceBuffer(host_id, self.clock.now, self.log_buffer)
        self.record_metrics = self.trace_buffer.record_metrics
        self.shipments = 0
        """Shipments of records to the notebook so far."""
        self.traced = trace
        self.buffer_while_detached = False
        """True when records are kept while there is no notebook."""
        self.router = Router(
            self,
            self.directory,
            self.trace_buffer.record_message if trace else None,
            lambda session, reason: self.link_manager.link_failed(session, reason),
        )
        self.clock.executions = self.router.executions
        messages = self.router.host_messages
        messages.serve("deadlock", lambda peer, **cycle: self.break_deadlock(**cycle))
        messages.serve("bye", lambda peer: self.host_lost(peer, "it was stopped"))
        self.actors: dict[str, Actor] = {}
        self.failures = FailureStore(host_id)
        self.outbox = Outbox()
        self._stopping = threading.Event()
        self.control_handlers: dict[str, Callable[[ControlChannel, bytes], None]] = {}
        """Called, on a thread of its own, with each message of a peer on its control channel."""
        self.link_manager = LinkManager(self, self._stopping)
        """Makes the links to other hosts, fails over and back."""
        self.process_ended: Callable[[str], bool] = lambda peer: False
        """Returns True when a host's process has certainly ended; its link is not made again then.
        """
        self.on_host_lost: Callable[[str, str], None] = lambda peer, reason: None
        """Called when another host is lost."""
        self.on_link_changed: Callable[[str, str, str], None] = self._report_link
        """Called with peer, kind and reason when a link has changed."""
        self.relay: Callable[[str], Link] | None = lambda peer: RelayLink(
            self.host_id, peer, self.outbox.put
        )
        """Makes a relay link; None where none is wanted."""
        self.send_trace: Callable[[list[list[Sequence]], list[tuple], list[tuple]], None] = (
            self._send_trace_to_notebook
        )
        self.report_error: Callable[[Exception], None] = self._report_to_notebook
        self.transport: DirectTransport | None = None
        if directory is not None:
            self.transport = DirectTransport(
                host_id,
                deliver=self._deliver_direct,
                lost=self.link_manager.connection_ended,
                on_control_reply=messages.receive_packed,
                directory=directory,
                log=self.logger,
                submit=self._workers.submit,
                backlog=lambda: self._workers.backlog,
            )
            self._workers.receive = self._receive_answer
        self._event_loop = EventLoop(
            f"{host_id} event loop", self._workers.origin, self.run_in_background
        )
        split_output(self)
        self.run_in_background(self._tick, f"{host_id} clock")
        self.run_in_background(self._flush_links, f"{host_id} sender")

    # time and threads

    def run_in_background(self, work: Callable[[], Any], name: str = "") -> threading.Thread:
        def run() -> None:
            try:
                work()
            finally:
                end_fork(self._workers.origin)

        thread = threading.Thread(target=run, name=name or "background", daemon=True)
        self._threads = [item for item in self._threads if item.is_alive()]
        self._threads.append(thread)
        thread.start()
        return thread

    def check_cancelled(self) -> None:
        execution = self.router.executions.current
        if execution is not None and execution.forbidden is not None:
            raise execution.forbidden

    def submit(self, work: Callable[[], Any], *, queued: bool = False) -> None:
        works = self._receiving.works
        if works is None or queued:
            self._workers.submit(work, queued)
        else:
            works.append(work)

    @property
    def backlog(self) -> bool:
        return self._workers.backlog > 0

    def _receive_answer(self, call: Waitable, timeout: float | None) -> bool:
        """Have the thread that waits for a call to another host receive the answer; False where it
        must not, or need not.
        """
        if (
            self.transport is None
            or not isinstance(call, Pending)
            or call.host_id == self.host_id
            # where Ctrl-C could cut a message in two
            or threading.current_thread() is threading.main_thread()
        ):
            return False
        return self.transport.wait(call, timeout)

    def run_coroutine(self, coroutine: Coroutine[Any, Any, Any], context: Context) -> Future:
        """Run a coroutine in the event loop that all ``async def`` handlers of this host share."""
        return self._event_loop.run(coroutine, context)

    def _tick(self) -> None:
        ticks = 0
        next_heartbeat = self.clock.now() + self._heartbeat
        while not self._stopping.wait(TICK_S):
            ticks += 1
            switch_interval.request(
                self, switch_interval.interval_for(self.router.executions.busy())
            )
            self._workers.admit_when_stalled()
            self.flush()
            if self.clock.now() >= next_heartbeat:
                next_heartbeat += self._heartbeat
                for actor in list(self.actors.values()):
                    self.submit(actor.roles[NATIVE].pulse)  # type: ignore[attr-defined]
            for session in list(self.router.links.values()):
                session.acknowledge()
                session.probe(self.clock.now())
            if ticks % TICKS_PER_PULSE == 0 and self.host_id != NOTEBOOK:
                if self.buffer_while_detached and self.process_ended(NOTEBOOK):
                    self.host_lost(NOTEBOOK, "its process has ended")
                else:
                    # let the notebook hear from us
                    self.inform_notebook("pulse", rows=self.long_waits())
        switch_interval.request(self, None)

    def _flush_links(self) -> None:
        while not self._stopping.is_set():
            self.router.flush()

    def long_waits(self) -> list[Working]:
        """Return the handlers at work and the calls that wait here, if one has been at work for
        long; else none.
        """
        oldest = min(
            (each.arrived for each in list(self.router.executions.table.values())),
            default=self.clock.now(),
        )
        return self.router.working() if self.clock.now() - oldest > LONG_HANDLER_S else []

    def break_deadlock(
        self, calls: tuple[Key, ...], names: tuple[str, ...], stuck: tuple[Key, ...]
    ) -> None:
        """Break a deadlock: end its calls that wait here, and forbid the stuck handlers to call
        again.
        """
        error = Deadlock(f"{' → '.join(names)}: each waits for the next, and none can go on")
        self.router.executions.forbid(stuck, error)
        self.router.end_calls(
            (number for host_id, number in calls if host_id == self.host_id), error
        )

    # actors

    def spawn(self, names: list[str], context: Mapping[str, Any] | None = None) -> None:
        """Make actors, whose manager is the notebook's own actor.

        `context`: their workdir, src and seed.
        """
        for name in names:
            self.directory.add_contact(ActorProfile(name, self.host_id))
            actor = Actor(name, self, NativeRole(), **(context or {}))
            actor.ctx.relationships.add_to_relationship(
                "manager", RoleInstanceID(NOTEBOOK, "actor")
            )
            self.actors[name] = actor

    def update_directory(self, places: Mapping[str, str]) -> None:
        """Update the directory: {actor: host}."""
        for name, host_id in places.items():
            self.directory.add_contact(ActorProfile(name, host_id))

    def statuses(self) -> dict[str, dict[str, str]]:
        """Return the statuses of the roles here: {node: {role: status}}."""
        return {name: actor.roles.statuses() for name, actor in list(self.actors.items())}

    def remove(self, names: list[str]) -> None:
        """End the named actors that live here, and remove all of them from the directory."""
        for name in names:
            actor = self.actors.pop(name, None)
            if actor is not None:
                actor.stop()
            self.directory.remove_contact(name)
        for actor in list(self.actors.values()):
            actor.subscriptions.nodes_removed(set(names))

    # links

    def deliver(self, peer: str, frames: list[Any], link: str = "direct") -> None:
        self.router.deliver(peer, frames, link)

    def _deliver_direct(self, peer: str, frames: list[Any]) -> list[Callable[[], Any]]:
        """Deliver frames of a direct link; return the work that the receiving thread does next."""
        works = self._receiving.works = []
        try:
            self.router.deliver(peer, frames)
        except Exception:
            # one bad message must not cost those that came with it
            self.logger.exception("a message from %s was not delivered", peer)
        finally:
            self._receiving.works = None
        return works

    def _report_link(self, peer: str, kind: str, reason: str) -> None:
        self.logger.warning("link to %s: %s (%s)", peer, kind, reason)
        self.inform_notebook("link", peer_id=peer, kind=kind, reason=reason)

    def inform_notebook(self, name: str, **arguments: Any) -> None:
        """Send a message to the notebook's host, if there is a link to it."""
        try:
            self.router.host_messages.send(NOTEBOOK, name, **arguments)
        except LinkFailed as error:
            self.logger.info("the notebook was not told of %s: %s", name, error)

    def host_lost(self, host_id: str, reason: str) -> None:
        """Fail all calls that wait for a host that is gone."""
        if host_id not in self.router.lost:
            self.router.host_lost(host_id, reason)
            for actor in list(self.actors.values()):
                actor.migration.host_lost()
            self.on_host_lost(host_id, reason)

    # records for the notebook

    def logger_for(self, node: str, role: str) -> logging.Logger:
        """Return a logger whose lines are in the log of a role's node."""
        return self.log_buffer.logger(node, role)

    def flush(self, everything: bool = False) -> None:
        """Send all records so far to the notebook; `everything`: printed lines without an end, too.

        Records that another thread is about to send are sent when this returns.
        """
        with self.trace_buffer.draining:
            if self.buffer_while_detached and NOTEBOOK in self.router.lost:
                self.trace_buffer.keep()
                return
            shipment = self.trace_buffer.drain(everything)
            if any(shipment):
                with suppress(LinkFailed):  # the notebook is gone, and nobody reads them
                    self.send_trace(*shipment)

    def _send_trace_to_notebook(
        self, messages: list[list[Sequence]], metrics: list[tuple], logs: list[tuple]
    ) -> None:
        shipment = pickle.dumps(messages, 5), pickle.dumps((metrics, logs), 5)
        self.router.host_messages.send(NOTEBOOK, "trace", shipment=shipment)
        self.shipments += 1

    def report(self, error: Exception) -> None:
        """Report an error that nobody waits for to the notebook, and write it to the log of its
        node.
        """
        with suppress(LinkFailed):  # the notebook is gone, and nobody reads it
            self.report_error(error)
        where = getattr(error, "where", {})
        text = "\n".join([str(error), *getattr(error, "__notes__", [])])
        self.log_buffer.add_line(
            where.get("node", self.host_id), where.get("role", ""), "error", text
        )

    def _report_to_notebook(self, error: Exception) -> None:
        self.router.host_messages.send(NOTEBOOK, "error", error=error)

    def stop(self) -> None:
        """End actors, links and threads. Idempotent."""
        if self._stopping.is_set():
            return
        for actor in list(self.actors.values()):
            actor.stop()
        self.flush(everything=True)
        unsplit_output(self)
        self._stopping.set()
        self.router.flush_soon()  # so that its thread ends
        for peer, session in list(self.router.links.items()):
            if session.closed is None and session.link is not None:
                with suppress(LinkFailed):  # it may be gone by now
                    self.router.host_messages.send(peer, "bye")
            session.close("this host was stopped")
        if self.transport is not None:
            self.transport.close()
        self.log_buffer.close()
        self._workers.stop()
        self._event_loop.stop()
        current = threading.current_thread()
        for thread in self._threads:
            if thread is not current:
                thread.join(1.0)


class _Receiving(threading.local):
    """The work that a thread gathers while it delivers the messages of a link."""

    works: list[Callable[[], Any]] | None = None
