"""Who is at work: interrupts reach a handler's own code, and nothing else."""

import gc
import sys
import threading
import time
import weakref

import numpy as np
import pytest

from roleml_nb.host.stop import _interrupt
from roleml_nb.messaging.envelope import Envelope
from roleml_nb.messaging.executions import Execution, Executions, Interrupt, run
from roleml_nb.messaging.flow_control import Window
from roleml_nb.messaging.lock_detection import cpu_clock, cpu_time, threads_waiting_for_locks
from roleml_nb.role import RoleInstanceID
from tests.waiting import until


def execution(number=1):
    envelope = Envelope("service", RoleInstanceID("a", "x"), (), "work", 0.0)
    return Execution(("host", number), envelope, RoleInstanceID("b", "y"), 0.0)


class Handled:
    """A handler on a thread of its own; `before` and `after` it, and whenever it calls `ours`, our
    code runs.
    """

    def __init__(self, handler, before=lambda: None, after=lambda: None):
        self.executions, self.execution = Executions(), execution()
        self.handler, self.before, self.after = handler, before, after
        self.outcome, self.stray = None, None
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        try:
            self.executions.begin_inline(self.execution)
            self.before()
            try:
                self.outcome = run(self.execution, self.handler, self)
            except Interrupt:
                self.outcome = Interrupt
            self.after()
            self.execution.thread = 0
        except BaseException as error:
            self.stray = error

    def ours(self, what):
        shielded = self.executions.shield()
        try:
            return what()
        finally:
            self.executions.unshield(shielded)

    def ended(self):
        self.thread.join(20)
        assert not self.thread.is_alive() and self.stray is None
        return self.outcome


