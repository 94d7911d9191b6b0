"""Linking the hosts of a testbed: who listens where, and who knows whose key."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from roleml_nb.host import engine as remote
from roleml_nb.host.host import Host
from roleml_nb.host.process import Process
from roleml_nb.messaging.links.addresses import Address, answers
from roleml_nb.role import NOTEBOOK

from .engines import Engines

__all__ = ["Made", "interfaces", "relink_notebook", "link_all", "why"]

Made = dict[tuple[str, str], tuple[str, str]]
"""{(from, to): (kind of link, why it is no better)}."""
ALL, LOOPBACK = "*", "127.0.0.1"


def link_all(
    testbed: str,
    home: Host,
    engines: Engines,
    addresses: dict[int, Address],
    links: tuple[str, ...],
) -> Made:
    """Link every pair of hosts, both ways.

    The hosts learn each other's public keys over ipyparallel's signed channel.
    """
    if "direct" in links and not engines.owned:  # our own engines are on this machine
        _listen(testbed, home, engines, addresses)
    here = home.transport.address  # type: ignore[union-attr]

    def peers_of(own: str) -> list[Address]:
        return [peer for peer in (here, *addresses.values()) if peer.host_id != own]

    for peer in peers_of(NOTEBOOK):
        home.transport.admit(peer.host_id, peer.public_key)  # type: ignore[union-attr]
    opened = [
        engines.send(number, remote.admit, testbed, peers_of(address.host_id))
        for number, address in addresses.items()
    ]
    for answer in opened:  # all admissions open before anyone knocks
        answer.get(60.0)
    asked = {
        number: engines.send(number, remote.connect, testbed, peers_of(address.host_id), links)
        for number, address in addresses.items()
    }
    made: Made = {}
    for peer in peers_of(NOTEBOOK):
        made[NOTEBOOK, peer.host_id] = home.link_manager.connect(peer, links)
    for number, answer in asked.items():
        own = addresses[number].host_id
        made.update({(own, peer): kind for peer, kind in answer.get(60.0).items()})
    return made


def _listen(testbed: str, home: Host, engines: Engines, addresses: dict[int, Address]) -> None:
    """Have those hosts listen on TCP, too, that others do not reach over ``ipc://``; puts in their
    new addresses.
    """
    here = home.transport.address  # type: ignore[union-attr]
    everyone = [here, *addresses.values()]
    asked = {
        address.host_id: engines.send(number, remote.reached, testbed, everyone)
        for number, address in addresses.items()
    }
    reached = {
        NOTEBOOK: [address.host_id for address in everyone if answers(address)],
        **{host_id: answer.get(60.0) for host_id, answer in asked.items()},
    }
    wanted = interfaces(everyone, reached)
    if NOTEBOOK in wanted:
        home.transport.listen(wanted[NOTEBOOK])  # type: ignore[union-attr]
    opened = {
        number: engines.send(number, remote.listen, testbed, wanted[address.host_id])
        for number, address in addresses.items()
        if address.host_id in wanted
    }
    for number, answer in opened.items():
        addresses[number] = answer.get(60.0)


def interfaces(
    everyone: Sequence[Address], reached: Mapping[str, Collection[str]]
) -> dict[str, str]:
    """Return on which interface each host must listen, if on any: all of them only where another
    machine needs it.

    Parameters
    ----------
    reached
        {host: the hosts that it reaches over ``ipc://``}.
    """
    wanted = {}
    for address in everyone:
        others = [
            other
            for other in everyone
            if other is not address and address.host_id not in reached[other.host_id]
        ]
        if others:
            near = all(other.network == address.network for other in others)
            wanted[address.host_id] = LOOPBACK if near else ALL
    return wanted


def relink_notebook(
    testbed: str,
    home: Host,
    engines: Engines,
    numbers: Mapping[str, int],
    links: tuple[str, ...],
    owner: Process,
) -> tuple[Made, dict[str, Process]]:
    """Link a new home, with a new key, with hosts that are linked with each other; returns their
    processes, too.
    """
    made, processes = Made(), {}
    here = home.transport.address  # type: ignore[union-attr]
    asked = {
        host_id: engines.send(number, remote.accept_notebook, testbed, owner, here.public_key)
        for host_id, number in numbers.items()
    }
    addresses = {}
    for host_id, answer in asked.items():
        addresses[host_id], processes[host_id] = answer.get(60.0)
        home.transport.admit(host_id, addresses[host_id].public_key)  # type: ignore[union-attr]
    there = {
        host_id: engines.send(number, remote.connect, testbed, [here], links)
        for host_id, number in numbers.items()
    }
    for host_id, address in addresses.items():
        made[NOTEBOOK, host_id] = home.link_manager.connect(address, links)
    for host_id, answer in there.items():
        made[host_id, NOTEBOOK] = answer.get(60.0)[NOTEBOOK]
    return made, processes


def why(made: Made) -> list[str]:
    """Return one line per pair."""
    return [
        f"{sender} → {receiver}: {kind}" + (f" ({reason})" if reason else "")
        for (sender, receiver), (kind, reason) in sorted(made.items())
    ]
