"""What undoing on the board brings back: roles with their state, and those who listen to them."""

import threading
from collections.abc import Iterator
from uuid import uuid4

import pytest

from roleml_nb import Element, Event, EventHandler, Role, Runnable, Service
from roleml_nb.role import StatusError, TestbedError
from roleml_nb.widgets import Board
from tests.waiting import until


class Tally(Role):
    """Counts, tells it, and hears what others count."""

    book = Element(dict, default_constructor=dict)
    counted = Event()

    def __init__(self):
        super().__init__()
        self.count = 0
        self.heard: list[int] = []

    @Service(expand=True)
    def add(self, caller, amount: int = 1) -> int:
        self.count += amount
        self.book()["last"] = amount
        self.counted.emit({"count": self.count})
        return self.count

    @Service(expand=True)
    def read(self, caller) -> tuple:
        return self.count, dict(self.book()), list(self.heard)

    @Service(expand=True)
    def listen(self, caller, to: str) -> None:
        self.subscribe(to, "counted", self.hear, conditions={"count": 7})

    def hear(self, caller, args, payloads) -> None:
        self.heard.append(args["count"])

    @EventHandler("mate", "counted")
    def follow(self, caller, args, payloads) -> None:
        self.heard.append(-args["count"])


class Stuck(Role):
    """Cannot be sent anywhere, and stays at work."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Event()

    @Service(expand=True)
    def hold(self, caller) -> None:
        self.lock.wait(30)


class Ticker(Role, Runnable):
    """Ticks until it is stopped."""

    def __init__(self):
        super().__init__()
        self.count, self.ending = 0, False

    def run(self) -> None:
        self.ending = False
        while not self.ending:
            self.count += 1
            self.base.host.clock.sleep(0.01)

    def stop(self) -> None:
        self.ending = True

    @Service(expand=True)
    def ticks(self, caller) -> int:
        return self.count


NAMES = {"Tally": Tally, "Stuck": Stuck, "Ticker": Ticker}


@pytest.fixture
def board(bed) -> Iterator[Board]:
    mark = uuid4().hex[:6]
    one, other = f"undo{mark}one", f"undo{mark}other"
    bed.spawn(one, other)
    board = bed.board(names=NAMES)
    board.one, board.other = one, other
    board.do("assign", nodes=[one, other], name="tally", cls="Tally")
    bed.relate(other, "mate", f"{one}/tally")
    yield board
    board.close()
    bed.remove([one, other])


def _deployed(bed) -> dict:
    """The spec, but for what boards remember."""
    return {**bed.spec(), "board": None}


def test_a_role_that_was_ended_comes_back_with_its_state_and_those_who_listen(bed, board) -> None:
    one, other = f"{board.one}/tally", f"{board.other}/tally"
    # by hand, beside the relationship that leads the other way
    bed.call(one, "listen", {"to": other})
    assert bed.call(one, "add", {"amount": 5}) == 5
    until(lambda: bed.call(other, "read")[2] == [-5], "the event is heard")
    assert board.do("terminate", nodes=[board.one], name="tally")["notes"] == []
    assert board.undo() == [f"%rml terminate {board.one} tally"]
    assert bed.call(one, "read") == (5, {"last": 5}, [])
    bed.call(other, "add", {"amount": 3})
    bed.call(other, "add", {"amount": 4})  # 7, which the condition of the subscription wants
    until(lambda: bed.call(one, "read")[2] == [7], "it hears what it subscribed to")
    bed.call(one, "add")
    until(lambda: bed.call(other, "read")[2] == [-5, -6], "who follows it hears it")
    # who subscribed to it by hand does so again
    board.do("terminate", nodes=[board.other], name="tally")
    board.undo()
    assert bed.call(other, "read") == (7, {"last": 4}, [-5, -6])
    bed.call(other, "add", {"amount": 0})
    until(lambda: bed.call(one, "read")[2] == [7, 7], "who subscribed to it hears it")


def test_what_is_undone_and_done_again_keeps_its_state_each_time(bed, board) -> None:
    one, spec = f"{board.one}/tally", _deployed(bed)
    bed.call(one, "add", {"amount": 5})
    board.do("terminate", nodes=[board.one], name="tally")
    ended = _deployed(bed)
    for amount in (6, 7):
        board.undo()
        assert _deployed(bed) == spec
        assert bed.call(one, "add") == amount
        board.redo()
        assert _deployed(bed) == ended
    board.undo()
    board.undo()  # the assignment itself
    assert not bed.spec()["nodes"][board.one]["roles"]
    board.redo()
    assert bed.call(one, "read")[0] == 7 and _deployed(bed) == spec


def test_a_role_that_was_replaced_and_a_node_that_was_removed_come_back_with_their_state(
    bed, board
) -> None:
    one, other = f"{board.one}/tally", f"{board.other}/tally"
    bed.call(one, "add", {"amount": 5})
    # a role that ends takes along what waits
    until(lambda: bed.call(other, "read")[2] == [-5], "who follows it hears it")
    board.do("assign", nodes=[board.one], name="tally", cls="Tally")
    assert bed.call(one, "read")[0] == 0
    board.undo()
    assert bed.call(one, "read")[0] == 5
    bed.link_relationship(board.one, "twin", "tally")
    spec = _deployed(bed)
    board.do("remove", nodes=[board.one])
    board.undo()
    assert _deployed(bed) == spec
    assert bed.call(one, "add") == 6
    until(lambda: bed.call(other, "read")[2] == [-5, -6], "who follows it hears it")


def test_where_no_state_can_be_kept_it_says_so(bed, board) -> None:
    board.do("assign", nodes=[board.one], name="stuck", cls="Stuck")
    (note,) = board.do("terminate", nodes=[board.one], name="stuck")["notes"]
    assert note.startswith(f"its state is not kept: undone, {board.one}/stuck begins anew (")
    assert "its attribute 'lock' cannot be sent" in note and board._history["note"] == note
    board.undo()
    assert bed.registry.roles[board.one]["stuck"]["class"] and board._history["note"] == ""


def test_a_role_at_work_that_does_not_end_stays(board, bed, monkeypatch) -> None:
    monkeypatch.setattr(
        "roleml_nb.actor.state_requests.STEP_TIMEOUT_S", 0.05
    )  # of nodes in this process
    host = bed.fleet.home
    bed.spawn(f"{board.one}home", on="notebook")
    bed.assign(f"{board.one}home", "stuck", Stuck)
    call = bed.call_task(f"{board.one}home/stuck", "hold")
    until(lambda: host.actors[f"{board.one}home"].roles.lifecycle("stuck").busy, "it is at work")
    with pytest.raises(StatusError, match="1 handlers still running after 0.05 s"):
        board.do("terminate", nodes=[f"{board.one}home"], name="stuck")
    host.actors[f"{board.one}home"].roles["stuck"].lock.set()
    call.result(timeout=30)
    bed.call(f"{board.one}home/stuck", "hold")  # it goes on as before
    bed.remove(f"{board.one}home")


def test_another_role_in_its_place_is_left_there(bed, board) -> None:
    board.do("terminate", nodes=[board.one], name="tally")
    bed.assign(board.one, "tally", Tally)
    with pytest.raises(Exception, match="already has a role 'tally'"):
        board.undo()
    assert bed.call(f"{board.one}/tally", "read")[0] == 0
    with pytest.raises(TestbedError, match="there is nothing to do again"):
        board.redo()


def test_a_main_routine_runs_again(bed, board) -> None:
    board.do("assign", nodes=[board.one], name="ticker", cls="Ticker")
    ticker = f"{board.one}/ticker"
    until(lambda: bed.call(ticker, "ticks") > 0, "it runs")
    board.do("terminate", nodes=[board.one], name="ticker")
    board.undo()
    before = bed.call(ticker, "ticks")
    assert before > 0
    until(lambda: bed.call(ticker, "ticks") > before, "it runs again")
