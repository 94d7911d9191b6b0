"""The fleet: the hosts of a testbed, one in the notebook's kernel and one per engine; who is alive,
and how they are linked.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from roleml_nb.host import engine as remote
from roleml_nb.host.host import Host
from roleml_nb.host.process import Process
from roleml_nb.host.stop import Stopped
from roleml_nb.messaging.executions import Working
from roleml_nb.messaging.links.relay import Relay, Relayed
from roleml_nb.role import NOTEBOOK, LinkFailed, NodeLost, TestbedError, did_you_mean
from roleml_nb.role.forks import Origin
from roleml_nb.testbed.cluster.failure_detector import RESPAWN
from roleml_nb.testbed.cluster.orders import Orders
from roleml_nb.testbed.cluster.stop import RunStopper
from roleml_nb.trace import Trace
from roleml_nb.trace.errors import Errors

from . import startup
from .deadlock_detector import DeadlockDetector
from .deadlocks import describe
from .engines import Engines
from .failure_detector import UNREACHED_S, FailureDetector
from .handshake import Made, link_all, relink_notebook
from .preflight import explain, is_raw
from .runtime_files import RuntimeFile
from .trace_records import read_messages, read_metrics_and_logs

__all__ = ["Fleet"]

MAX_WORKERS = 4
"""Tasks at the same time on a host that has so many cores."""
POLL_INTERVAL_S = 0.25
"""Seconds between two looks at whether all engines are there."""
MAX_UNREAD_BYTES = 4_000_000
"""Bytes of notes that may wait for somebody who looks; beyond that they go into the trace, which
has a limit.
"""
SILENCE_LIMIT_S = 2.0
"""Seconds without a sign of life over a direct link after which an engine is asked through
ipyparallel, too.
"""


class Fleet:
    """Hosts, started and linked. See `Testbed` for the parameters.

    Parameters
    ----------
    testbed_id
        Name of the testbed, unique: what is started for it carries this testbed_id.
    joins
        What to join instead of starting engines: `cluster`, `profile` or `cluster_id`; empty for
        engines of our own.
    detached
        Whether our own engines outlive this process.
    runtime_file
        Of a detached fleet that another process has left: its hosts are linked with this one, and
        none is started.
    """

    def __init__(
        self,
        testbed_id: str,
        engines: int,
        joins: Mapping[str, Any],
        *,
        timeout: float,
        workers: int | None,
        threads: int | None,
        links: tuple[str, ...],
        preload: tuple[str, ...],
        seed: int,
        trace: bool,
        pin: bool = False,
        detached: bool = False,
        runtime_file: RuntimeFile | None = None,
        start_timeout: float = 60.0,
    ):
        self.testbed_id, self.pinned, self.seed = testbed_id, pin, seed
        self.origin = Origin()
        self.numbers: dict[str, int] = {}
        """Engines that were started or joined: {host: ipyparallel's number}."""
        self.lost: dict[str, str] = {}
        self.links: Made = {}
        self.stopping = False
        self._shipments: dict[str, int] = {}
        self._messages: list[tuple[str, bytes]] = []
        self._metrics_and_logs: list[tuple[str, bytes]] = []
        """Unread, with the hosts that they are from."""
        self._unreadable: set[str] = set()
        """Hosts that have sent notes which are none."""
        self._unread = 0
        """Bytes of notes that have arrived and were not added to the trace yet."""
        self._arrived = threading.Condition()
        self._processes: dict[str, Process] = {}
        self._last_pulses: dict[str, float] = {}
        self._waits: dict[str, list[Working]] = {}
        self._relay: Relay | None = None
        self._home: Host | None = None
        self.engines: Engines | None = None
        try:
            if engines or joins:
                self.engines = Engines(
                    engines,
                    testbed_id,
                    **joins,
                    detached=detached,
                    runtime_file=runtime_file,
                    timeout=start_timeout,
                )
            self.home = self._home = Host(
                NOTEBOOK,
                "the notebook",
                call_timeout=timeout,
                workers=workers or MAX_WORKERS,
                directory=self.engines.directory if self.engines else None,
                trace=trace,
            )
            self.errors = Errors(self.home.clock.now)
            self.home.report_error = self.errors.append
            self.trace = Trace(
                self.home.clock.now(),
                refresh=self.flush_hosts,
                poll=self.refresh,
                now=self.home.clock.now,
            )
            self.home.send_trace = self._add
            self._run_stopper = RunStopper(self)
            self._orders = Orders(self.home)
            self._detector = FailureDetector(self)
            self.home.router.from_lost = self._detector.remind
            self.home.router.host_handlers["trace"] = self._on_trace_records
            self.home.router.host_handlers["error"] = self._on_error
            self.home.router.host_handlers["pulse"] = self._on_pulse
            self.home.router.host_handlers["link"] = lambda peer, news: self._on_link_changed(
                peer, *news
            )
            self.home.spawn([NOTEBOOK], {"seed": seed, "testbed_seed": seed})
            if self.engines is not None:
                self._serve_relay("relay" in links)
                if runtime_file is None:
                    self._start_hosts(
                        self.engines, timeout, workers, threads, links, preload, pin=pin
                    )
                else:
                    self._find_hosts(self.engines, runtime_file, links)
                self.update_directory({NOTEBOOK: NOTEBOOK})
            self.home.run_in_background(self._watch, "watch")
        except BaseException as error:
            if runtime_file is None:
                self.stop()
            else:
                self.detach()
            if is_raw(error):
                raise TestbedError(f"the testbed did not start: {explain(error)}") from error
            raise

    def _serve_relay(self, wanted: bool) -> None:
        home = self.home
        self._relay = Relay(
            NOTEBOOK, self._exchange, home.deliver, self._on_unreached, home.run_in_background
        )
        home.relay = self._relay.link if wanted else None
        home.process_ended = lambda host_id: (
            host_id in self._processes and self._processes[host_id].ended
        )
        home.on_host_lost = self._on_host_lost
        home.on_link_changed = lambda peer, kind, reason: self._on_link_changed(
            NOTEBOOK, peer, kind, reason
        )

    def _find_hosts(
        self, engines: Engines, runtime_file: RuntimeFile, links: tuple[str, ...]
    ) -> None:
        # answers to calls of the process before, on this same machine, are none to ours
        self.home.router.count_from(time.monotonic_ns() // 1000)
        self.numbers.update(runtime_file.attach_info["numbers"])
        there = set(engines.client.ids)
        for host_id in [host_id for host_id, number in self.numbers.items() if number not in there]:
            self.lost[host_id] = "it ended while no notebook was there"
        self.links, self._processes = relink_notebook(
            self.testbed_id,
            self.home,
            engines,
            {name: self.numbers[name] for name in self.alive},
            links,
            Process.here(),
        )
        generation = max(self.run_on_all(remote.run_generation).values(), default=0)
        self.run_on_all(remote.run_generation, generation)
        self.home.router.run_generation = generation
        startup.joined(self)
        runtime_file.owner = Process.here()
        runtime_file.write()

    def _start_hosts(
        self,
        engines: Engines,
        timeout: float,
        workers: int | None,
        threads: int | None,
        links: tuple[str, ...],
        preload: tuple[str, ...],
        *,
        pin: bool,
    ) -> None:
        cores = 1 if pin else max(1, (os.cpu_count() or 1) // len(engines.ids))
        each, at_once = threads or cores, workers or min(MAX_WORKERS, cores)
        started = {
            number: engines.send(
                number,
                remote.start_host,
                self.testbed_id,
                f"engine{number}",
                f"engine {number}",
                directory=engines.directory,
                call_timeout=timeout,
                threads=each,
                workers=at_once,
                owned=engines.owned,
                owner=Process.here(),
                preload=preload,
                trace=self.home.traced,
                relay="relay" in links,
                stays=engines.detached,
                core=number if pin else None,
            )
            for number in engines.ids
        }
        addresses = {}
        for number, answer in started.items():
            addresses[number], self._processes[f"engine{number}"] = answer.get(60.0)
            self.numbers[f"engine{number}"] = number
        startup.joined(self)
        self.links = link_all(self.testbed_id, self.home, engines, addresses, links)
        for ends, (kind, _) in self.links.items():
            if kind == "relay":
                self._serve(*ends)

    # who is there

    @property
    def alive(self) -> list[str]:
        """The engines' hosts that were not lost."""
        return [host_id for host_id in self.numbers if host_id not in self.lost]

    def hosts_for(self, on: int | str | None) -> list[str]:
        """Return the hosts that new nodes go to: all engines, or the one named; TestbedError when
        it is not there.
        """
        alive = self.alive or [NOTEBOOK]
        if on is None:
            return alive
        host_id = f"engine{on}" if isinstance(on, int) or str(on).isdigit() else str(on)
        if host_id not in (*alive, NOTEBOOK):
            raise TestbedError(f"no engine {on!r}; {did_you_mean(host_id, [*alive, NOTEBOOK])}")
        return [host_id]

    def _watch(self) -> None:
        """Notice engines that end or fall silent, and calls that wait for each other."""
        clock = self.home.clock
        self._last_pulses = dict.fromkeys(self.numbers, clock.now())
        checked, deadlocks = clock.now(), DeadlockDetector(self)
        if self.engines is not None:
            self.engines.find_controller()
        while not self.stopping:
            clock.sleep(POLL_INTERVAL_S)
            for text in self.engines.controller.new_failures() if self.engines is not None else ():
                self.errors.append(TestbedError(text))
            self._check_engines(clock.now())
            if self._unread > MAX_UNREAD_BYTES:
                self.drain()
            if clock.now() - checked > SILENCE_LIMIT_S / 2:
                checked = clock.now()
                waits = {host_id: self._waits.get(host_id, []) for host_id in self.alive}
                deadlocks.check(
                    checked, {**waits, NOTEBOOK: self.home.long_waits()}, self._last_pulses
                )

    def _check_engines(self, now: float) -> None:
        reachable = self.engines.reached() if self.engines else set()
        self._detector.check(now, reachable)
        for host_id in self.alive:
            if self.numbers[host_id] not in reachable:
                continue
            # a turn of the relay may have failed
            relayed = any(
                host_id in ends and kind == "relay" for ends, (kind, _) in list(self.links.items())
            )
            if relayed or self._detector.silence(host_id) > SILENCE_LIMIT_S:
                self._serve(host_id)
            else:
                self._relay.release(host_id)  # type: ignore[union-attr]

    def waiting(self) -> list[str]:
        """Return a line for each call that waits."""
        return describe(self.at_work()[0])

    def at_work(self) -> tuple[list[Working], dict[str, dict[str, str]]]:
        """Return the handlers at work, the calls that wait, and the status of all roles: {node:
        {role: status}}.
        """
        rows, roles = self.home.router.working(), self.home.statuses()
        for host_id, answer in [
            (host_id, self.send(host_id, remote.at_work)) for host_id in self.alive
        ]:
            try:
                there = answer.get(SILENCE_LIMIT_S)
            # an engine that is too busy to say shows by what waits for it elsewhere
            except Exception as error:
                self.home.logger.info("%s does not say who waits there: %s", host_id, error)
            else:
                rows += there[0]
                roles.update(there[1])
        return rows, roles

    def _on_pulse(self, host_id: str, rows: list[Working]) -> None:
        if not isinstance(rows, list) or not all(isinstance(row, Working) for row in rows):
            raise TypeError(f"{host_id} sent a pulse that is none: {rows!r:.80}")
        self._last_pulses[host_id], self._waits[host_id] = self.home.clock.now(), rows
        self._detector.reset_silence(host_id)

    def _on_link_changed(self, host_id: str, peer: str, kind: str, reason: str) -> None:
        """Record that a link has changed."""
        if kind not in ("direct", "relay") or peer not in (NOTEBOOK, *self.numbers):
            raise ValueError(f"{host_id} has no link {kind!r} to {peer!r}")
        if host_id in self.lost or peer in self.lost:
            return
        self.links[host_id, peer] = kind, reason
        self.home.logger.warning("link %s → %s: %s (%s)", host_id, peer, kind, reason)
        if kind == "relay":
            self._serve(host_id, peer)

    def _serve(self, *hosts: str) -> None:
        for host_id in hosts:
            if host_id != NOTEBOOK and self._relay is not None:
                self._relay.serve(host_id)

    def _on_unreached(self, host_id: str, reason: str) -> None:
        """Log that the relay does not reach an engine; it is served again while that may help."""
        self.home.logger.info("%s: %s", host_id, reason)

    def _on_host_lost(self, host_id: str, reason: str) -> None:
        self._orders.fail(host_id, reason, stopped=self.stopping)
        if self.stopping or host_id in self.lost:
            return
        self.lost[host_id] = reason
        self.errors.append(NodeLost(f"{host_id} is lost: {reason}; {RESPAWN}"))
        for ends in [ends for ends in list(self.links) if host_id in ends]:
            self.links[ends] = "none", f"{host_id} is lost: {reason}"
        for other in self.alive:
            try:
                self.home.router.send_to_host(other, "lost", (host_id, reason))
            except LinkFailed as error:
                self.home.logger.info("%s was not told: %s", other, error)

    # telling them

    def send(self, host_id: str, function: Any, *args: Any) -> Any:
        """Run one of the functions of `engine` for this testbed; ask the result for its
        ``get(timeout)``.
        """
        if self.engines is None:
            raise TestbedError("this testbed has no engines")
        if self.numbers[host_id] not in self.engines.reached():
            try:
                return self._orders.send(host_id, function, self.testbed_id, *args)
            except LinkFailed as error:
                raise TestbedError(f"{host_id} cannot be told anything: {error}") from None
        return self.engines.send(self.numbers[host_id], function, self.testbed_id, *args)

    def run(self, host_id: str, function: Any, *args: Any, timeout: float = 60.0) -> Any:
        return self.send(host_id, function, *args).get(timeout)

    def run_on_all(self, function: Any, *args: Any) -> dict[str, Any]:
        """Run it on all engines at the same time: {host: result}.

        What is lost meanwhile is left out.
        """
        answers = {host_id: self.send(host_id, function, *args) for host_id in self.alive}
        results = {}
        for host_id, answer in answers.items():
            try:
                results[host_id] = answer.get(30.0)
            except Exception as error:
                if host_id not in self.lost:
                    raise TestbedError(f"{host_id} does not answer: {error}") from error
        return results

    def on_hosts(self, function: Any, *args: Any) -> dict[str, Any]:
        """Run ``function(host, *args)`` on all hosts, the notebook's too: {host: result}."""
        return {
            NOTEBOOK: function(self.home, *args),
            **self.run_on_all(remote.on_host, function, *args),
        }

    def spawn(self, names: Mapping[str, str], context: Mapping[str, Any] | None = None) -> None:
        """Make actors: {name: host}.

        Returns when every host knows where they live. `context`: workdir, src and seed.
        """
        context = {**(context or {}), "testbed_seed": self.seed}
        by_host: dict[str, list[str]] = {}
        for name, host_id in names.items():
            by_host.setdefault(host_id, []).append(name)
        self.home.spawn(by_host.pop(NOTEBOOK, []), context)
        for answer in [
            self.send(host_id, remote.spawn, group, context) for host_id, group in by_host.items()
        ]:
            answer.get(60.0)
        self.update_directory(names)

    def remove(self, names: Iterable[str]) -> None:
        """Take actors away from where they live, and every host forgets them."""
        gone = list(names)
        self.home.remove(gone)
        self.run_on_all(remote.remove, gone)

    def update_directory(self, places: Mapping[str, str]) -> None:
        """Let every host know where actors live: {actor: host}."""
        self.home.update_directory(places)
        self.run_on_all(remote.update_directory, dict(places))

    def _exchange(self, host_id: str, incoming: list[Relayed], wait: float) -> list[Relayed]:
        fetched = self.engines.run(  # type: ignore[union-attr]
            self.numbers[host_id],
            remote.exchange,
            self.testbed_id,
            incoming,
            wait,
            timeout=UNREACHED_S,
        )
        self._detector.reset_silence(host_id)
        return fetched

    # the end of what they do

    def stop_run(self) -> Stopped:
        """End what handlers do, on all hosts. An engine that does not answer is killed."""
        return self._run_stopper.stop()

    def last_pulse(self, host_id: str) -> float:
        """Return the time of an engine's last pulse."""
        return self._last_pulses.get(host_id, 0.0)

    def handlers(self, host_id: str) -> int:
        """Return the number of handlers at work on an engine, as far as the notebook knows."""
        busy = sum(not row.call for row in self._waits.get(host_id, ()))
        return max(busy, sum(call.host_id == host_id for call in self.home.router.pending()))

    def process(self, host_id: str) -> Process:
        """Return the process of an engine."""
        return self._processes[host_id]

    def order_end(self, host_id: str) -> None:
        """Have an engine of somebody else's cluster end its host, when it comes to it; it stays
        there for others.
        """
        assert self.engines is not None
        self.engines.send(self.numbers[host_id], remote.end_given_up, self.testbed_id, False)

    def kill(self, host_id: str) -> None:
        """End an engine that does not answer."""
        self.home.logger.warning("%s does not answer and is killed", host_id)
        self.home.host_lost(host_id, "it did not answer when the run was stopped, and was killed")
        self.signal(host_id, "SIGKILL")

    def signal(self, host_id: str, name: str) -> None:
        """Send a signal to an engine's process, on whichever machine; on another one, ipyparallel
        has it sent.
        """
        process = self._processes[host_id]
        if process.machine != Process.here().machine:
            assert self.engines is not None
            self.engines.client.send_signal(name, targets=self.numbers[host_id], block=False)
        elif not process.ended:
            os.kill(process.pid, getattr(signal, name))

    # their notes

    def _on_error(self, host_id: str, error: Exception) -> None:
        if not isinstance(error, Exception):
            raise TypeError(f"{host_id} reported {error!r}, which is no exception")
        self.errors.append(error)

    def _on_trace_records(self, host_id: str, pickled: tuple[bytes, bytes]) -> None:
        """Keep them as they come: they are unpickled when somebody looks, not while messages
        fly.
        """
        with self._arrived:
            match pickled:
                case bytes() as messages, bytes() as notes:
                    self._messages.append((host_id, messages))
                    self._metrics_and_logs.append((host_id, notes))
                    self._unread += len(messages) + len(notes)
                case _:  # counted as a shipment all the same, so that nobody waits for it
                    self._drop(
                        host_id,
                        TypeError(f"two pickles are expected, not {type(pickled).__name__}"),
                    )
            self._shipments[host_id] = self._shipments.get(host_id, 0) + 1
            self._arrived.notify_all()

    def _await_shipments(self, shipped: Mapping[str, int], limit: float) -> None:
        """Await shipments of trace records, which take another way than the answer that counts
        them.
        """
        with self._arrived:
            self._arrived.wait_for(
                lambda: all(
                    self._shipments.get(host_id, 0) >= count or host_id in self.lost
                    for host_id, count in shipped.items()
                ),
                limit,
            )

    def _add(
        self, messages: list[list[Sequence]], metrics: list[tuple], logs: list[tuple] | None = None
    ) -> None:
        self.trace.add_columns(messages, metrics, logs)

    def drain_metrics(self) -> None:
        """Add to the trace what metrics and logs have arrived; costs little, and waits for
        nobody.
        """
        with self._arrived:
            arrived, self._metrics_and_logs = self._metrics_and_logs, []
        for metrics, logs in self._readable(arrived, read_metrics_and_logs):
            self.trace.add([], metrics, logs)

    def _readable(
        self, arrived: list[tuple[str, bytes]], read: Callable[[bytes], Any]
    ) -> Iterable[Any]:
        for host_id, pickled in arrived:
            try:
                content = read(pickled)
            except Exception as error:  # whatever junk raises: what others have sent is added
                self._drop(host_id, error)
            else:
                yield content

    def _drop(self, host_id: str, error: Exception) -> None:
        """Log once for each host that its notes cannot be read."""
        if host_id not in self._unreadable:
            self._unreadable.add(host_id)
            self.home.logger.warning(
                "what %s sends for the trace cannot be read and is dropped: %s: %s",
                host_id,
                type(error).__name__,
                error,
            )

    def flush_hosts(self) -> None:
        """Have every host ship its notes."""
        if not self.stopping:
            self.home.flush()
            shipped = self.run_on_all(remote.flush)
            self._await_shipments(shipped, 10.0)
        self.drain()

    def refresh(self) -> None:
        """Add to the trace what the notebook's own host has noted, and all that has arrived."""
        if not self.stopping:
            self.home.flush()
        self.drain()

    def drain(self) -> None:
        """Add to the trace all that has arrived; waits for nobody."""
        with self._arrived:
            arrived, self._messages, self._unread = self._messages, [], 0
        for messages in self._readable(arrived, read_messages):
            self._add(messages, [])
        self.drain_metrics()

    # the end

    def detach(self) -> None:
        """End this side alone: the engines go on without it."""
        self.stopping = True
        if self._relay is not None:
            self._relay.close()
        if self._home is not None:
            self._home.stop()
        if self.engines is not None:
            self.engines.detach()

    def stop(self) -> None:
        """End links, hosts and engines; an embedded cluster ends with them. Idempotent."""
        if self.stopping or self.origin.in_fork:
            return
        if self._home is not None and hasattr(self, "trace"):
            try:
                self.flush_hosts()
            except Exception as error:  # stopping must go on; what is not collected is said
                self._home.logger.info("last notes not collected: %s", error)
        self.stopping = True
        if self._relay is not None:
            self._relay.close()
        if self.engines is not None:
            asked = {}
            for host_id in self.alive:
                try:
                    asked[host_id] = self.send(host_id, remote.stop_host)
                except TestbedError as error:
                    self.errors.append(error)
            for host_id, answer in asked.items():
                try:
                    self._await_shipments({host_id: answer.get(5.0) or 0}, 1.0)
                # an engine that does not answer is ended with its cluster
                except Exception as error:
                    self.errors.append(error)
        if self._home is not None:
            self._home.stop()
        if self.engines is not None:
            self.engines.stop()
