"""What the trace of messages and metrics takes of the kernel's memory: for each of them, and
beyond its limit.

    python benchmarks/trace_memory.py [--messages 1000000] [--megabytes 16] [--starts 30]

Messages go from node to node within this process, and each handler emits a number. Memory is what
the process has resident. The first half of the messages fills a trace without a limit; then the
limit is set, and the second half must add nothing. Views are made and left, `starts` times after
as many that are not measured, each by a testbed of its own, in a kernel.
"""

from __future__ import annotations

import argparse
import gc

import psutil
from peers import machine

from roleml_nb import Event, Role, Service, Testbed

CHUNK = 10_000
KERNEL = """
import gc, psutil
from roleml_nb import Testbed

def start():
    with Testbed(engines=0) as bed:
        bed.traffic(), bed.board(), bed.metrics()

def resident():
    gc.collect()
    return psutil.Process().memory_info().rss

for _ in range({starts}):
    start()
before = resident()
for _ in range({starts}):
    start()
print((resident() - before) / {starts})
"""


class Sink(Role):
    @Service(expand=True)
    def take(self, caller, number):
        return number


class Source(Role):
    said = Event()

    @Service(expand=True)
    def send(self, caller, count):
        for number in range(count):
            self.said.emit({"loss": number})
            self.call("sink", "take", {"number": number})


def resident() -> int:
    gc.collect()
    return psutil.Process().memory_info().rss


def of_messages(count: int, megabytes: float) -> list[tuple[str, float, float, str]]:
    """Return (what, bytes, bar, unit) for the messages of a testbed: a call, its reply and a
    metric count as two and one."""
    with Testbed(engines=0) as bed:
        bed.spawn("a", "b")
        bed.assign("a", "source", Source)
        bed.assign("b", "sink", Sink)
        bed.relate("a", "sink", "b/sink")
        limited = hasattr(bed.trace, "limit")
        if limited:
            bed.trace.limit = float("inf")

        def send(messages: int) -> None:
            for _ in range(messages // (2 * CHUNK)):
                bed.call("a/source", "send", {"count": CHUNK}, timeout=600)
            bed.trace.refresh()

        send(count // 10)
        before = resident()
        send(count // 2)
        each = (resident() - before) / (count // 2)
        rows = [("a message, with half a metric", each, 100.0, "bytes")]
        if limited:
            bed.trace.limit = megabytes * 1e6
            send(count // 10)
            before = resident()
            send(count // 2)
            beyond = max(0.0, resident() - before) / (count // 2)
            rows.append(("a message beyond the limit", beyond, 4.0, "bytes"))
            rows.append(("the trace itself", bed.trace.nbytes / 1e6, megabytes, "MB"))
            exact = bed.trace.messages.totals().query("channel == 'take'")["messages"].tolist()
            sent = (2 * (count // 10 // (2 * CHUNK)) + 2 * (count // 2 // (2 * CHUNK))) * CHUNK
            missing = float(sum(abs(number - sent) for number in exact))
            rows.append(("messages missing in totals", missing, 0.0, ""))
    return rows


def of_views(starts: int) -> float:
    """Return the bytes that a start with three views leaves in a kernel."""
    from jupyter_client.manager import start_new_kernel

    said: list[str] = []

    def hear(message: dict) -> None:
        said.append(
            message["content"].get("text", "") or "\n".join(message["content"].get("traceback", []))
        )

    manager, client = start_new_kernel()
    try:
        client.execute_interactive(KERNEL.format(starts=starts), timeout=600, output_hook=hear)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return float("".join(said).split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--megabytes", type=float, default=16)
    parser.add_argument("--starts", type=int, default=30)
    given = parser.parse_args()
    rows = of_messages(given.messages, given.megabytes)
    rows.append(
        ("a start with views, in a kernel", max(0.0, of_views(given.starts)) / 1e6, 0.1, "MB")
    )
    print(f"{machine()}; {given.messages:,} messages\n")
    print("| what | takes | bar | met |\n|---|---|---|---|")
    for what, size, bar, unit in rows:
        met = "yes" if size <= bar else "no"
        print(f"| {what} | {size:.3g} {unit} | ≤ {bar:g} {unit} | {met} |".replace("  ", " "))


if __name__ == "__main__":
    main()
