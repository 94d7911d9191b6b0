"""The loop of a researcher: how soon a changed role is at work, an error is seen, and a run is
stopped.

    python benchmarks/edit_and_see.py [--nodes 100] [--engines 2] [--times 5]

All is done by cells of an IPython shell, once the engines have imported torch, which they do while
the user still types. The exceptions tell when they were raised; the machine has one clock.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import time
from collections.abc import Callable

from IPython.core.interactiveshell import InteractiveShell
from peers import machine

ROLE = """%%role
from roleml_nb import Event, EventHandler, Role, Service, Task
class Worker(Role):
    asked = Event()
    @Service(expand=True)
    def get_ready(self, caller):
        import torch
    @Service(expand=True)
    def version(self, caller):
        return {version}
    @Service(expand=True)
    def fail(self, caller):
        import time
        raise ValueError(f"raised at {{time.time()}} s")
    @Service(expand=True)
    def ask(self, caller):
        self.asked.emit()
    @EventHandler("other", "asked")
    def on_asked(self, source, args, payloads):
        import time
        raise ValueError(f"raised at {{time.time()}} s")
    @Task(expand=True)
    def train(self, caller):
        while True:
            sum(range(100_000))
"""


class Notebook:
    """Cells, and what they print."""

    def __init__(self) -> None:
        self.shell = InteractiveShell()
        self.shell.user_ns["__name__"] = "__main__"
        self.run("%load_ext roleml_nb")

    def run(self, cell: str) -> str:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            self.shell.run_cell(cell)
        return out.getvalue()


def since_raised(text: str) -> float:
    """Seconds from the exception that `text` tells of until now."""
    return time.time() - float(text.rpartition("raised at ")[2].partition(" s")[0])


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.002)


def changed(notebook: Notebook, version: int) -> float:
    began = time.perf_counter()
    notebook.run(ROLE.format(version=version))
    answers = notebook.shell.user_ns["bed"].call("n*/worker", "version")
    if set(answers.values()) != {version}:
        raise RuntimeError(f"some nodes have another version than {version}: {answers}")
    return time.perf_counter() - began


def awaited(notebook: Notebook) -> float:
    return since_raised(notebook.run("%rml call n1/worker fail"))


def not_awaited(notebook: Notebook) -> tuple[float, float]:
    """Until `bed.errors` has it, and until a pane shows it."""
    bed, known = notebook.shell.user_ns["bed"], len(notebook.shell.user_ns["bed"].errors)
    pane = bed.logs("n1").pane()
    # as a page that shows it says
    pane._on_message(None, {"kind": "seen", "view": "page", "seen": True}, [])
    bed.call("n2/worker", "ask")
    until(lambda: len(bed.errors) > known)
    noted = since_raised(bed.errors[-1].text)
    text = bed.errors[-1].text.rpartition(": ")[2]
    until(lambda: any(text in said for *_, said in pane._lines))
    shown = since_raised(text)
    pane.close()
    return noted, shown


def stopped(notebook: Notebook) -> float:
    bed = notebook.shell.user_ns["bed"]
    run = bed.run("n*/worker", "train")
    until(lambda: any("handler running" in line for line in bed.waiting()))
    began = time.perf_counter()
    notebook.run("%rml stop --run")
    took = time.perf_counter() - began
    run.wait(30)
    return took


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--engines", type=int, default=2)
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    notebook = Notebook()
    notebook.run(f"%rml start --engines {given.engines}")
    notebook.run(ROLE.format(version=0))
    notebook.run(f"%rml spawn n{{1..{given.nodes}}}")
    notebook.run("%rml assign n* worker=Worker")
    notebook.run("%rml relate n1 other=n2/worker")
    notebook.shell.user_ns["bed"].call("n*/worker", "get-ready")
    repeated = range(1, given.times + 1)
    rows = [
        (
            "a changed role is at work on all nodes",
            0.5,
            [changed(notebook, version) for version in repeated],
        ),
        ("an error is printed by the cell that waits", 0.5, [awaited(notebook) for _ in repeated]),
    ]
    both = [not_awaited(notebook) for _ in repeated]
    rows += [
        ("an error of an event handler is in bed.errors", 0.5, [noted for noted, _ in both]),
        ("… and in a pane of the log", 0.5, [shown for _, shown in both]),
        (
            "%rml stop --run ends busy handlers on all nodes",
            2.0,
            [stopped(notebook) for _ in repeated],
        ),
    ]
    notebook.run("%rml stop")
    print(f"{machine()}; {given.nodes} nodes, {given.engines} engines, {given.times} times\n")
    print("| seconds until | median | worst | bar | met |\n|---|---|---|---|---|")
    for what, bar, taken in rows:
        worst = max(taken)
        print(
            f"| {what} | {statistics.median(taken):.3f} | {worst:.3f} | ≤ {bar} |"
            f" {'yes' if worst <= bar else 'no'} |"
        )


if __name__ == "__main__":
    main()
