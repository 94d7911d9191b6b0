"""How soon a killed engine is noticed: from SIGKILL to `NodeLost`, in the notebook and on another
engine.

    python benchmarks/node_lost.py [--kills 12]

One engine after the other is killed while two calls wait for it, one from the notebook and one from
a node on an engine that stays. Prints a row for each, and the bar: 2 s.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import time

import cloudpickle
from peers import machine

from roleml_nb import NodeLost, Role, Service, Task, Testbed

ENGINES = 4
BAR = 2.0


class Victim(Role):
    @Service(expand=True)
    def pid(self, caller):
        return os.getpid()

    @Task(expand=True)
    def hang(self, caller):
        time.sleep(600)


class Witness(Role):
    @Task(expand=True)
    def watch(self, caller, node: str):
        """When the call that waits for a node ended, and how."""
        try:
            self.call_task(f"{node}/victim", "hang").result(60)
        except NodeLost as error:
            return time.time(), str(error)


cloudpickle.register_pickle_by_value(__import__(__name__))


def kill_all_but_one(kills: int, here: list[float], there: list[float]) -> None:
    with Testbed(engines=min(ENGINES, kills + 1), preload=(), timeout=60) as bed:
        bed.spawn("witness", on=0)
        bed.assign("witness", "witness", Witness)
        for engine in range(1, min(ENGINES, kills + 1)):
            node = f"victim{engine}"
            bed.spawn(node, on=engine)
            bed.assign(node, "victim", Victim)
            pid = bed.call(f"{node}/victim", "pid")
            waiting = bed.call_task(f"{node}/victim", "hang")
            watching = bed.call_task("witness/witness", "watch", {"node": node})
            while (
                sum(
                    f"{node}/victim.hang" in line and "handler running" in line
                    for line in bed.waiting()
                )
                < 2
            ):
                time.sleep(0.05)
            killed = time.time()
            os.kill(pid, signal.SIGKILL)
            error = waiting.exception(60)
            here.append(time.time() - killed)
            when, text = watching.result(60)
            there.append(when - killed)
            if not isinstance(error, NodeLost) or f"engine{engine} is lost" not in text:
                raise SystemExit(f"something else happened: {error!r}, {text}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=12)
    kills = parser.parse_args().kills
    here: list[float] = []
    there: list[float] = []
    while len(here) < kills:
        kill_all_but_one(kills - len(here), here, there)
    print(f"{machine()}; {len(here)} engines killed\n")
    print("| from SIGKILL to NodeLost | median | slowest | bar | met |\n|---|---|---|---|---|")
    for name, times in (("in the notebook", here), ("on another engine", there)):
        print(
            f"| {name} | {statistics.median(times):.2f} s | {max(times):.2f} s | {BAR:.0f} s | "
            f"{'yes' if max(times) <= BAR else 'no'} |"
        )
    print(
        "\nEach, in s: " + ", ".join(f"{a:.2f}/{b:.2f}" for a, b in zip(here, there, strict=True))
    )


if __name__ == "__main__":
    main()
