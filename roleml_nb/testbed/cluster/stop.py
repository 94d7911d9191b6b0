"""End all handlers on all hosts, without ending the testbed.

The host's half is `roleml_nb.host.stop`.
"""

from __future__ import annotations

import threading
from itertools import chain
from typing import TYPE_CHECKING

from roleml_nb.host.stop import BOOST_SIGNAL, POLL_INTERVAL_S, Stopped, stop_work
from roleml_nb.messaging.host_messages import pack
from roleml_nb.role import LinkFailed

if TYPE_CHECKING:
    from .fleet import Fleet

__all__ = ["RunStopper"]

ANSWER_TIMEOUT_S = 1.5
"""Seconds that an engine gets to say that its handlers are stopped, or are being stopped."""
TIMEOUT_PER_HANDLER_S = 0.05
"""Seconds more for each handler that is at work there: the thread that is to learn of the stop must
wait for its turn.
"""
STOP_TIMEOUT_S = 6.0
"""Seconds that an engine gets in all; one that lives is left to end its handlers by itself then."""


class RunStopper:
    """The notebook's side: has all hosts stop their work, and kills engines that do not even
    answer.
    """

    def __init__(self, fleet: Fleet):
        self._fleet = fleet
        self._one_at_a_time = threading.Lock()
        self._changed = threading.Condition()
        self._answers: dict[str, Stopped] = {}
        fleet.home.router.host_messages.serve("stopped", self._on_stopped)

    def stop(self) -> Stopped:
        """See `Testbed.stop_run`."""
        with self._one_at_a_time:
            home, hosts = self._fleet.home, self._fleet.alive
            generation, began = home.router.run_generation + 1, home.clock.now()
            self._answers = {}
            home.router.run_generation = generation
            # Ctrl-C must not cut a message in two
            home.run_in_background(lambda: self._ask(hosts, generation), "asks to stop")
            found = [stop_work(home, generation), *self._await(hosts, began)]
            united = [tuple(chain.from_iterable(parts)) for parts in zip(*found, strict=True)]
            return Stopped(*united)

    def _ask(self, hosts: list[str], generation: int) -> None:
        """Ask hosts to stop, on their control channels and over their links.

        An engine reached over the relay has no such line, but can hurry.
        """
        home = self._fleet.home
        for host_id in hosts:
            assert home.transport is not None
            try:
                home.transport.send_control(host_id, pack("stop", run_generation=generation))
            except LinkFailed as error:
                home.logger.info("%s is asked to stop over its link alone: %s", host_id, error)
                self._boost(host_id)
        for host_id in hosts:
            try:
                home.router.host_messages.send(host_id, "stop", run_generation=generation)
            except LinkFailed as error:
                home.logger.info("%s is not asked to stop over its link: %s", host_id, error)

    def _boost(self, host_id: str) -> None:
        try:
            self._fleet.signal(host_id, BOOST_SIGNAL)
        # it has ended, or there is no such signal: systems and ipyparallel raise different errors
        except Exception as error:
            self._fleet.home.logger.info(
                "%s was not told to boost its switch interval: %s", host_id, error
            )

    def _await(self, hosts: list[str], began: float) -> list[Stopped]:
        """Return the answers of the engines.

        One that gives no sign of life is killed; one that does is given more time.

        Silence is counted in checks: where this process itself gets no turn, replies may lie
        unread.
        """
        fleet, clock = self._fleet, self._fleet.home.clock
        timeouts = {}
        for host_id in hosts:
            at_work = fleet.handlers(host_id)
            timeouts[host_id] = ANSWER_TIMEOUT_S + TIMEOUT_PER_HANDLER_S * at_work
        silent, seen, timed_out = dict.fromkeys(hosts, 0), dict.fromkeys(hosts, 0.0), True
        with self._changed:
            while waiting := self._waiting(hosts):
                if clock.now() > began + STOP_TIMEOUT_S:
                    for host_id in waiting:
                        self._answers[host_id] = Stopped(left=(f"handlers on {host_id}",))
                    break
                for host_id in waiting if timed_out else ():
                    sign = fleet.last_pulse(host_id)
                    silent[host_id] = silent[host_id] + 1 if sign == seen[host_id] else 0
                    seen[host_id] = sign
                    if silent[host_id] * POLL_INTERVAL_S > timeouts[host_id]:
                        fleet.kill(host_id)
                        self._answers[host_id] = Stopped(killed=(host_id,))
                # that one is lost, or silent, is no news
                timed_out = not self._changed.wait(POLL_INTERVAL_S)
        return [self._answers.get(host_id, Stopped()) for host_id in hosts]

    def _waiting(self, hosts: list[str]) -> list[str]:
        """Return the hosts that have neither answered nor got lost."""
        done = self._answers.keys() | self._fleet.lost.keys()
        return [host_id for host_id in hosts if host_id not in done]

    def _on_stopped(self, host_id: str, run_generation: int, stopped: Stopped) -> None:
        with self._changed:
            if run_generation == self._fleet.home.router.run_generation:
                self._answers[host_id] = stopped
                self._changed.notify_all()
