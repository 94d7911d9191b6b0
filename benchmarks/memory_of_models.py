"""Peak memory of federated averaging with a large model, and what idle nodes cost in threads and
processes.

    python benchmarks/memory_of_models.py [--megabytes 50] [--clients 10] [--rounds 3] [--engines 2]
    [--idle 50]

The peak is that of each engine's memory during the rounds (Linux: its proportional set, in which a
page that is mapped several times counts once), above what it was before models were made. Bars:
(clients per engine + 3) × the model on each engine; one thread per idle node, and no process.
"""

from __future__ import annotations

import argparse
import os
import threading

import numpy as np
import psutil
from peers import machine

from roleml_nb import Each, Role, RoleInstanceID, Service, Testbed, impl
from roleml_nb.library import EpochTrainer, FedAvgAggregator, FederatedCoordinator
from roleml_nb.workload import ArrayDataset, mlp

INPUTS, CLASSES = 100, 10


def noise(part: int) -> ArrayDataset:
    rng = np.random.default_rng(part)
    return ArrayDataset(
        rng.normal(size=(32, INPUTS)).astype(np.float32), rng.integers(CLASSES, size=32)
    )


class Process(Role):
    """Says which process it lives in."""

    @Service(expand=True)
    def number(self, caller: RoleInstanceID) -> int:
        return os.getpid()


def engines_of(bed: Testbed) -> list[psutil.Process]:
    for engine in range(bed.engines):
        bed.spawn(f"engine{engine}", on=engine)
    bed.assign("engine*", "process", Process)
    return [psutil.Process(number) for number in bed.call("engine*/process", "number").values()]


def memory_of(process: psutil.Process) -> int:
    """Bytes."""
    try:
        with open(f"/proc/{process.pid}/smaps_rollup") as report:
            return next(int(line.split()[1]) * 1024 for line in report if line.startswith("Pss:"))
    except OSError:
        return int(process.memory_info().rss)


class Peak:
    """The highest memory of processes while it is entered, in bytes, sampled every 5 ms."""

    def __init__(self, processes: list[psutil.Process]):
        self.processes, self._done = processes, threading.Event()
        self.before = [memory_of(process) for process in processes]
        self.highest = list(self.before)
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._done.wait(0.005):
            self.highest = [
                max(known, memory_of(process))
                for known, process in zip(self.highest, self.processes, strict=True)
            ]

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def peak_of_rounds(
    megabytes: float, clients: int, rounds: int, engines: int, workers: int | None
) -> list[float]:
    """Peak of each engine above what it had before, in models."""
    # two such layers, whose activations are small beside the model
    wide = int((megabytes * 1e6 / 4) ** 0.5)
    with Testbed(engines=engines, workers=workers) as bed:
        processes = engines_of(bed)
        for name, width in (("small", 1), ("large", (wide, wide))):
            server = f"{name}-server"
            bed.spawn(server, on=0)
            group = bed.spawn(f"{name}-client{{1..{clients}}}")
            with Peak(processes) as peak:
                group.assign(
                    "trainer",
                    EpochTrainer,
                    elements={
                        "model": impl(mlp, INPUTS, CLASSES, hidden=width),
                        "dataset": impl(noise, part=Each(range(clients))),
                    },
                )
                bed.assign(server, "aggregator", FedAvgAggregator)
                bed.assign(server, "coordinator", FederatedCoordinator)
                bed.relate(server, "trainer", group.role("trainer"))
                bed.call(f"{server}/coordinator", "run", {"num_rounds": rounds})
    return [
        (high - low) / (megabytes * 1e6)
        for high, low in zip(peak.highest, peak.before, strict=True)
    ]


def idle(nodes: int, engines: int) -> tuple[int, int]:
    """How many threads and processes so many nodes with a trainer each add, once all is quiet."""

    def count() -> tuple[int, int]:
        processes = psutil.Process().children(recursive=True)
        return sum(process.num_threads() for process in processes), len(processes)

    def trainers(bed: Testbed, pattern: str) -> None:
        bed.spawn(pattern).assign(
            "trainer",
            EpochTrainer,
            elements={"model": impl(mlp, INPUTS, CLASSES, hidden=1), "dataset": impl(noise, 0)},
        )

    with Testbed(engines=engines) as bed:
        trainers(bed, "first{1..2}")
        before = count()
        trainers(bed, f"idle{{1..{nodes}}}")
        after = count()
    return after[0] - before[0], after[1] - before[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=float, default=50)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engines", type=int, default=2)
    parser.add_argument("--workers", type=int, help="tasks at the same time on an engine")
    parser.add_argument("--idle", type=int, default=50)
    given = parser.parse_args()
    print(
        f"{machine()}; a model of {given.megabytes:g} MB, {given.clients} clients, {given.rounds}"
        " rounds\n"
    )
    print("| what | measured | bar | met |\n|---|---|---|---|")
    bar = -(-given.clients // given.engines) + 3
    peaks = peak_of_rounds(
        given.megabytes, given.clients, given.rounds, given.engines, given.workers
    )
    for engine, models in enumerate(peaks):
        name = f"engine {engine}{', with the server' if engine == 0 else ''}"
        print(
            f"| peak of {name} | {models:.1f} × the model | ≤ {bar} × |"
            f" {'yes' if models <= bar else 'no'} |"
        )
    threads, processes = idle(given.idle, given.engines)
    print(
        f"| {given.idle} idle nodes | {threads} threads, {processes} processes | ≤ {given.idle}"
        f" threads, 0 processes | {'yes' if threads <= given.idle and processes == 0 else 'no'} |"
    )


if __name__ == "__main__":
    main()
