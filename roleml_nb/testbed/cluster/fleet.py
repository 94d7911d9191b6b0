"""The fleet: the hosts of a testbed, one in the notebook's kernel and one in each engine."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Mapping
from typing import Any

from roleml_nb.host import engine as remote
from roleml_nb.host.host import Host
from roleml_nb.host.process import Process
from roleml_nb.host.stop import Stopped
from roleml_nb.messaging.executions import Working
from roleml_nb.role import NOTEBOOK, LinkFailed, NodeLost, TestbedError, did_you_mean
from roleml_nb.role.forks import Origin
from roleml_nb.trace import Trace
from roleml_nb.trace.errors import Errors

from . import startup
from .deadlock_detector import DeadlockDetector
from .deadlocks import describe
from .engines import Engines
from .failure_detector import RESPAWN, FailureDetector
from .handshake import Made, link_all, relink_notebook
from .host_start import MAX_WORKERS, HostOptions, start_hosts
from .link_monitor import SILENCE_LIMIT_S, LinkMonitor
from .preflight import explain, is_raw
from .runtime_files import RuntimeFile
from .shipments import Shipments
from .stop import RunStopper

__all__ = ["Fleet"]

POLL_INTERVAL_S = 0.25
"""Seconds between two checks for engines that are missing."""
MAX_UNREAD_BYTES = 4_000_000
"""Bytes of records that may wait for somebody who looks; beyond that they go into the trace, which
has a limit.
"""


class Fleet:
    """Hosts, started and linked. See `Testbed` for the parameters.

    Parameters
    ----------
    testbed_id
        Name of the testbed, unique: all processes that are started for it carry it.
    joins
        The cluster to join instead of starting engines: `cluster`, `profile` or `cluster_id`; empty
        for engines of our own.
    detached
        True when our own engines outlive this process.
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
        self._processes: dict[str, Process] = {}
        self._last_pulses: dict[str, float] = {}
        self._waits: dict[str, list[Working]] = {}
        self._link_monitor: LinkMonitor | None = None
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
                self.home.clock.now(), self.flush_hosts, self.refresh, self.home.clock.now
            )
            self.home.send_trace = self.trace.add_columns
            self.shipments = Shipments(self.home, self.trace, self.lost)
            self._run_stopper = RunStopper(self)
            self._detector = FailureDetector(self)
            self.home.router.from_lost = self._detector.remind
            self._messages = self.home.router.host_messages
            self._messages.serve("trace", self.shipments.receive)
            self._messages.serve("error", self._on_error)
            self._messages.serve("pulse", self._on_pulse)
            self.home.spawn([NOTEBOOK], {"seed": seed, "testbed_seed": seed})
            if self.engines is not None:
                self._link_monitor = LinkMonitor(self, self._detector, relayed="relay" in links)
                self.home.process_ended = self._process_ended
                self.home.on_host_lost = self._on_host_lost
                if runtime_file is None:
                    options = HostOptions(timeout, workers, threads, links, preload, trace, pin)
                    self._start_hosts(self.engines, options)
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

    def _start_hosts(self, engines: Engines, options: HostOptions) -> None:
        addresses = {}
        for number, (address, process) in start_hosts(self.testbed_id, engines, options).items():
            addresses[number] = address
            self._processes[f"engine{number}"] = process
            self.numbers[f"engine{number}"] = number
        startup.joined(self)
        self.links = link_all(self.home, engines, addresses, options.links)
        for ends, (kind, _) in self.links.items():
            if kind == "relay" and self._link_monitor is not None:
                self._link_monitor.serve(*ends)

    def _find_hosts(
        self, engines: Engines, runtime_file: RuntimeFile, links: tuple[str, ...]
    ) -> None:
        # answers to calls of the process before, on this same machine, are none to ours
        self.home.router.count_from(time.monotonic_ns() // 1000)
        self.numbers.update(runtime_file.attach_info["numbers"])
        present, numbers = set(engines.client.ids), {}
        for host_id, number in self.numbers.items():
            if number in present:
                numbers[host_id] = number
            else:
                self.lost[host_id] = "it ended while no notebook was there"
        self.links, self._processes = relink_notebook(
            self.home, engines, numbers, links, Process.here()
        )
        generation = max(self.run_on_all(remote.run_generation).values(), default=0)
        self.run_on_all(remote.run_generation, generation)
        self.home.router.run_generation = generation
        startup.joined(self)
        runtime_file.owner = Process.here()
        runtime_file.write()

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
            if self.shipments.unread > MAX_UNREAD_BYTES:
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
        if self._link_monitor is not None:
            self._link_monitor.check(reachable)

    def waiting(self) -> list[str]:
        """Return a line for each call that waits."""
        return describe(self.at_work()[0])

    def at_work(self) -> tuple[list[Working], dict[str, dict[str, str]]]:
        """Return the handlers at work, the calls that wait, and the status of all roles: {node:
        {role: status}}.
        """
        rows, roles = remote.at_work(self.home)
        for host_id, answer in self._send_to_all(remote.at_work).items():
            try:
                there = answer.result(SILENCE_LIMIT_S)
            # an engine that is too busy to answer is known by calls that wait for it elsewhere
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

    def _process_ended(self, host_id: str) -> bool:
        return host_id in self._processes and self._processes[host_id].ended

    def _on_host_lost(self, host_id: str, reason: str) -> None:
        if self.stopping or host_id in self.lost:
            self._messages.end(host_id, None)  # that it stops was the last that it was told
            return
        self.lost[host_id] = reason
        self._messages.end(host_id, TestbedError(f"{host_id} is lost: {reason}"))
        self.errors.append(NodeLost(f"{host_id} is lost: {reason}; {RESPAWN}"))
        if self._link_monitor is not None:
            self._link_monitor.record_lost(host_id, reason)
        for other in self.alive:
            try:
                self._messages.send(other, "lost", host_id=host_id, reason=reason)
            except LinkFailed as error:
                self.home.logger.info("%s was not told: %s", other, error)

    # steering them

    def send(self, host_id: str, function: Any, *args: Any) -> Any:
        """Run ``function(host, *args)`` on an engine; ask the answer for its ``result(timeout)``.

        It goes over the link when ipyparallel has given the engine up, and it lives.
        """
        if self.engines is None:
            raise TestbedError("this testbed has no engines")
        if self.numbers[host_id] not in self.engines.reached():
            try:
                if self.home.router.session(host_id).kind != "direct":
                    raise LinkFailed(
                        "ipyparallel has given it up, and there is no direct link to it"
                    )
                return self._messages.ask(host_id, "order", function=function, args=args)
            except LinkFailed as error:
                raise TestbedError(f"{host_id} cannot be told anything: {error}") from None
        return self.engines.send_to_host(self.numbers[host_id], function, *args)

    def run(self, host_id: str, function: Any, *args: Any, timeout: float = 60.0) -> Any:
        """Run ``function(host, *args)`` on any host, and return its result."""
        if host_id == NOTEBOOK:
            return function(self.home, *args)
        return self.send(host_id, function, *args).result(timeout)

    def run_on_all(self, function: Any, *args: Any) -> dict[str, Any]:
        """Run it on all engines at the same time: {host: result}.

        Engines lost meanwhile are left out.
        """
        results = {}
        for host_id, answer in self._send_to_all(function, *args).items():
            try:
                results[host_id] = answer.result(30.0)
            except Exception as error:
                if host_id not in self.lost:
                    raise TestbedError(f"{host_id} does not answer: {error}") from error
        return results

    def _send_to_all(self, function: Any, *args: Any) -> dict[str, Any]:
        return {host_id: self.send(host_id, function, *args) for host_id in self.alive}

    def on_hosts(self, function: Any, *args: Any) -> dict[str, Any]:
        """Run ``function(host, *args)`` on all hosts, the notebook's too: {host: result}."""
        return {
            NOTEBOOK: function(self.home, *args),
            **self.run_on_all(function, *args),
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
        answers = []
        for host_id, group in by_host.items():
            answers.append(self.send(host_id, Host.spawn, group, context))
        for answer in answers:
            answer.result(60.0)
        self.update_directory(names)

    def remove(self, names: Iterable[str]) -> None:
        """Take actors away from where they live, and every host forgets them."""
        self.on_hosts(Host.remove, list(names))

    def update_directory(self, places: Mapping[str, str]) -> None:
        """Let every host know where actors live: {actor: host}."""
        self.on_hosts(Host.update_directory, dict(places))

    # stopping the run

    def stop_run(self) -> Stopped:
        """End all handlers, on all hosts. An engine that does not answer is killed."""
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

    # errors and records

    def _on_error(self, host_id: str, error: Exception) -> None:
        if not isinstance(error, Exception):
            raise TypeError(f"{host_id} reported {error!r}, which is no exception")
        self.errors.append(error)

    def flush_hosts(self) -> None:
        """Have every host send its records, and add them to the trace."""
        if not self.stopping:
            self.home.flush()
            counts = self.run_on_all(remote.flush)
            self.shipments.wait_for(counts, 10.0)
        self.drain()

    def refresh(self) -> None:
        """Add to the trace the records of the notebook's own host, and all that have arrived."""
        if not self.stopping:
            self.home.flush()
        self.drain()

    def drain(self) -> None:
        """Add to the trace all that has arrived; waits for nobody."""
        self.shipments.drain()

    def drain_metrics(self) -> None:
        """Add metrics and logs that have arrived to the trace; costs little, and never waits."""
        self.shipments.drain_metrics()

    # the end

    def detach(self) -> None:
        """End this side alone: the engines go on without it."""
        self.stopping = True
        if self._link_monitor is not None:
            self._link_monitor.close()
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
            # stopping must go on; the log has the records that are missing
            except Exception as error:
                self._home.logger.info("last records not collected: %s", error)
        self.stopping = True
        if self._link_monitor is not None:
            self._link_monitor.close()
        if self.engines is not None:
            asked = {}
            for host_id in self.alive:
                try:
                    asked[host_id] = self.send(host_id, remote.stop_host, self.testbed_id)
                except TestbedError as error:
                    self.errors.append(error)
            for host_id, answer in asked.items():
                try:
                    self.shipments.wait_for({host_id: answer.result(5.0) or 0}, 1.0)
                # an engine that does not answer is ended with its cluster
                except Exception as error:
                    self.errors.append(error)
        if self._home is not None:
            self._home.stop()
        if self.engines is not None:
            self.engines.stop()
