"""The rows of compare.py, measured in a process of one version: asked for by name on standard
input, answered with seconds on standard output. Only public names are used, old ones too.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from message_roles import Client, Exchange, Server, Updater

from roleml_nb import Each, Testbed, impl
from roleml_nb.library import EpochTrainer, FedAvgAggregator, FederatedCoordinator
from roleml_nb.workload import digits, mlp

MANY = 50


class Rows:
    """A testbed of one version, with what its rows need; each method is a row, in seconds."""

    def __init__(self, engines: int):
        self.bed = bed = Testbed(engines=engines, seed=0)
        self.engines = engines
        self.folder = Path(tempfile.mkdtemp())
        bed.spawn("a", "beside", on=0 if engines else None)
        bed.spawn("b", on=min(1, engines - 1) if engines else None)
        bed.assign(["a", "beside"], "server", Server)
        bed.assign(["a", "b"], "client", Client)
        bed.relate("b", "server", "a/server")
        bed.relate("a", "server", "beside/server")
        bed.spawn(f"peer{{1..{MANY}}}")
        bed.assign("peer*", "server", Server)
        bed.assign("peer*", "updater", Updater)
        bed.relate("b", "all", "peer*/server")
        bed.assign("a", "exchange", Exchange)
        bed.relate("a", "members", "peer*/updater")
        bed.spawn("server", "learner{1..4}")
        bed.assign(
            "learner*",
            "trainer",
            EpochTrainer,
            elements={
                "model": impl(mlp, 64, 10),
                "dataset": impl(digits, part=Each(range(4)), parts=16),
            },
        )
        bed.assign("server", "aggregator", FedAvgAggregator)
        bed.assign("server", "coordinator", FederatedCoordinator)
        bed.relate("server", "trainer", "learner*/trainer")

    def call_within_engine(self) -> float:
        return self.bed.call("a/client", "measure", {"calls": 300}) / 1000

    def call_across_engines(self) -> float:
        return self.bed.call("b/client", "measure", {"calls": 200}) / 1000

    def call_with_1_mb(self) -> float:
        return self.bed.call("b/client", "measure", {"calls": 40, "size": 1_000_000}) / 1000

    def task_across_engines(self) -> float:
        return 1 / self.bed.call("b/client", "flood", {"calls": 1000})

    def broadcast_of_1_mb(self) -> float:
        given = {"relationship": "all", "times": 4, "size": 1_000_000}
        return self.bed.call("b/client", "broadcast", given) / 1000

    def exchange_with_all(self) -> float:
        return _timed(lambda: self.bed.call("a/exchange", "run", {"rounds": 3, "size": 10_000}))

    def fedavg_rounds(self) -> float:
        return _timed(lambda: self.bed.call("server/coordinator", "run", {"num_rounds": 4}))

    def assign_and_terminate_50(self) -> float:
        def change() -> None:
            self.bed.assign("peer*", "another", Updater)
            self.bed.terminate("peer*", "another")

        return _timed(change)

    def spawn_and_remove_20(self) -> float:
        def change() -> None:
            self.bed.spawn("brief{1..20}")
            self.bed.remove("brief*")

        return _timed(change)

    def checkpoint(self) -> float:
        return _timed(lambda: self.bed.save(self.folder / "state.checkpoint"))

    def spec(self) -> float:
        return _timed(self.bed.spec)

    def tables_of_trace(self) -> float:
        return _timed(self.bed.trace.messages.to_pandas)

    def board(self) -> float:
        return _timed(lambda: self.bed.board()._repr_mimebundle_())

    def end(self) -> None:
        self.bed.stop()


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


NAMES = [name for name in vars(Rows) if not name.startswith("_") and name != "end"]


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")  # what a row prints does not get between
    os.dup2(2, 1)
    rows = Rows(int(sys.argv[1]))
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(getattr(rows, line.strip())(), file=answers, flush=True)
    rows.end()


if __name__ == "__main__":
    main()
