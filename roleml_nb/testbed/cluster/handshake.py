"""Linking the hosts of a testbed: who listens where, and who knows whose key."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from roleml_nb.host import engine as remote
from roleml_nb.host.host import Host
from roleml_nb.host.process import Process
from roleml_nb.messaging.links.addresses import Address
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
    addresses: Mapping[int, Address],
    links: tuple[str, ...],
) -> Made:
    """Link every pair of hosts, both ways.

    The hosts learn each other's public keys over ipyparallel's signed channel.
    """
    numbers = {address.host_id: number for number, address in addresses.items()}
    everyone = [home.transport.address, *addresses.values()]  # type: ignore[union-attr]
    if "direct" in links and not engines.owned:  # our own engines are on this machine
        # those that others do not reach over ``ipc://`` listen on TCP, too
        reached = _on_hosts(home, engines, numbers, remote.reached, everyone)
        wanted = interfaces(everyone, reached)
        everyone = list(_on_hosts(home, engines, numbers, remote.listen, wanted).values())
    # all are open before anyone knocks
    _on_hosts(home, engines, numbers, remote.admit, everyone)
    made: Made = {}
    connections = _on_hosts(home, engines, numbers, remote.connect, everyone, links)
    for host_id, connected in connections.items():
        for peer, link in connected.items():
            made[host_id, peer] = link
    return made


def _on_hosts(
    home: Host | None, engines: Engines, numbers: Mapping[str, int], function: Any, *args: Any
) -> dict[str, Any]:
    """Run ``function(host, *args)`` on engines, and meanwhile on the notebook's host: {host:
    result}.
    """
    answers = {}
    for host_id, number in numbers.items():
        answers[host_id] = engines.send_to_host(number, function, *args)
    results = {} if home is None else {NOTEBOOK: function(home, *args)}
    for host_id, answer in answers.items():
        results[host_id] = answer.result(ANSWER_TIMEOUT_S)
    return results


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
    accepted = _on_hosts(None, engines, numbers, remote.accept_notebook, owner, here.public_key)
    addresses = [address for address, _ in accepted.values()]
    remote.admit(home, addresses)
    made: Made = {}
    for host_id, connected in _on_hosts(
        None, engines, numbers, remote.connect, [here], links
    ).items():
        made[host_id, NOTEBOOK] = connected[NOTEBOOK]
    for host_id, link in remote.connect(home, addresses, links).items():
        made[NOTEBOOK, host_id] = link
    return made, {host_id: process for host_id, (_, process) in accepted.items()}


def why(made: Made) -> list[str]:
    """Return one line per pair."""
    lines = []
    for (sender, receiver), (kind, reason) in sorted(made.items()):
        lines.append(f"{sender} → {receiver}: {kind}{f' ({reason})' if reason else ''}")
    return lines