def busy(seconds=20.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_its_own_code_is_interrupted_at_once():
    handled = Handled(lambda _: busy())
    until(lambda: handled.execution.interruptible, "it is at work")
    assert _interrupt(handled.execution)
    assert handled.ended() is Interrupt


def test_our_code_goes_on_to_its_end_and_the_handlers_does_not_begin_again():
    entered, gate, done = threading.Event(), threading.Event(), []

    def handler(handled):
        handled.ours(lambda: (entered.set(), gate.wait(20), busy(0.05), done.append("ours")))
        done.append("the handler's")

    handled = Handled(handler)
    assert entered.wait(20) and _interrupt(handled.execution)
    gate.set()
    assert handled.ended() is Interrupt
    assert done == ["ours"]


def test_a_handler_that_has_not_begun_does_not_begin():
    entered, gate, done = threading.Event(), threading.Event(), []
    handled = Handled(lambda _: done.append("begun"), before=lambda: (entered.set(), gate.wait(20)))
    assert entered.wait(20) and _interrupt(handled.execution)
    gate.set()
    assert handled.ended() is Interrupt and not done


def test_one_that_has_ended_is_not_interrupted():
    entered, gate, done = threading.Event(), threading.Event(), []
    handled = Handled(
        lambda _: "answer",
        after=lambda: (entered.set(), gate.wait(20), busy(0.05), done.append("after")),
    )
    assert entered.wait(20) and _interrupt(handled.execution)
    gate.set()
    assert handled.ended() == "answer" and done == ["after"]
    assert not _interrupt(handled.execution)  # it has no thread any more


def test_one_that_catches_it_is_interrupted_again():
    caught = []

    def stubborn(_):
        while len(caught) < 3:
            try:
                busy()
            except BaseException as error:
                caught.append(error)
        return "gave in"

    handled = Handled(stubborn)
    for number in range(3):
        until(
            lambda number=number: len(caught) == number and handled.execution.interruptible,
            "it goes on",
        )
        _interrupt(handled.execution)
    assert handled.ended() == "gave in" and all(isinstance(error, Interrupt) for error in caught)


def test_a_callback_on_another_thread_covers_nothing():
    handled = Handled(lambda _: busy())
    until(lambda: handled.execution.interruptible, "it is at work")
    handled.executions._current.set(handled.execution)  # as in a context that was copied
    assert handled.executions.shield() is None and handled.execution.interruptible
    _interrupt(handled.execution)
    assert handled.ended() is Interrupt


@pytest.mark.parametrize("interrupters", [1, 3])
def test_our_code_is_never_cut_in_two(interrupters):
    """Interrupts from all sides, at any moment: what we begin we end, and nothing reaches what
    comes after the handler.
    """
    halves = {"first": 0, "second": 0}

    def ours():
        halves["first"] += 1
        sum(range(50))
        halves["second"] += 1

    def handler(handled):
        while True:
            sum(range(20))
            handled.ours(ours)

    ended = []
    for _ in range(60):
        handled = Handled(handler, after=lambda: (ours(), sum(range(2000)), ours()))
        until(lambda handled=handled: handled.execution.thread, "it has begun")

        def interrupt(handled=handled):
            while handled.thread.is_alive():
                _interrupt(handled.execution)

        sides = [threading.Thread(target=interrupt, daemon=True) for _ in range(interrupters)]
        for side in sides:
            side.start()
        ended.append(handled.ended())
        for side in sides:
            side.join(20)
    assert ended == [Interrupt] * 60
    assert halves["first"] == halves["second"] > 120


def test_an_interrupt_that_comes_during_the_last_step_of_a_handler_is_not_raised_after_it():
    """NumPy lets other threads run while it computes; an operator is no call, at whose end an
    interrupt would be raised.
    """
    numbers, halves = np.ones((700, 700)), []

    def after():
        halves.append("first")
        sum(range(1000))
        halves.append("second")

    for _ in range(30):
        handled = Handled(lambda _: numbers @ numbers, after=after)
        until(
            lambda handled=handled: handled.execution.interruptible or handled.outcome is not None,
            "it computes",
        )
        _interrupt(handled.execution)
        assert handled.ended() is Interrupt or handled.outcome.shape == (700, 700)
    assert halves == ["first", "second"] * 30


def test_the_clock_of_a_thread_that_has_ended_reads_zero():
    clocks = []
    thread = threading.Thread(target=lambda: clocks.append((cpu_clock(), cpu_time(cpu_clock()))))
    thread.start()
    thread.join()
    clock, used = clocks[0]
    assert used > 0
    until(lambda: cpu_time(clock) == 0.0, "the system has ended the thread, too")
    assert cpu_time(None) == 0.0


def test_looking_for_locks_keeps_no_frame():
    class Marked:
        pass

    marks, begun, lock = [], threading.Event(), threading.Lock()

    def hold():
        mark = Marked()
        marks.append(weakref.ref(mark))
        begun.set()
        with lock:
            pass

    gc.disable()
    try:
        lock.acquire()
        thread = threading.Thread(target=hold, daemon=True)
        thread.start()
        begun.wait(10)
        until(
            lambda: threads_waiting_for_locks({thread.ident}) == {thread.ident},
            "the thread waits for the lock",
        )
        lock.release()
        thread.join()
        assert marks[0]() is None
        assert threads_waiting_for_locks({thread.ident}) == set()
    finally:
        gc.enable()


def test_a_lock_of_our_own_rooms_is_no_lock_that_handlers_wait_for():
    window = Window(limit=1)
    held = threading.Event()
    over = threading.Event()

    def hold():
        with window._changed:
            held.set()
            over.wait(20)

    threading.Thread(target=hold, daemon=True).start()
    held.wait(20)
    thread = threading.Thread(target=window.release, args=(1,), daemon=True)
    thread.start()
    try:
        until(
            lambda: sys._current_frames()[thread.ident].f_code.co_name == "__enter__",
            "the thread waits in our own code",
        )
        assert threads_waiting_for_locks({thread.ident}) == set()
    finally:
        over.set()
        thread.join()
