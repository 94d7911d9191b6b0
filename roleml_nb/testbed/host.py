"""The host: the one object per process that holds its actors, its links, its threads and its notes."""

from __future__ import annotations

import asyncio
import logging
import numbers
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextvars import Context
from functools import partial
from typing import Any

from roleml_nb.actor import Actor, NativeRole
from roleml_nb.messaging.addresses import Address
from roleml_nb.messaging.relay import Outbox, RelayLink
from roleml_nb.messaging.router import Router
from roleml_nb.messaging.transport import DirectTransport
from roleml_nb.role import NATIVE, ActorProfile, Contacts, LinkFailed, RoleInstanceID, RoleMLError

from .workers import SystemClock, Workers

__all__ = ["NOTEBOOK", "Host"]

NOTEBOOK = "notebook"
"""Name of the kernel's own actor, and of its host."""

TICK = 0.05
"""Seconds between two shipments of notes: at most 20 a second."""

HEARTBEAT = 20.0
"""Seconds between two heartbeats of each node's native role, where somebody listens to them."""


class Host:
    """Holds actors. `ship(messages, metrics)` and `tell(error)` take what the notebook is to know."""

    def __init__(
        self, host_id: str, label: str, *, call_timeout: float, workers: int = 4, directory: str | None = None,
        tcp: bool = False, lost: Callable[[str, str], None] | None = None,
        heartbeat: float = HEARTBEAT,
    ):
        self._heartbeat = heartbeat
        self.host_id, self.label, self.call_timeout = host_id, label, call_timeout
        self.logger = logging.getLogger(f"roleml_nb.host.{host_id}")
        self._threads: list[threading.Thread] = []
        self._workers = Workers(host_id, workers)
        self.clock = SystemClock(self._workers)
        self.directory = Contacts()
        self.router = Router(self, self.directory, self._note_message)
        self.actors: dict[str, Actor] = {}
        self.outbox = Outbox()
        self._messages: list[tuple] = []
        self._metrics: list[tuple] = []
        self._notes_lock = threading.Lock()
        self.shipped = 0
        """Shipments of notes to the notebook so far."""
        self._stopping = threading.Event()
        self._lost = lost or (lambda host_id, reason: None)
        self.ship: Callable[[list[tuple], list[tuple]], None] = self._ship_to_notebook
        self.tell: Callable[[Exception], None] = self._tell_notebook
        self.transport: DirectTransport | None = None
        if directory is not None:
            self.transport = DirectTransport(
                host_id, deliver=self._deliver, lost=self.host_lost, directory=directory, tcp=tcp,
                run_in_background=self.run_in_background)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_lock = threading.Lock()
        self.run_in_background(self._tick, f"{host_id} clock")

    # time and threads

    def run_in_background(self, work: Callable[[], Any], name: str = "") -> threading.Thread:
        thread = threading.Thread(target=work, name=name or "background", daemon=True)
        self._threads = [item for item in self._threads if item.is_alive()]
        self._threads.append(thread)
        thread.start()
        return thread

    def submit(self, work: Callable[[], Any], *, queued: bool = False) -> None:
        self._workers.submit(work, queued)

    def run_coroutine(self, coroutine: Coroutine[Any, Any, Any], context: Context) -> Future:
        """Run in the event loop that all ``async def`` handlers of this host share; it is started when first needed."""
        with self._loop_lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self.run_in_background(partial(_run_loop, self._loop), f"{self.host_id} event loop")
            loop = self._loop
        future: Future = Future()

        def start() -> None:
            task = loop.create_task(coroutine, context=context)
            task.add_done_callback(lambda task: _settle(task, future))

        loop.call_soon_threadsafe(start)
        return future

    def _tick(self) -> None:
        beat = self.clock.now() + self._heartbeat
        while not self._stopping.wait(TICK):
            self._workers.relieve()
            self.flush()
            if self.clock.now() >= beat:
                beat += self._heartbeat
                for actor in list(self.actors.values()):
                    actor.roles[NATIVE].pulse()  # type: ignore[attr-defined]

    # actors

    def spawn(self, names: list[str], context: Mapping[str, Any] | None = None) -> None:
        """Make actors; the notebook's own is their manager. `context`: their workdir, src and seed."""
        for name in names:
            self.directory.add_contact(ActorProfile(name, self.host_id))
            actor = Actor(name, self, NativeRole(), **(context or {}))
            actor.ctx.relationships.add_to_relationship("manager", RoleInstanceID(NOTEBOOK, "actor"))
            self.actors[name] = actor

    def learn(self, places: Mapping[str, str]) -> None:
        """Take note of where other actors live: {actor: host}."""
        for name, host_id in places.items():
            self.directory.add_contact(ActorProfile(name, host_id))

    # links

    def connect(self, address: Address, token: bytes, accept: bytes, links: tuple[str, ...]) -> tuple[str, str]:
        """Link to a peer over the best of `links` that works; returns the link's kind, and why it is no better."""
        why = "as asked"
        if "direct" in links and self.transport is not None:
            self.transport.admit(address.host_id, accept)
            try:
                self.router.links[address.host_id] = self.transport.connect(address, token)
                return "direct", ""
            except LinkFailed as error:
                why = str(error)
        if "relay" not in links:
            raise LinkFailed(why)
        self.router.links[address.host_id] = RelayLink(self.host_id, address.host_id, self.outbox.put)
        return "relay", why

    def _deliver(self, peer: str, frames: list[Any], link: str = "direct") -> None:
        try:
            self.router.deliver(peer, frames, link)
        except RoleMLError as error:
            self.logger.warning("%s", error)

    deliver = _deliver

    def host_lost(self, host_id: str, reason: str) -> None:
        self.router.host_lost(host_id, reason)
        self._lost(host_id, reason)

    # notes for the notebook

    def _note_message(self, note: tuple) -> None:
        with self._notes_lock:
            self._messages.append(note)

    def note_metrics(self, source: RoleInstanceID, channel: str, args: Mapping[str, Any], step: int) -> None:
        """Numbers in an event's args are metrics."""
        now = self.clock.now()
        notes = [
            (now, source.actor_name, source.instance_name, channel, name, float(value), step)
            for name, value in args.items()
            if isinstance(value, numbers.Real) and not isinstance(value, bool)
        ]
        if notes:
            with self._notes_lock:
                self._metrics.extend(notes)

    def flush(self) -> None:
        """Ship all notes so far."""
        with self._notes_lock:
            messages, self._messages = self._messages, []
            metrics, self._metrics = self._metrics, []
        if messages or metrics:
            try:
                self.ship(messages, metrics)
            except LinkFailed as error:
                self.logger.info("notes lost: %s", error)

    def _ship_to_notebook(self, messages: list[tuple], metrics: list[tuple]) -> None:
        self.router.control(NOTEBOOK, "trace", (messages, metrics))
        self.shipped += 1

    def report(self, error: Exception) -> None:
        """Tell the notebook of an error that nobody waits for."""
        self.logger.error("%s", error)
        try:
            self.tell(error)
        except LinkFailed as fault:
            self.logger.error("could not be told: %s", fault)

    def _tell_notebook(self, error: Exception) -> None:
        self.router.control(NOTEBOOK, "error", error)

    def stop(self) -> None:
        """End actors, links and threads. Idempotent."""
        if self._stopping.is_set():
            return
        for actor in list(self.actors.values()):
            actor.stop()
        self.flush()
        self._stopping.set()
        for link in list(self.router.links.values()):
            link.close()
        if self.transport is not None:
            self.transport.close()
        self._workers.stop()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
        current = threading.current_thread()
        for thread in self._threads:
            if thread is not current:
                thread.join(1.0)


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Until the loop is stopped; handlers that are still in it are cancelled then."""
    try:
        loop.run_forever()
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()


def _settle(task: asyncio.Task, future: Future) -> None:
    """Give the outcome of `task` to `future`."""
    if task.cancelled():
        future.set_exception(RuntimeError("the handler was cancelled"))
    elif (error := task.exception()) is not None:
        future.set_exception(error)
    else:
        future.set_result(task.result())
