"""Two testbeds in one kernel: the same names in both, and neither knows of the other."""

import cloudpickle
import pytest

from roleml_nb import Event, EventHandler, Role, RoleMLError, Service, Task, Testbed
from tests.waiting import until


class Worker(Role):
    round_completed = Event()

    def __init__(self, name):
        self.called = name

    @Service(expand=True)
    def who(self, caller):
        print(f"I am {self.called}")
        self.round_completed.emit({"loss": len(self.called)})
        return self.called, float(self.rng().random())

    @Task(expand=True)
    def work_until(self, caller):
        while not getattr(self, "enough", False):
            self.base.host.clock.sleep(0.01)
        return self.called

    @Service(expand=True)
    def stop_work(self, caller):
        self.enough = True

    @EventHandler("other", "round-completed", expand=True)
    def on_round(self, source, loss):
        raise ValueError(f"{self.called} has heard {loss}")


cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))


def deploy(bed, name):
    bed.spawn("apart-a", "apart-b")
    bed.assign("apart-*", "worker", Worker, options={"name": name})
    bed.relate("apart-a", "other", "apart-b/worker")


def test_they_do_not_disturb_each_other(bed):
    with Testbed(engines=0, seed=bed.seed + 1) as other:
        deploy(bed, "first")
        deploy(other, "the second")
        other.spawn("apart-c")
        mine, theirs = bed.call("apart-b/worker", "who"), other.call("apart-b/worker", "who")
        assert (mine[0], theirs[0]) == ("first", "the second") and mine[1] != theirs[1]
        for one, name in ((bed, "first"), (other, "the second")):
            told = until(
                lambda one=one: [item for item in one.errors if item.node == "apart-a"],
                "the error is told",
                30,
            )
            assert [item.text.rpartition(": ")[2] for item in told] == [
                f"{name} has heard {len(name)}"
            ]
            assert [line.text for line in one.logs("apart-b")] == [f"I am {name}"]
            metrics = one.trace.metrics.to_pandas().query("node == 'apart-b'")
            assert list(metrics.value) == [len(name)]
        with pytest.raises(RoleMLError, match="no node matches 'apart-c'"):
            bed.call("apart-c/worker", "who")

        run = bed.run("apart-a/worker", "work-until")
        until(
            lambda: any(
                "apart-a/worker.work-until" in line and "running" in line for line in bed.waiting()
            ),
            "it runs",
            30,
        )
        assert other.waiting() == [] and len(other.runs) == 0
        assert "nothing was at work" in str(other.stop_run()) and not run.done()

        class Worker2(Worker):
            pass

        Worker2.__name__ = Worker2.__qualname__ = Worker.__name__
        assert other.versions.number(Worker2) == 2 and bed.versions.number(Worker) == 1
    assert bed.running and not other.running and not run.done()
    bed.call("apart-a/worker", "stop-work")
    assert run.result(30) == "first" and bed.call("apart-a/worker", "who")[0] == "first"
