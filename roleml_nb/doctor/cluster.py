"""Examines a testbed: its engines, links, memory and threads, and leftovers of earlier ones."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

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

Folder = TypeVar("Folder", str, Path)
DEFAULT_ENGINES = 2
"""Engines that the machine must be able to start."""


class Engine(NamedTuple):
    """An engine, as it describes itself."""

    machine: str
    cores: int
    pid: int
    rss: float
    """Bytes."""
    threads: int | None
    """Of torch; None while it is not loaded."""


def describe_engine(host: Host) -> Engine:
    """Describe the engine that this function runs on."""
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
        engines = []
        for host, found in bed.fleet.on_hosts(describe_engine).items():
            if host in bed.fleet.numbers:
                engines.append(found)
                torch = "not loaded" if found.threads is None else f"with {found.threads} threads"
                report.add_facts(
                    "engines",
                    f"{host}: process {found.pid}, {found.rss / MB:.0f} MB, torch {torch}",
                )
        check_threads(report, engines)
        check_lost(report, bed.lost)
        check_links(report, bed.fleet.links)
    if bed.errors:
        report.add_problem(
            f"{len(bed.errors)} errors that nobody waited for, the last one: {bed.errors[-1]}",
            "look at bed.errors",
        )


def check_threads(report: Report, engines: Sequence[Engine]) -> None:
    """Report machines that have fewer cores than torch's threads, or than engines."""
    by_machine: dict[str, list[Engine]] = {}
    for each in engines:
        by_machine.setdefault(each.machine, []).append(each)
    for here in by_machine.values():
        threads = sum(each.threads or 1 for each in here)
        cores = here[0].cores
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
    """Report the kinds of links, and those that use the relay without need."""
    kinds: Counter[str] = Counter()
    slow: dict[tuple[str, str], str] = {}
    for ends, (kind, why) in links.items():
        kinds[kind] += 1
        if kind == "relay" and why != "as asked":
            slow[ends] = why
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    report.add_facts("links", counts or "none")
    if slow:
        (sender, receiver), why = next(iter(slow.items()))
        report.add_problem(
            f"{len(slow)} links use the relay, some milliseconds slower a message, such as {sender}"
            f" → {receiver}: {why}",
            "let the engines' machines reach each other over TCP; %rml links shows all",
        )


def examine_requirements(report: Report) -> None:
    """Report reasons why engines cannot start here, and folders used in place of the usual ones."""
    for lack in find_lacks(DEFAULT_ENGINES):
        report.add_problem(
            f"engines cannot start: {lack.what}", f"{lack.fix}; or %rml start --engines 0"
        )
    check_folders(
        report,
        "records of testbeds",
        runtime_files.folders(),
        why_unwritable,
        "HOME, JUPYTER_RUNTIME_DIR or TMPDIR",
    )
    check_folders(report, "sockets and logs", temporary_folders(), why_unfit, "TMPDIR")
    why = why_unwritable(ipython_folder())
    if why:
        report.add_facts(
            "folders",
            f"engines use an IPython folder of their own: {ipython_folder()} ({why}); set HOME or"
            " IPYTHONDIR",
        )


def check_folders(
    report: Report,
    what: str,
    folders: Iterable[Folder],
    find_fault: Callable[[Folder], str],
    variables: str,
) -> None:
    """Report the folder that is used instead of the first one; a problem when none can be used.

    `find_fault` returns the reason why a folder cannot be used, or an empty text.
    """
    refused: list[str] = []
    for folder in folders:
        fault = find_fault(folder)
        if not fault:
            if refused:
                report.add_facts(
                    "folders",
                    f"{what} lie in {folder}: {refused[0]}; set {variables} to have them elsewhere",
                )
            return
        refused.append(f"{folder} ({fault})")
    report.add_problem(
        f"engines cannot start: no folder for {what}: {', '.join(refused)}",
        f"set {variables} to a writable folder with free space; or %rml start --engines 0",
    )


def examine_left_behind(report: Report) -> None:
    left = runtime_files.left_behind()
    lines = []
    for record, processes in left.items():
        lines.append(f"testbed {record.testbed_id}: {len(processes)} processes")
    for record in runtime_files.read_all():
        if record.detached and record.owner.ended and not record.abandoned and record.processes():
            lines.append(
                f"testbed {record.testbed_id}: detached, {record.engines} engines, for %rml attach"
            )
    report.add_facts("left behind", *(lines or ["nothing"]))
    if left:
        report.add_problem(
            f"{sum(map(len, left.values()))} processes of testbeds whose kernel has ended",
            "%rml clean",
        )
