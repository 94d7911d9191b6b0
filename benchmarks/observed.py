"""Traffic while everybody looks: it must crash nothing, for as long as one likes.

Six nodes each emit events and call their neighbour's service, with 1 kB to 6 MB of NumPy arrays and
torch tensors. Handlers fail now and then; callers keep the errors, in cycles too. Meanwhile every
view is open and seen, and who is at work is asked every 0.1 s. Chapters of a few minutes alternate
between engines, one process and the relay. Prints a row for each chapter, and fails as soon as an
engine is lost.

    python benchmarks/observed.py                           # an hour
    python benchmarks/observed.py --minutes 20 --no-torch
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import sys
import threading
import time
from typing import Any

import cloudpickle
import psutil
from peers import machine

from roleml_nb import Event, EventHandler, Role, Service, Task, Testbed
from roleml_nb.widgets.base.view import View

NODES = 6
SIZES = (1_000, 2_000, 20_000, 400_000, 1_500_000, 6_000_000)
"""Bytes of the arrays. Nearly all calls carry 2 kB of text; one in fifty an array."""
KEPT = 20
"""Errors that each role keeps."""
LOOK_S = 0.1


class Peer(Role):
    """Emits, calls its neighbour, and keeps the errors that it meets."""

    beat = Event()

    def __init__(self):
        super().__init__()
        self.calls = self.failures = 0
        self.errors = []
        self.last = None

    @Service(expand=True)
    def take(self, caller, number, text=None, array=None):
        self.last = array
        if number % 7 == 3:
            raise ValueError(f"number {number} is refused")
        return array if number % 100 == 50 else None

    @EventHandler("previous", "beat")
    def hear(self, _, args, payloads):
        if args["number"] % 500 == 0:
            raise ValueError(f"event {args['number']} is refused")

    @Task(expand=True)
    def run(self, caller, seconds, torch):
        import random
        import time

        import numpy

        if torch:
            from torch import from_numpy
        else:
            from_numpy = numpy.asarray
        draw, until = random.Random(self.name), time.monotonic() + seconds
        while time.monotonic() < until:
            self.calls += 1
            number, array = self.calls, None
            if number % 50 == 0:
                array = numpy.full(draw.choice(SIZES) // 4, number, numpy.float32)
                array = from_numpy(array) if number % 100 == 0 else array
            try:
                self.call("next", "take", {"number": number, "text": "x" * 2_000}, {"array": array})
            # kept as users keep them: with its traceback, in a cycle with the role
            except Exception as error:
                self.failures += 1
                error.role = self
                self.errors = [*self.errors[-KEPT:], error]
            self.beat.emit({"number": number}, {"array": array})
        return self.calls, self.failures


cloudpickle.register_pickle_by_value(sys.modules[__name__])


def build(engines: int, links: tuple[str, ...]) -> Testbed:
    bed = Testbed(engines=engines, links=links, preload=())
    names = [f"node{number}" for number in range(NODES)]
    bed.spawn(*names)
    bed.assign("node*", "peer", Peer)
    for name, other in zip(names, [*names[1:], names[0]], strict=True):
        bed.relate(name, "next", f"{other}/peer")
        bed.relate(other, "previous", f"{name}/peer")
    return bed


def open_views(bed: Testbed) -> list[Any]:
    """Every view, told that a page shows it."""
    opened = [bed.board(), bed.traffic(), bed.metrics(), bed.run_bar()]
    for one in opened:
        for view in (one, *getattr(one, "children", ())):
            if isinstance(view, View):
                view._on_message(None, {"kind": "seen", "view": "page", "seen": True}, [])
    return [*opened, bed.logs()]


def look(bed: Testbed, ended: threading.Event, looks: list[str]) -> None:
    """Ask all that can be asked, ten times a second."""
    while not ended.wait(LOOK_S):
        looks.append(f"{bed.waiting()} {bed.links()} {bed.errors} {bed.trace} {bed.status()}"[:1])
        if len(looks) % 10 == 0:
            gc.collect()


def chapter(
    engines: int, links: tuple[str, ...], seconds: float, torch: bool
) -> tuple[int, int, int, float]:
    """Calls, failures, looks, and MB of this process at the end. Raises when an engine is lost."""
    bed = build(engines, links)
    looks: list[str] = []
    ended = threading.Event()
    views = open_views(bed)
    try:
        thread = threading.Thread(target=look, args=(bed, ended, looks), name="looks")
        thread.start()
        runs = [
            bed.call_task(f"node{number}/peer", "run", {"seconds": seconds, "torch": torch})
            for number in range(NODES)
        ]
        results = [run.result(seconds + 300) for run in runs]
        ended.set()
        thread.join()
        if bed.lost:
            raise SystemExit(f"lost: {bed.lost}")
    finally:
        ended.set()
        bed.stop()
        for view in views:
            getattr(view, "close", lambda: None)()
    calls, failures = (sum(column) for column in zip(*results, strict=True))
    return calls, failures, len(looks), psutil.Process().memory_info().rss / 1e6


KINDS = {
    "2 engines": (2, ("direct", "relay")),
    "one process": (0, ("direct", "relay")),
    "2 engines, relay": (2, ("relay",)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--chapter", type=float, default=3.0, help="minutes of each testbed")
    parser.add_argument("--no-torch", action="store_true")
    given = parser.parse_args()
    faulthandler.enable()
    print(f"{machine()}, {'no torch' if given.no_torch else 'torch'}\n")
    print(
        "| testbed | minutes | calls | failed | looks | MB here | lost"
        " |\n|---|---|---|---|---|---|---|"
    )
    until, number = time.monotonic() + 60 * given.minutes, 0
    while time.monotonic() < until or number < len(KINDS):
        name, (engines, links) = list(KINDS.items())[number % len(KINDS)]
        seconds = min(60 * given.chapter, 60 * given.minutes / len(KINDS))
        calls, failures, looks, mb = chapter(engines, links, seconds, not given.no_torch)
        print(
            f"| {name} | {seconds / 60:.2f} | {calls} | {failures} | {looks} | {mb:.0f} | 0 |",
            flush=True,
        )
        number += 1


if __name__ == "__main__":
    main()
