"""Engines: an ipyparallel cluster of our own, or one that runs already."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import signal
import threading
import time
from typing import Any

import ipyparallel as ipp
import ipyparallel.client.client as client_module
from traitlets.config import Config

from roleml_nb.host.engine import on_host
from roleml_nb.host.process import Process
from roleml_nb.host.socket_folder import make_socket_folder, why_unwritable
from roleml_nb.role import TestbedError
from roleml_nb.role.forks import Origin, at_fork

from .controller import ORDERS, Controller
from .preflight import check_machine, ipython_folder, raise_file_limit
from .runtime_files import RuntimeFile, create
from .watchdog import ENV_VAR, Watchdog

__all__ = ["Engines"]

START_TIMEOUT_S = 60.0
HEARTBEAT_MS = 250
"""Milliseconds.

The hub registers an engine only after a heartbeat: ready in about 2 s instead of 6.6 s at 3000.
"""
MAX_MISSED_HEARTBEATS = 480
"""Two minutes: that an engine is lost is said by the failure detector, after one."""
ANSWER_TIMEOUT_S = 5.0
"""For engines to say where they are."""
POLL_INTERVAL_S = 0.25
"""Seconds between two checks of requests that wait for an engine which may have ended."""

logger = logging.getLogger(__name__)


def _print_or_log(*words: object, **_: object) -> None:
    """Print on the main thread, else log: ipyparallel's client prints late results from its own
    thread, into whichever cell runs.
    """
    if threading.current_thread() is threading.main_thread():
        print(*words)
    elif isinstance(words[0], str):
        logger.info("ipyparallel: %s", words[0])


def _await_engines(client: Any, count: int, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while len(client.ids) < max(1, count):
        if not count:
            raise TestbedError(
                "the cluster has no engines; start some with 'ipcluster engines', or say how many"
                " to wait for: Testbed(engines=4, profile=…)"
            )
        if time.monotonic() >= deadline:
            raise TestbedError(
                f"{len(client.ids)} of {count} engines have come to the cluster within"
                f" {timeout:.0f} s{_describe_engines(client)}; give the others more time with"
                " Testbed(start_timeout=…), or look into their logs"
            )
        time.sleep(POLL_INTERVAL_S)


def _describe_engines(client: Any) -> str:
    """Return in words, which engines are where."""
    if not client.ids:
        return ""
    answer = client[:].apply_async(platform.node)
    try:
        names = dict(zip(list(client.ids), answer.get(ANSWER_TIMEOUT_S), strict=False))
    except Exception:  # one that is busy says nothing
        return f": {', '.join(map(str, client.ids))}"
    return f": {', '.join(f'{number} (on {name})' for number, name in names.items())}"


class Answer:
    """A future answer of an engine."""

    def __init__(self, engines: Engines, result: Any):
        self._engines, self._result = engines, result

    def result(self, timeout: float) -> Any:
        """Wait for it; TestbedError at once when it cannot come any more."""
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            try:
                return self._result.get(max(0.0, min(POLL_INTERVAL_S, left)))
            except (TimeoutError, ipp.error.TimeoutError):
                self._engines.check()
                if left <= POLL_INTERVAL_S:
                    raise


class Engines:
    """ipyparallel's client, its engines, and the processes to be ended with them."""

    def __init__(
        self,
        count: int,
        testbed_id: str,
        *,
        cluster: Any = None,
        profile: str | None = None,
        cluster_id: str | None = None,
        detached: bool = False,
        runtime_file: RuntimeFile | None = None,
        timeout: float = START_TIMEOUT_S,
    ):
        client_module.print = _print_or_log
        self.owned = cluster is None and profile is None and cluster_id is None
        self.detached = detached or runtime_file is not None
        """True when they outlive this process, unless they are stopped."""
        self._given = cluster is not None and not hasattr(cluster, "connect_client_sync")
        """True when the client is the caller's own, who closes it."""
        if self.owned and runtime_file is None:
            check_machine(count)
            raise_file_limit(count)
        self.directory = make_socket_folder() if runtime_file is None else runtime_file.directory
        self.cluster: Any = None
        self.watchdog: Watchdog | None = None
        self._origin = Origin()
        at_fork(self)
        self.runtime_file = runtime_file
        self.controller = Controller(
            "save what you need (bed.save), stop this testbed and make a new one"
            + ("" if self.owned else ", with a cluster that was started anew")
        )
        self._testbed_id = testbed_id
        try:
            if runtime_file is not None:
                self.client = self._find(runtime_file)
            elif self.owned:
                self.client = self._start(count, testbed_id, timeout)
            else:
                self.client = self._join(count, timeout, cluster, profile, cluster_id)
        except BaseException:
            if runtime_file is None:  # else it goes on without us
                self.stop()
            raise
        self.ids: list[int] = list(self.client.ids)[: count or None]

    def forked(self) -> None:
        if self.cluster is not None:
            # the engines are not the fork's to end with itself
            self.cluster.shutdown_atexit = False

    def _start(self, count: int, testbed_id: str, timeout: float) -> Any:
        profile_dir = os.path.join(self.directory, "profile")
        os.mkdir(profile_dir)
        self.runtime_file = create(
            testbed_id, Process.here(), self.directory, count, detached=self.detached
        )
        # until `stay`, if it is detached
        self.watchdog = Watchdog(testbed_id, [self.directory, str(self.runtime_file.path)])
        own = {ENV_VAR: testbed_id}  # inherited by everything that the launcher starts
        if why_unwritable(ipython_folder()):  # IPython would warn, and leave a folder behind
            own["IPYTHONDIR"] = os.path.join(self.directory, "ipython")
        before = {name: os.environ.get(name) for name in own}
        os.environ.update(own)
        try:
            self.cluster = ipp.Cluster(
                n=count,
                profile_dir=profile_dir,
                cluster_id="",
                log_level=logging.ERROR,
                shutdown_atexit=not self.detached,
                delay=0.0,  # engines are started as soon as the controller has written where it is
                controller_args=[
                    f"--HeartMonitor.period={HEARTBEAT_MS}",
                    f"--HeartMonitor.max_heartmonitor_misses={MAX_MISSED_HEARTBEATS}",
                ],
                # they end with their kernel, and need no heart monitor for that
                config=Config(
                    {"EngineLauncher": {"engine_args": ["--IPEngine.max_heartbeat_misses=0"]}}
                ),
            )
            self.cluster.start_cluster_sync()
            client = self.cluster.connect_client_sync()
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value
        try:
            client.wait_for_engines(count, timeout=timeout, interactive=False)
        except TimeoutError:
            raise TestbedError(
                f"{len(client.ids)} of {count} engines are ready after {timeout:.0f} s:"
                f" {self._log_tail()}"
            ) from None
        return client

    def _find(self, runtime_file: RuntimeFile) -> Any:
        try:
            return ipp.Client(
                os.path.join(
                    runtime_file.directory, "profile", "security", "ipcontroller-client.json"
                ),
                ipython_dir=os.path.join(runtime_file.directory, "ipython"),
                timeout=10,
            )
        except (OSError, TimeoutError, ipp.error.TimeoutError) as error:
            raise TestbedError(
                f"testbed {runtime_file.testbed_id} does not answer: {error}; %rml clean --detached"
                " ends it"
            ) from None

    def _join(
        self, count: int, timeout: float, cluster: Any, profile: str | None, cluster_id: str | None
    ) -> Any:
        """Find a cluster that runs, and wait for so many engines; with 0, for none but those that
        are there.
        """
        if cluster is not None:
            client = cluster if self._given else cluster.connect_client_sync()
        else:
            try:
                client = ipp.Client(
                    profile=profile, cluster_id=cluster_id or "", timeout=timeout if count else 10
                )
            except (OSError, TimeoutError, ipp.error.TimeoutError) as error:
                raise TestbedError(
                    f"no ipyparallel cluster found (profile={profile!r},"
                    f" cluster_id={cluster_id!r}): {error}; start one with 'ipcluster start', or"
                    " let Testbed(engines=2) start its own"
                ) from None
        try:
            _await_engines(client, count, timeout)
        except BaseException:
            if not self._given:
                client.close()
            raise
        return client

    def _log_tail(self) -> str:
        launchers = getattr(self.cluster, "engines", {}) or {}
        tails = []
        for launcher in launchers.values():
            if hasattr(launcher, "get_output"):
                tails.append(launcher.get_output()[-500:])
        return "\n".join(tails) or "the engines left no log"

    def send_to_host(self, engine: int, function: Any, *args: Any) -> Answer:
        """Run ``function(host, *args)`` on one engine, with its host of this testbed."""
        return self.send(engine, on_host, self._testbed_id, function, *args)

    def send(self, engine: int, function: Any, *args: Any, **kwargs: Any) -> Answer:
        """Run a function on one engine."""
        self._origin.check()
        self.check()
        result = self.client[engine].apply_async(function, *args, **kwargs)
        result.owner = True  # ipyparallel forgets the result with the AsyncResult
        return Answer(self, result)

    def find_controller(self) -> None:
        """Learn which processes the controller has, if they are on this machine."""
        if self.owned:
            self.controller.find_own(self.directory, self._testbed_id)
        else:
            self.controller.find_joined(self.client._config)

    def check(self) -> None:
        """Raise TestbedError when ipyparallel carries nothing to the engines any more."""
        part = self.controller.ended(ORDERS)
        if part is not None:
            raise TestbedError(
                f"{part} has ended: ipyparallel carries nothing to the engines any more; "
                f"{self.controller.advice}"
            )

    def reached(self) -> set[int]:
        """Return the engines that ipyparallel carries orders to."""
        return set() if self.controller.ended(ORDERS) else set(self.client.ids)

    def outlive_kernel(self) -> None:
        """Let the engines outlive this process from now on."""
        if self.watchdog is not None:
            self.watchdog.dismiss()
            self.watchdog = None

    def _end_all(self) -> None:
        """Have all processes end at the same time: ipyparallel goes from one to the next, and waits
        for each.
        """
        self.cluster.signal_engines_sync(signal.SIGTERM)
        if self.cluster.controller is not None:
            self.cluster.controller.signal(signal.SIGTERM)

    def detach(self) -> None:
        """Let them go on without this process, for another one to find."""
        self.client.close()
        if self.runtime_file is not None:
            self.runtime_file.owner = Process.nobody()
            self.runtime_file.write()

    def stop(self) -> None:
        """End our client, engines and processes. Idempotent."""
        if self.owned and self.cluster is not None:
            for end in (self._end_all, self.cluster.stop_cluster_sync):
                try:
                    end()
                # one engine may have ended before; the watchdog sweeps the rest
                except Exception as error:
                    logging.getLogger(__name__).info("stop of the cluster: %s", error)
            # else one that did not start is stopped again, with a traceback
            self.cluster.shutdown_atexit = False
            self.cluster = None
        client = getattr(self, "client", None)
        if client is not None and not self._given:
            client.close()
        if self.watchdog is not None:
            self.watchdog.release()
            self.watchdog = None
        if self.runtime_file is not None:
            if self.detached:
                self.runtime_file.end_processes()
            self.runtime_file.delete()
        shutil.rmtree(self.directory, ignore_errors=True)
