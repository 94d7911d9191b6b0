"""The failure detector: which engines are lost. One limit, whoever has started the cluster.

ipyparallel's own verdict, which comes after 30 s on a cluster of somebody else's, is believed only
about a process that it saw end: it gives up an engine for good that had no turn for a while, and
goes on when it has one.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from roleml_nb.host.engine import give_up
from roleml_nb.host.process import Process
from roleml_nb.messaging.host_messages import pack
from roleml_nb.role import LinkFailed

if TYPE_CHECKING:
    from .fleet import Fleet

__all__ = ["RESPAWN", "UNREACHED_S", "FailureDetector"]

RESPAWN = "%rml respawn, or bed.respawn(), makes its nodes anew"
"""Advice about a lost engine."""

UNREACHED_S = 60.0
"""An engine is lost that neither its direct link nor ipyparallel has reached for so long."""
MAX_INTERVAL_S = 1.0
"""Most seconds between two checks that count as silence: in a longer time this process itself had
no turn.
"""
SUDDEN_S = 10.0
"""An engine that ipyparallel gives up so soon after a sign of life has ended: it waits far longer
for one that is silent.
"""
CONFIRM_S = 2.0
"""Seconds without another sign of life until that is believed."""
REMIND_S = 2.0
"""Seconds between two times that a lost engine is told of it, as long as it sends."""


class FailureDetector:
    """The notebook's.

    Signs of life are its pulse, a turn of the relay, and a direct link, whose ends ZeroMQ has
    answer each other, whoever holds the interpreter.
    """

    def __init__(self, fleet: Fleet):
        self._fleet = fleet
        self._checked = fleet.home.clock.now()
        self._silence: dict[str, float] = {}
        self._given_up: dict[str, float] = {}
        """{engine that ipyparallel has given up: seconds of its silence then}."""
        self._reminded: dict[str, float] = {}
        self._lock = threading.Lock()

    def reset_silence(self, host_id: str) -> None:
        """Reset the silence of an engine that has given a sign of life."""
        self._silence[host_id] = 0.0

    def silence(self, host_id: str) -> float:
        """Return seconds since the last sign of life, counted while this process looked."""
        return self._silence.get(host_id, 0.0)

    def check(self, now: float, reachable: set[int]) -> None:
        """Find which engines are lost; `reachable` are those that ipyparallel knows."""
        fleet, elapsed = self._fleet, min(now - self._checked, MAX_INTERVAL_S)
        self._checked = now
        for host_id in fleet.alive:
            self._silence[host_id] = silence = self.silence(host_id) + elapsed
            known = fleet.numbers[host_id] in reachable
            if not known:
                self._given_up.setdefault(host_id, silence)
            if fleet.stopping:
                return
            if (silence > CONFIRM_S or not known) and fleet.home.process_ended(host_id):
                fleet.home.host_lost(host_id, "its process has ended")
            elif not known and self._has_ended_elsewhere(host_id):
                fleet.home.host_lost(host_id, "ipyparallel says that its process has ended")
            elif silence > UNREACHED_S and not self._is_linked(host_id):
                self._give_up(host_id, known)

    def _is_linked(self, host_id: str) -> bool:
        return self._fleet.home.router.session(host_id).kind == "direct"

    def _has_ended_elsewhere(self, host_id: str) -> bool:
        """Return True if it has ended on a machine that this one does not see."""
        before, silence = self._given_up[host_id], self.silence(host_id)
        return (
            self._fleet.process(host_id).machine != Process.here().machine
            and not self._is_linked(host_id)
            and before < SUDDEN_S
            and silence > before + CONFIRM_S
        )

    def _give_up(self, host_id: str, known: bool) -> None:
        """Count it as lost, and see that it does not go on."""
        fleet = self._fleet
        fleet.home.host_lost(
            host_id, f"neither a direct link nor ipyparallel has reached it for {UNREACHED_S:.0f} s"
        )
        assert fleet.engines is not None
        try:
            if (
                fleet.engines.owned
                or not known
                and fleet.process(host_id).machine == Process.here().machine
            ):
                fleet.signal(host_id, "SIGKILL")
            elif known:
                # of somebody else's cluster: it ends its host when it comes to it, and stays
                fleet.engines.send_to_host(fleet.numbers[host_id], give_up, False)
        # ipyparallel and each system say differently that nobody is there; it is told when it sends
        except Exception as error:
            fleet.home.logger.info("%s was not ended: %s", host_id, error)

    def remind(self, host_id: str) -> None:
        """Remind a lost engine that it is lost, as long as it goes on sending."""
        now = self._fleet.home.clock.now()
        with self._lock:
            if (
                host_id not in self._fleet.lost
                or now - self._reminded.get(host_id, -REMIND_S) < REMIND_S
            ):
                return
            self._reminded[host_id] = now
        self._fleet.home.run_in_background(lambda: self._send_reminder(host_id), f"tells {host_id}")

    def _send_reminder(self, host_id: str) -> None:
        try:
            self._fleet.home.transport.send_control(  # type: ignore[union-attr]
                host_id, pack("given-up", useless=host_id in self._given_up)
            )
        except LinkFailed as error:
            self._fleet.home.logger.info("%s does not know that it is lost: %s", host_id, error)
