"""Whether memory stays flat: resident memory of kernel, controller and engines over rounds of model
traffic.

    python benchmarks/memory.py [--rounds 200] [--megabytes 2.5]

Each round an array goes from one node to two others and comes back, which makes 4 × `megabytes` of
traffic.
"""

from __future__ import annotations

import argparse

import psutil
from message_roles import Exchange, Updater
from peers import machine

from roleml_nb import Testbed

SETTLED = 20
"""Rounds after which memory is to have reached its level."""


def name_of(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    for part, name in (
        ("ipyparallel.engine", "engine"),
        ("ipyparallel.controller", "controller"),
        ("nanny", "nanny"),
        ("watchdog", "watchdog"),
    ):
        if part in line:
            return name
    return "kernel" if process.pid == psutil.Process().pid else "other"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--megabytes", type=float, default=2.5)
    given = parser.parse_args()
    settled = min(SETTLED, given.rounds // 2)
    with Testbed(engines=2, preload=()) as bed:
        bed.spawn("server", "first", on=0)
        bed.spawn("second", on=1)
        bed.assign("server", "exchange", Exchange)
        bed.assign(["first", "second"], "updater", Updater)
        bed.relate("server", "members", ["first/updater", "second/updater"])
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]

        def rounds(number: int) -> dict[int, int]:
            bed.call(
                "server/exchange",
                "run",
                {"rounds": number, "size": int(given.megabytes * 250_000)},
                timeout=600,
            )
            bed.trace.messages.to_pandas()  # notes are the kernel's own: they are in its level
            return {
                process.pid: process.memory_info().rss
                for process in processes
                if process.is_running()
            }

        before = rounds(settled)
        after = rounds(given.rounds - settled)
        names = {process.pid: name_of(process) for process in processes if process.pid in after}
    print(
        f"{machine()}; {given.rounds} rounds, {4 * given.megabytes * given.rounds / 1000:.1f} GB of"
        " model traffic\n"
    )
    print(
        f"| process | after {settled} rounds | after {given.rounds} | ratio | bar | met"
        " |\n|---|---|---|---|---|---|"
    )
    for pid, name in names.items():
        ratio = after[pid] / before[pid]
        print(
            f"| {name} | {before[pid] / 1e6:.0f} MB | {after[pid] / 1e6:.0f} MB | {ratio:.3f} | ≤"
            f" 1.05 | {'yes' if ratio <= 1.05 else 'no'} |"
        )


if __name__ == "__main__":
    main()
