"""%rml call --background, %rml runs and %rml wait, and the bar of a call that takes long."""

import _thread
import threading

import pytest
from IPython.core.error import UsageError

from roleml_nb import HandlerError
from roleml_nb.magics import progress
from roleml_nb.testbed.calls.runs import LiveRun
from tests.shells import run
from tests.waiting import until

ROLE = """
from roleml_nb import Role, Task, Event
class Rounds(Role):
    round_completed = Event()
    @Task(expand=True)
    def run(self, caller, num_rounds, fail=False, stay_in=0):
        for number in range(1, num_rounds + 1):
            self.round_completed.emit({"round": number})
            while number == stay_in and not getattr(self, "may_go_on", False):
                self.base.host.clock.sleep(0.01)
        if fail:
            raise ValueError("no data")
        return {"rounds": num_rounds, "accuracy": 0.51239}
    @Task(expand=True)
    def go_on(self, caller):
        self.may_go_on = True
    @Task(expand=True)
    def spin(self, caller):
        while True:
            sum(range(1000))
"""


@pytest.fixture
def rounds(shell, capsys):
    run(shell, capsys, "start --engines 0")
    assert shell.run_cell(ROLE).success
    run(shell, capsys, "spawn r1 r2")
    run(shell, capsys, "assign r* rounds=Rounds")
    return shell


def test_a_call_in_the_background(rounds, capsys):
    bed = rounds.user_ns["bed"]
    assert run(rounds, capsys, "runs") == "no runs\n"
    assert run(rounds, capsys, "call r1/rounds run num_rounds=3") == "rounds=3, accuracy=0.5124\n"
    assert run(rounds, capsys, "runs") == "no runs\n"
    assert (
        run(rounds, capsys, "call r1/rounds run num_rounds=4 --background")
        == "run 1: r1/rounds.run, in the background\n"
    )
    assert bed.runs[1].wait(30)
    rounds.run_cell("pass")
    assert (
        capsys.readouterr().err
        == "run 1 has ended: r1/rounds.run, round 4 of 4; its result: %rml wait 1\n"
    )
    assert run(rounds, capsys, "runs") == "run 1: r1/rounds.run, done, round 4 of 4\n"
    assert run(rounds, capsys, "wait") == "rounds=4, accuracy=0.5124\n"
    run(rounds, capsys, "call r*/rounds run num_rounds=2 --background")
    assert run(rounds, capsys, "wait 2").splitlines() == [
        "r1: rounds=2, accuracy=0.5124",
        "r2: rounds=2, accuracy=0.5124",
    ]
    run(rounds, capsys, "call r2/rounds run num_rounds=2 fail=True --background")
    assert bed.runs[3].wait(30)
    rounds.run_cell("pass")
    assert capsys.readouterr().err == (
        "run 3 has failed: r2/rounds.run failed on the notebook: ValueError: no data; "
        "all of it: %rml wait 3\n"
    )
    with pytest.raises(HandlerError, match="no data"):
        rounds.run_line_magic("rml", "wait 3")
    rounds.run_cell("pass")
    assert capsys.readouterr().err == ""
    with pytest.raises(UsageError, match="no run 9; there are: 1, 2, 3"):
        rounds.run_line_magic("rml", "wait 9")


def test_an_interrupt_of_wait_leaves_the_run_and_that_of_call_ends_it(rounds, capsys, monkeypatch):
    bed = rounds.user_ns["bed"]
    run(rounds, capsys, "call r1/rounds spin --background")
    waits = []
    wait = LiveRun.wait
    monkeypatch.setattr(
        LiveRun, "wait", lambda self, timeout=None: waits.append(self) or wait(self, timeout)
    )

    def interrupt():
        until(lambda: len(waits) > 1, "the cell waits", 30)
        _thread.interrupt_main()

    for line, text in (
        ("wait", "run 1 goes on; end it with %rml stop --run\n"),
        ("call r2/rounds spin", "run stopped: "),
    ):
        waits.clear()
        helper = threading.Thread(target=interrupt)
        helper.start()
        with pytest.raises(KeyboardInterrupt):
            rounds.run_line_magic("rml", line)
        helper.join(30)
        assert capsys.readouterr().out.startswith(text)
    assert bed.runs[1].wait(30) and bed.runs[1].state == "stopped"
    rounds.run_cell("pass")
    assert capsys.readouterr().err == ""  # told by the wait, and by the call
    assert run(rounds, capsys, "call r1/rounds run num_rounds=1") == "rounds=1, accuracy=0.5124\n"


def test_a_call_that_takes_long_has_a_bar_that_leaves_nothing_behind(rounds, capsys, monkeypatch):
    monkeypatch.setattr(progress, "BAR_DELAY_S", 0.0)
    monkeypatch.setattr(progress, "POLL_INTERVAL_S", 0.02)
    published = []
    rounds.kernel = object()
    monkeypatch.setattr(
        rounds.display_pub, "publish", lambda data, **how: published.append((data, how))
    )
    seen = []
    refresh = progress._Widget.refresh

    def look(bar):
        refresh(bar)
        seen.append(bar._widget._run)
        if seen[-1]["rounds"] == "round 2 of 5":
            rounds.user_ns["bed"].call("r1/rounds", "go-on")

    monkeypatch.setattr(progress._Widget, "refresh", look)
    assert (
        run(rounds, capsys, "call r1/rounds run num_rounds=5 stay_in=2")
        == "rounds=5, accuracy=0.5124\n"
    )
    del rounds.kernel
    (first, how), (last, end) = published
    # no text: nothing to compare where no widget shows
    assert list(first) == ["application/vnd.jupyter.widget-view+json"]
    assert last == {} and end["update"] and end["transient"] == how["transient"]
    second = next(state for state in seen if state["rounds"] == "round 2 of 5")
    assert second["name"] == "r1/rounds.run" and second["state"] == "running"
    assert second["fraction"] == 0.4 and second["rate"] > 0 and second["left"] >= 0
    assert not second["stoppable"]  # no page reaches this kernel while the cell waits
