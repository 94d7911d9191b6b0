"""The link monitor: which link each pair of hosts has, and the relay for those that need it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from roleml_nb.host import engine as remote
from roleml_nb.messaging.links.relay import Relay, Relayed
from roleml_nb.role import NOTEBOOK

from .failure_detector import UNREACHED_S, FailureDetector

if TYPE_CHECKING:
    from .fleet import Fleet

__all__ = ["LinkMonitor"]

SILENCE_LIMIT_S = 2.0
"""Seconds without a sign of life over a direct link after which an engine is asked through
ipyparallel, too.
"""


class LinkMonitor:
    """Keeps the fleet's table of links up to date, and relays where there is no direct link.

    Parameters
    ----------
    relayed
        True when the notebook itself may send over the relay.
    """

    def __init__(self, fleet: Fleet, detector: FailureDetector, *, relayed: bool):
        self._fleet, self._detector = fleet, detector
        home = fleet.home
        self.relay = Relay(
            NOTEBOOK, self._exchange, home.deliver, self._on_unreached, home.run_in_background
        )
        home.relay = self.relay.link if relayed else None
        home.on_link_changed = partial(self._on_link_changed, NOTEBOOK)
        home.router.host_messages.serve("link", self._on_link_changed)

    def check(self, reachable: set[int]) -> None:
        """Serve the engines that ipyparallel reaches and that need the relay, and no others."""
        for host_id in self._fleet.alive:
            if self._fleet.numbers[host_id] not in reachable:
                continue
            # a turn of the relay may have failed
            if self._is_relayed(host_id) or self._detector.silence(host_id) > SILENCE_LIMIT_S:
                self.serve(host_id)
            else:
                self.relay.release(host_id)

    def _is_relayed(self, host_id: str) -> bool:
        for ends, (kind, _) in list(self._fleet.links.items()):
            if kind == "relay" and host_id in ends:
                return True
        return False

    def serve(self, *hosts: str) -> None:
        """Relay for these hosts; the notebook's needs none."""
        for host_id in hosts:
            if host_id != NOTEBOOK:
                self.relay.serve(host_id)

    def record_lost(self, host_id: str, reason: str) -> None:
        """Record that all links of a lost host have ended."""
        links = self._fleet.links
        for ends in list(links):
            if host_id in ends:
                links[ends] = "none", f"{host_id} is lost: {reason}"

    def close(self) -> None:
        self.relay.close()

    def _on_link_changed(self, host_id: str, peer_id: str, kind: str, reason: str) -> None:
        """Record that a link has changed."""
        fleet = self._fleet
        if kind not in ("direct", "relay") or peer_id not in (NOTEBOOK, *fleet.numbers):
            raise ValueError(f"{host_id} has no link {kind!r} to {peer_id!r}")
        if host_id in fleet.lost or peer_id in fleet.lost:
            return
        fleet.links[host_id, peer_id] = kind, reason
        fleet.home.logger.warning("link %s → %s: %s (%s)", host_id, peer_id, kind, reason)
        if kind == "relay":
            self.serve(host_id, peer_id)

    def _on_unreached(self, host_id: str, reason: str) -> None:
        """Log that the relay does not reach an engine; it is served again while that may help."""
        self._fleet.home.logger.info("%s: %s", host_id, reason)

    def _exchange(self, host_id: str, incoming: list[Relayed], wait: float) -> list[Relayed]:
        fleet = self._fleet
        answer = fleet.engines.send_to_host(  # type: ignore[union-attr]
            fleet.numbers[host_id], remote.exchange, incoming, wait
        )
        fetched = answer.result(UNREACHED_S)
        self._detector.reset_silence(host_id)
        return fetched
