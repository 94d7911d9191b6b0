"""How a testbed stands: engines, links, memory, threads, and what earlier ones have left behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import psutil

from roleml_nb.host.socket_folder import temporary_folders, why_unfit, why_unwritable
from roleml_nb.testbed.cluster import runtime_files
from roleml_nb.testbed.cluster.preflight import find_lacks, ipython_folder

from .machine import MB
from .report import Report

if TYPE_CHECKING:
    from roleml_nb.host.host import Host
    from roleml_nb.testbed import Testbed

__all__ = [
    "Engine",
    "check_links",
    "check_lost",
    "check_threads",
    "examine_left_behind",
    "examine_requirements",
    "examine_testbed",
]

DEFAULT_ENGINES = 2


class Engine(NamedTuple):
    """What an engine says of itself."""

    machine: str
    cores: int
    pid: int
    rss: float
    """Bytes."""
    threads: int | None
    """Of torch; None while it is not loaded."""


def describe_engine(host: Host) -> Engine:
    """Describe this engine; runs there."""
    from roleml_nb.host.process import Process

    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch and hasattr(torch, "get_num_threads") else None
    return Engine(
        Process.here().machine,
        os.cpu_count() or 1,
        os.getpid(),
        psutil.Process().memory_info().rss,
        threads,
    )


def examine_testbed(report: Report, bed: Testbed | None) -> None:
    if bed is None or not bed.running:
        report.add_facts("testbed", "none is running")
        return
    roles = sum(map(len, bed.registry.roles.values()))
    report.add_facts(
        "testbed",
        f"{bed.engines} engines" if bed.fleet.engines else "in this process",
        f"{len(bed.registry.nodes())} nodes, {roles} roles, seed {bed.seed}",
    )
    if bed.fleet.engines is not None:
        engines = {
            host: found
            for host, found in bed.fleet.on_hosts(describe_engine).items()
            if host in bed.fleet.numbers
        }
        report.add_facts(
            "engines",
            *(
                f"{name}: process {each.pid}, {each.rss / MB:.0f} MB, torch "
                f"{'not loaded' if each.threads is None else f'with {each.threads} threads'}"
                for name, each in engines.items()
            ),
        )
        check_threads(report, list(engines.values()))
        check_lost(report, bed.lost)
        check_links(report, bed.fleet.links)
    if bed.errors:
        report.add_problem(
            f"{len(bed.errors)} errors that nobody waited for, the last one: {bed.errors[-1]}",
            "look at bed.errors",
        )


def check_threads(report: Report, engines: Sequence[Engine]) -> None:
    """Report a machine whose cores are fewer than torch's threads."""
    for machine in dict.fromkeys(each.machine for each in engines):
        here = [each for each in engines if each.machine == machine]
        threads, cores = sum(each.threads or 1 for each in here), here[0].cores
        if threads > cores and len(here) <= cores:
            report.add_problem(
                f"{len(here)} engines have {threads} threads of torch on {cores} cores: they keep"
                " each other from work",
                f"start with Testbed(threads={max(1, cores // len(here))}), or do not call"
                " torch.set_num_threads",
            )
        elif len(here) > cores:
            report.add_problem(
                f"{len(here)} engines on {cores} cores: more engines do not make it faster",
                f"start with %rml start --engines {cores}",
            )


def check_lost(report: Report, lost: Mapping[str, str]) -> None:
    for host, reason in lost.items():
        fix = (
            "%rml respawn makes its nodes anew on other engines; %rml restore brings the state of a"
            " checkpoint back"
        )
        report.add_problem(f"{host} is lost: {reason}", fix)


def check_links(report: Report, links: Mapping[tuple[str, str], tuple[str, str]]) -> None:
    """Report the kinds of links; those over the relay are slow."""
    kinds = [kind for kind, _ in links.values()]
    report.add_facts(
        "links", ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)) or "none"
    )
    slow = {
        ends: why for ends, (kind, why) in links.items() if kind == "relay" and why != "as asked"
    }
    if slow:
        (sender, receiver), why = next(iter(slow.items()))
        report.add_problem(
            f"{len(slow)} links use the relay, some milliseconds slower a message, such as {sender}"
            f" → {receiver}: {why}",
            "let the engines' machines reach each other over TCP; %rml links shows all",
        )


def examine_requirements(report: Report) -> None:
    """Report why engines cannot start here, and folders that stand in for the usual ones."""
    for lack in find_lacks(DEFAULT_ENGINES):
        report.add_problem(
            f"engines cannot start: {lack.what}", f"{lack.fix}; or %rml start --engines 0"
        )
    check_folders(
        report,
        "records of testbeds",
        {str(place): why_unwritable(place) for place in runtime_files.folders()},
        "HOME, JUPYTER_RUNTIME_DIR or TMPDIR",
    )
    check_folders(
        report,
        "sockets and logs",
        {base: why_unfit(base) for base in temporary_folders()},
        "TMPDIR",
    )
    why = why_unwritable(ipython_folder())
    if why:
        report.add_facts(
            "folders",
            f"engines use an IPython folder of their own: {ipython_folder()} ({why}); set HOME or"
            " IPYTHONDIR",
        )


def check_folders(report: Report, what: str, places: Mapping[str, str], variables: str) -> None:
    """Say which folder is used instead of the first one; it is a problem when there is none.

    `places`: why each does not do.
    """
    used = next((place for place, why in places.items() if not why), None)
    first, why = next(iter(places.items()))
    if used is None:
        report.add_problem(
            f"engines cannot start: no folder for {what}: "
            + ", ".join(f"{place} ({why})" for place, why in places.items()),
            f"set {variables} to a writable folder with free space; or %rml start --engines 0",
        )
    elif why:
        report.add_facts(
            "folders",
            f"{what} lie in {used}: {first} ({why}); set {variables} to have them elsewhere",
        )


def examine_left_behind(report: Report) -> None:
    left = runtime_files.left_behind()
    kept = [
        record
        for record in runtime_files.read_all()
        if record.detached and record.owner.ended and not record.abandoned and record.processes()
    ]
    report.add_facts(
        "left behind",
        *(
            f"testbed {record.testbed_id}: {len(processes)} processes"
            for record, processes in left.items()
        ),
        *(
            f"testbed {record.testbed_id}: detached, {record.engines} engines, for %rml attach"
            for record in kept
        ),
    )
    if not left and not kept:
        report.add_facts("left behind", "nothing")
    if left:
        report.add_problem(
            f"{sum(map(len, left.values()))} processes of testbeds whose kernel has ended",
            "%rml clean",
        )
