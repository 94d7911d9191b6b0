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
ANSWER_TIMEOUT_S = 60.0


def link_all(
    home: Host,
    engines: Engines,
    addresses: dict[int, Address],
    links: tuple[str, ...],
) -> Made:
    """Link every pair of hosts, both ways.

    The hosts learn each other's public keys over ipyparallel's signed channel.
    """
    if "direct" in links and not engines.owned:  # our own engines are on this machine
        _listen(home, engines, addresses)
    here = home.transport.address  # type: ignore[union-attr]

    def peers_of(own: str) -> list[Address]:
        return [peer for peer in (here, *addresses.values()) if peer.host_id != own]

    for peer in peers_of(NOTEBOOK):
        home.transport.admit(peer.host_id, peer.public_key)  # type: ignore[union-attr]
    peers = {number: peers_of(address.host_id) for number, address in addresses.items()}
    admissions = []
    for number in addresses:
        admissions.append(engines.send_to_host(number, remote.admit, peers[number]))
    for admission in admissions:  # all are open before anyone knocks
        admission.result(ANSWER_TIMEOUT_S)
    connections = {}
    for number in addresses:
        connections[number] = engines.send_to_host(number, remote.connect, peers[number], links)
    made: Made = {}
    for peer in peers_of(NOTEBOOK):
        made[NOTEBOOK, peer.host_id] = home.link_manager.connect(peer, links)
    for number, connection in connections.items():
        own = addresses[number].host_id
        for other, link in connection.result(ANSWER_TIMEOUT_S).items():
            made[own, other] = link
    return made


def _listen(home: Host, engines: Engines, addresses: dict[int, Address]) -> None:
    """Have those hosts listen on TCP, too, that others do not reach over ``ipc://``; puts in their
    new addresses.
    """
    here = home.transport.address  # type: ignore[union-attr]
    everyone = [here, *addresses.values()]
    asked = {}
    for number, address in addresses.items():
        asked[address.host_id] = engines.send_to_host(number, remote.reached, everyone)
    reached = {NOTEBOOK: [address.host_id for address in everyone if answers(address)]}
    for host_id, answer in asked.items():
        reached[host_id] = answer.result(ANSWER_TIMEOUT_S)
    wanted = interfaces(everyone, reached)
    if NOTEBOOK in wanted:
        home.transport.listen(wanted[NOTEBOOK])  # type: ignore[union-attr]
    opened = {}
    for number, address in addresses.items():
        if address.host_id in wanted:
            interface = wanted[address.host_id]
            opened[number] = engines.send_to_host(number, remote.listen, interface)
    for number, answer in opened.items():
        addresses[number] = answer.result(ANSWER_TIMEOUT_S)


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
        others = []
        for other in everyone:
            if other is not address and address.host_id not in reached[other.host_id]:
                others.append(other)
        if others:
            near = all(other.network == address.network for other in others)
            wanted[address.host_id] = LOOPBACK if near else ALL
    return wanted


def relink_notebook(
    home: Host,
    engines: Engines,
    numbers: Mapping[str, int],
    links: tuple[str, ...],
    owner: Process,
) -> tuple[Made, dict[str, Process]]:
    """Link a new home, with a new key, with hosts that are linked with each other; returns their
    processes, too.
    """
    here = home.transport.address  # type: ignore[union-attr]
    accepted = {}
    for host_id, number in numbers.items():
        accepted[host_id] = engines.send_to_host(
            number, remote.accept_notebook, owner, here.public_key
        )
    addresses, processes = {}, {}
    for host_id, answer in accepted.items():
        addresses[host_id], processes[host_id] = answer.result(ANSWER_TIMEOUT_S)
        home.transport.admit(host_id, addresses[host_id].public_key)  # type: ignore[union-attr]
    connections = {}
    for host_id, number in numbers.items():
        connections[host_id] = engines.send_to_host(number, remote.connect, [here], links)
    made: Made = {}
    for host_id, address in addresses.items():
        made[NOTEBOOK, host_id] = home.link_manager.connect(address, links)
    for host_id, connection in connections.items():
        made[host_id, NOTEBOOK] = connection.result(ANSWER_TIMEOUT_S)[NOTEBOOK]
    return made, processes


def why(made: Made) -> list[str]:
    """Return one line per pair."""
    lines = []
    for (sender, receiver), (kind, reason) in sorted(made.items()):
        lines.append(f"{sender} → {receiver}: {kind}{f' ({reason})' if reason else ''}")
    return lines
