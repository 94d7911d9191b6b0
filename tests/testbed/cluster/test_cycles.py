"""No cycle of ours has raw memory in it: CPython before 3.11.8, 3.12.2 and 3.13 may crash when it
collects one.
"""

import threading

import numpy as np
import pytest

from roleml_nb import Event, EventHandler, HandlerError, Role, Service, Task

ARRAY = np.arange(300_000, dtype=np.float32)


class Busy(Role):
    beat = Event()

    @Service(expand=True)
    def take(self, caller, number, array):
        if number % 3 == 0:
            raise ValueError("every third is refused")
        return array

    @EventHandler("other", "beat")
    def hear(self, _, args, payloads):
        if args["number"] % 10 == 0:
            raise ValueError("every tenth is refused")

    @Task(expand=True)
    def run(self, caller, calls):
        refused = 0
        for number in range(calls):
            try:
                self.call("other", "take", {"number": number}, {"array": ARRAY})
            except HandlerError as error:
                error.cycle = error
                refused += 1
            self.beat.emit({"number": number}, {"array": ARRAY})
        return refused

    @Service(expand=True)
    def watch(self, caller):
        """From now on the garbage is kept."""
        import gc

        gc.collect()
        gc.set_debug(gc.DEBUG_SAVEALL)

    @Service(expand=True)
    def garbage(self, caller):
        """The types of raw memory that were in cycles since then, and how much was in any."""
        import gc

        gc.collect()
        gc.set_debug(0)
        raw = {"memoryview", "PickleBuffer", "managedbuffer"}
        found = sorted(
            {
                f"{type(one).__module__}.{type(one).__name__}"
                for one in gc.garbage
                if type(one).__name__ in raw
            }
        )
        everything = len(gc.garbage)
        gc.garbage.clear()
        return found, everything


def test_traffic_that_is_looked_at_leaves_no_raw_memory_in_cycles(bed):
    bed.spawn("cycle1", "cycle2")
    bed.assign("cycle*", "busy", Busy)
    for one, other in (("cycle1", "cycle2"), ("cycle2", "cycle1")):
        bed.relate(one, "other", f"{other}/busy")
    bed.call("cycle*/busy", "watch")
    runs = [bed.call_task(f"{node}/busy", "run", {"calls": 60}) for node in ("cycle1", "cycle2")]
    ended = threading.Event()

    def look():
        while not ended.is_set():
            bed.waiting()

    looks = threading.Thread(target=look)
    looks.start()
    try:
        assert [run.result(60) for run in runs] == [20, 20]
    finally:
        ended.set()
        looks.join()
        found = [bed.call(f"{node}/busy", "garbage") for node in ("cycle1", "cycle2")]
    assert [raw for raw, _ in found] == [[], []]
    # errors in cycles, as the handlers keep them, are there
    assert sum(count for _, count in found) > 100


@pytest.mark.parametrize(
    "make",
    [lambda: ARRAY, lambda: ARRAY.reshape(300, 1000)[:, ::2], lambda: np.float64(2)],
    ids=["array", "strided", "scalar"],
)
def test_what_is_sent_is_the_array_and_no_view_of_it(make):
    from roleml_nb.messaging.serialization.arrays import reduce_array

    *_, buffer = reduce_array(np.asarray(make()))[1]
    assert not isinstance(memoryview(buffer).obj, memoryview)
    assert isinstance(memoryview(buffer).obj, np.ndarray)
