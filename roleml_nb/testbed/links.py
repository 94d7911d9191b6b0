"""Linking the hosts of a testbed: who shows which key to whom."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping

from roleml_nb.messaging.addresses import Address

from . import engine as remote
from .cluster import Engines
from .host import NOTEBOOK, Host
from .processes import Process

__all__ = ["Keys", "Made", "link_again", "link_all", "why"]

Made = dict[tuple[str, str], tuple[str, str]]
"""{(from, to): (kind of link, why it is no better)}."""


class Keys:
    """A key for each ordered pair of hosts, so that no host can pass for another."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def token(self, sender: str, receiver: str) -> bytes:
        """What `sender` shows to `receiver`."""
        return hmac.new(self._secret, f"{sender}|{receiver}".encode(), hashlib.sha256).digest()


def link_all(testbed: str, home: Host, engines: Engines, addresses: dict[int, Address], links: tuple[str, ...]) -> Made:
    """Link every pair of hosts, both ways."""
    keys = Keys()
    here = home.transport.address  # type: ignore[union-attr]
    everyone = [here, *addresses.values()]

    def peers_of(own: str) -> list[tuple[Address, bytes, bytes]]:
        return [(peer, keys.token(own, peer.host_id), keys.token(peer.host_id, own))
                for peer in everyone if peer.host_id != own]

    for peer, _, accept in peers_of(NOTEBOOK):
        home.transport.admit(peer.host_id, accept)  # type: ignore[union-attr]
    opened = [engines.send(number, remote.admit, testbed,
                           [(peer.host_id, accept) for peer, _, accept in peers_of(address.host_id)])
              for number, address in addresses.items()]
    for answer in opened:  # all doors open before anyone knocks
        answer.get(60.0)
    asked = {number: engines.send(number, remote.connect, testbed, peers_of(address.host_id), links)
             for number, address in addresses.items()}
    made: Made = {}
    for peer, token, accept in peers_of(NOTEBOOK):
        made[NOTEBOOK, peer.host_id] = home.mender.connect(peer, token, accept, links)
    for number, answer in asked.items():
        own = addresses[number].host_id
        made.update({(own, peer): kind for peer, kind in answer.get(60.0).items()})
    return made


def link_again(testbed: str, home: Host, engines: Engines, numbers: Mapping[str, int], links: tuple[str, ...],
               owner: Process) -> tuple[Made, dict[str, Process]]:
    """Link a new home with hosts that are linked with each other; returns their processes, too."""
    keys, made, processes = Keys(), Made(), {}
    here = home.transport.address  # type: ignore[union-attr]
    asked = {host_id: engines.send(number, remote.meet, testbed, owner, keys.token(NOTEBOOK, host_id))
             for host_id, number in numbers.items()}
    addresses = {}
    for host_id, answer in asked.items():
        addresses[host_id], processes[host_id] = answer.get(60.0)
        home.transport.admit(host_id, keys.token(host_id, NOTEBOOK))  # type: ignore[union-attr]
    there = {host_id: engines.send(number, remote.connect, testbed,
                                   [(here, keys.token(host_id, NOTEBOOK), keys.token(NOTEBOOK, host_id))], links)
             for host_id, number in numbers.items()}
    for host_id, address in addresses.items():
        token, accept = keys.token(NOTEBOOK, host_id), keys.token(host_id, NOTEBOOK)
        made[NOTEBOOK, host_id] = home.mender.connect(address, token, accept, links)
    for host_id, answer in there.items():
        made[host_id, NOTEBOOK] = answer.get(60.0)[NOTEBOOK]
    return made, processes


def why(made: Made) -> list[str]:
    """One line per pair."""
    return [f"{sender} → {receiver}: {kind}" + (f" ({reason})" if reason else "")
            for (sender, receiver), (kind, reason) in sorted(made.items())]
