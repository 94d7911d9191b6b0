"""How soon `bed.stop_run()` has ended handlers that compute in pure Python without end, and how
soon their calls have ended.

    python benchmarks/stop_run.py [--busy 75] [--links direct relay] [--pauses 0.05 0.3 1 3]
    [--times 3]

So many calls are made to each of two engines, and the run is stopped after each of the pauses:
early, most calls lie unread behind the first busy handlers; later, most have begun. Prints a row
for each kind of link and pause, and the bar: 2 s, and no engine killed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import cloudpickle
from peers import machine

from roleml_nb import Role, Service, Testbed

BAR = 2.0


class Spinner(Role):
    @Service(expand=True)
    def spin(self, caller):
        number = 0
        while True:
            number += 1


cloudpickle.register_pickle_by_value(__import__(__name__))


def stop_once(link: str, busy: int, pause: float) -> tuple[float, float, int]:
    """Seconds until it has ended, and until all calls have; engines killed."""
    with Testbed(engines=2, preload=(), timeout=60, links=(link,)) as bed:
        for engine, node in enumerate("ab"):
            bed.spawn(node, on=engine)
        bed.assign("*", "spinner", Spinner)
        with ThreadPoolExecutor(2 * busy) as pool:
            calls = [
                pool.submit(bed.call, f"{node}/spinner", "spin", timeout=60)
                for _ in range(busy)
                for node in "ab"
            ]
            time.sleep(pause)
            pressed = time.monotonic()
            stopped = bed.stop_run()
            took = time.monotonic() - pressed
            if any(call.exception(60) is None for call in calls):
                raise SystemExit("a handler without end has answered")
            return took, time.monotonic() - pressed, len(stopped.killed)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--busy", type=int, default=75, help="calls to each of two engines")
    parser.add_argument(
        "--links", nargs="+", choices=["direct", "relay"], default=["direct", "relay"]
    )
    parser.add_argument(
        "--pauses", nargs="+", type=float, default=[0.05, 0.3, 1.0, 3.0], help="seconds"
    )
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{machine()}; 2 × {arguments.busy} calls, each row {arguments.times} times\n")
    print(
        "| link | stopped after | median | slowest | all calls ended, slowest | engines killed |"
        " bar | met |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for link in arguments.links:
        for pause in arguments.pauses:
            took, ended, killed = zip(
                *(stop_once(link, arguments.busy, pause) for _ in range(arguments.times)),
                strict=True,
            )
            met = "yes" if max(took) < BAR and not sum(killed) else "no"
            print(
                f"| {link} | {pause:g} s | {statistics.median(took):.2f} s | {max(took):.2f} s |"
                f" {max(ended):.2f} s | {sum(killed)} | ≤ {BAR:g} s | {met} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
