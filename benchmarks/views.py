"""What live views cost, in a real JupyterLab in headless Chromium: frames drawn, the kernel's
processor time, the page's memory.

A thread of the kernel adds messages of 300 nodes to the trace of a testbed, as fast as asked, while
`bed.traffic()` is seen. The kernel's time for the view is the difference to the same with the view
out of sight.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from peers import machine
from playwright.sync_api import Browser

from tests.browser.lab import Lab, Server, browser_and_server

SETUP = """
import random, resource, threading, time
from roleml_nb import Role, Task, Testbed

class Endless(Role):
    @Task(expand=True)
    def run(self, caller):
        while True:
            time.sleep(0.01)

bed = Testbed(engines=0)
nodes = [f"node{number}" for number in range(NODES)]
bed.spawn(*nodes)
bed.assign("node0", "endless", Endless)
bed.wire("random-regular", nodes="node*", role="actor", degree=4)
known = list(bed.registry.known().items())
rate, added, over = 0, 0, threading.Event()

def feed():
    draw, call, due = random.Random(1), 0, 0.0
    while not over.wait(0.05):
        due += rate * 0.05
        rows = []
        while len(rows) + 2 <= due:
            call += 1
            source, others = known[draw.randrange(len(known))]
            target, now = others[draw.randrange(len(others))], time.time()
            ends = f"{source}/gossip", f"{target}/gossip"
            size = draw.randrange(100, 100_000)
            there = (*ends, "exchange", size, "direct", now - 0.01, now - 0.006, "delivered", "")
            ends = ends[::-1]
            back = (*ends, "exchange", 50, "direct", now - 0.004, now - 0.002, "delivered", "")
            rows += [(call, "service", *there), (call, "reply", *back)]
        due -= len(rows)
        bed.trace.add(rows, [])

threading.Thread(target=feed, daemon=True).start()

def processor():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
"""
SAMPLE = "import json; print(json.dumps([processor(), time.time()]))"


def usage(lab: Lab, seconds: float) -> tuple[float, float]:
    """The kernel's share of a core, and frames per second, for so long."""
    begin, drawn = json.loads(lab.kernel(SAMPLE)), frames(lab)
    since = time.monotonic()
    lab.page.wait_for_timeout(seconds * 1000)
    rate = (frames(lab) - drawn) / (time.monotonic() - since)
    end = json.loads(lab.kernel(SAMPLE))
    return (end[0] - begin[0]) / (end[1] - begin[1]), rate


def frames(lab: Lab) -> int:
    return int(lab.page.locator(".traffic").get_attribute("data-frames") or 0)


def heap(lab: Lab) -> float:
    """MB that the page holds after a collection."""
    session = lab.context.new_cdp_session(lab.page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    return {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}[
        "JSHeapUsedSize"
    ] / 1e6


def show(lab: Lab, shown: bool) -> None:
    lab.page.evaluate(
        "(shown) => { document.querySelector('.jp-Notebook').style.display = shown ? '' :"
        " 'none'; }",
        shown,
    )
    lab.page.wait_for_timeout(1500)


def steady(lab: Lab, seconds: float, memory: float) -> list[tuple[str, str, str, bool]]:
    lab.kernel("rate = 2_000")
    lab.page.wait_for_timeout(3000)
    seen, rate = usage(lab, seconds)
    show(lab, False)
    hidden, _ = usage(lab, seconds)
    show(lab, True)
    lab.page.wait_for_timeout(30_000 if memory > 30 else 1000)  # until the ring of messages is full
    before = heap(lab)
    lab.page.wait_for_timeout(memory * 1000)
    after = heap(lab)
    cost = seen - hidden
    return [
        ("frames drawn a second, 2,000 messages/s", f"{rate:.0f}", "≥ 30", rate >= 30),
        ("kernel, share of a core for the view", f"{cost:.1%}", "≤ 15 %", cost <= 0.15),
        (
            f"page memory over {memory:.0f} s",
            f"{before:.1f} → {after:.1f} MB",
            "flat",
            after - before < 5,
        ),
    ]


def flood(lab: Lab) -> list[tuple[str, str, str, bool]]:
    lab.kernel("rate = 20_000; run = bed.run('node0/endless', 'run')")
    lab.page.wait_for_timeout(5000)
    every = int(lab.page.locator(".traffic").get_attribute("data-every") or 1)
    said = "all are counted" in (lab.page.locator(".traffic .counted").text_content() or "")
    stop = lab.page.locator(".runbar .stop")
    begin = time.monotonic()
    stop.click()
    lab.page.wait_for_selector(".runbar[data-state='stopped']")
    answered = time.monotonic() - begin
    lab.kernel("rate = 0")
    lab.page.wait_for_timeout(3000)
    trace = json.loads(
        lab.kernel(
            "ours = [row for row in bed.trace.messages.last(10**9) if row[4] == 'exchange']\n"
            "import json; print(json.dumps([len(ours), sum(row[5] for row in ours)]))"
        )
    )
    lab.page.locator(".traffic select.role").select_option("gossip")
    lab.page.wait_for_timeout(1500)
    told = [
        int(lab.page.locator(".traffic").get_attribute(f"data-{name}") or 0)
        for name in ("messages", "bytes")
    ]
    return [
        (
            "20,000 messages/s: totals are the trace's",
            f"{told[0]:,} of {trace[0]:,}",
            "exact",
            told == trace,
        ),
        ("20,000 messages/s: thinned, and says so", f"1 in {every}", "yes", every > 1 and said),
        (
            "20,000 messages/s: the stop button answers in",
            f"{answered:.2f} s",
            "≤ 1 s",
            answered <= 1,
        ),
    ]


def measure(
    browser: Browser, server: Server, nodes: int, seconds: float, memory: float
) -> list[tuple[str, str, str, bool]]:
    lab = Lab(
        server,
        browser,
        "views",
        [SETUP.replace("NODES", str(nodes)), "bed.run_bar()", "view = bed.traffic()\nview"],
    )
    try:
        lab.page.emulate_media(reduced_motion="no-preference")
        lab.run_all()
        lab.page.wait_for_selector(".traffic[data-ready='1']")
        lab.page.locator(".traffic").scroll_into_view_if_needed()
        rows = [*steady(lab, seconds, memory), *flood(lab)]
        lab.screenshot("views-benchmark")
        lab.kernel("over.set(); bed.stop()")
        return rows
    finally:
        lab.close()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--nodes", type=int, default=300)
    options.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    options.add_argument(
        "--memory",
        type=float,
        default=600.0,
        help="seconds over which the page's memory is looked at",
    )
    given = options.parse_args()
    with browser_and_server() as (browser, server):
        rows = measure(browser, server, given.nodes, given.seconds, given.memory)
    print(
        f"{given.nodes} nodes; {machine()}\n\n| measured | value | wanted | met"
        " |\n|---|---|---|---|"
    )
    for name, value, wanted, met in rows:
        print(f"| {name} | {value} | {wanted} | {'yes' if met else 'no'} |")


if __name__ == "__main__":
    main()
