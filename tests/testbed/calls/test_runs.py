"""bed.run(): calls in the background, and how far they are."""

import threading

import cloudpickle
import pytest

from roleml_nb import CallTimeout, Event, HandlerError, Role, Task
from roleml_nb.role import RoleInstanceID, RunStopped, TestbedError
from roleml_nb.testbed.calls.progress import Progress
from tests.waiting import until


class Rounds(Role):
    round_completed = Event()

    @Task(expand=True)
    def run(self, caller, num_rounds, fail_in=0, wait_in=0):
        for number in range(1, num_rounds + 1):
            if number == fail_in:
                raise ValueError("no data")
            while number == wait_in and not getattr(self, "go", False):
                self.base.host.clock.sleep(0.01)
            self.round_completed.emit({"round": number, "loss": 1 / number})
        return num_rounds

    @Task(expand=True)
    def go_on(self, caller):
        self.go = True


cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))


def test_a_run_goes_on_in_the_background_and_counts_its_rounds(bed):
    bed.spawn("runs-a", "runs-b")
    bed.assign("runs-a", "rounds", Rounds)
    bed.assign("runs-b", "rounds", Rounds)
    run = bed.run("runs-a/rounds", "run", {"num_rounds": 5, "wait_in": 3})
    until(lambda: run.progress.done == 2, "two rounds are done")
    assert not run.done() and run.state == "running" and run.progress.fraction == 0.4
    assert str(run) == f"run {run.number}: runs-a/rounds.run, running, round 2 of 5"
    assert run in bed.runs.under_way and bed.runs[run.number] is bed.runs.last is run
    with pytest.raises(
        CallTimeout,
        match=(
            r"has not ended after \d+\.\d s and goes on: running, round 2 of 5.*handler running"
            r" since"
        ),
    ):
        run.result(timeout=0.01)
    bed.call("runs-a/rounds", "go-on")
    assert run.result() == 5
    assert run.progress.by_role == {"runs-a/rounds": 5} and run.progress.left == 0
    assert str(run) == f"run {run.number}: runs-a/rounds.run, done, round 5 of 5"
    both = bed.run("runs-*/rounds", "run", {"num_rounds": 4})
    assert both.result() == {"runs-a": 4, "runs-b": 4}
    assert both.progress.done == 4 and both.progress.fraction == 1.0


def test_how_a_run_ended_is_told(bed):
    bed.spawn("ends-a")
    bed.assign("ends-a", "rounds", Rounds)
    failed = bed.run("ends-a/rounds", "run", {"num_rounds": 5, "fail_in": 3})
    assert failed.wait(30) and failed.state == "failed" and failed.progress.rounds == "round 2 of 5"
    with pytest.raises(HandlerError, match="no data"):
        failed.result()
    stopped = bed.run("ends-a/rounds", "run", {"num_rounds": 5, "wait_in": 1})
    until(lambda: any("handler running" in line for line in bed.waiting()), "it runs")
    bed.stop_run()
    assert stopped.wait(30) and stopped.state == "stopped"
    with pytest.raises(RunStopped):
        stopped.result()
    with pytest.raises(TestbedError, match=r"no run 1000; there are: .*\d"):
        bed.runs[1000]


def test_the_rate_is_that_of_the_last_rounds():
    now = [0.0]
    looked = threading.Event()
    progress = Progress([RoleInstanceID("a", "r")], 10, 0.0, looked.set, lambda: now[0])
    assert progress.rate is None and progress.left is None and looked.is_set()
    rows = [
        (2.0 + step / 2, "a", "r", "round-completed", name, 1.0, step)
        for step in range(1, 6)
        for name in ("loss", "round")
    ]
    progress.add_metrics(
        [
            *rows,
            (3.0, "b", "r", "round-completed", "round", 1.0, 1),
            (3.0, "a", "r", "other", "round", 1.0, 9),
        ]
    )
    assert progress.done == 5 and progress.rate == 2.0 and progress.left == 2.5
    assert str(progress) == "running, round 5 of 10, 2 rounds/s, 2 s left"
    progress.end(
        "failed",
        lambda: progress.add_metrics([(9.0, "a", "r", "round-completed", "round", 6.0, 6)]),
    )
    assert progress.left == 0 and str(progress) == "failed, round 6 of 10"
