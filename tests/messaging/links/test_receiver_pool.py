"""The threads that receive: one is woken, it does the work, and another one is there meanwhile."""

import queue
import socket
import threading

import pytest

from roleml_nb.messaging.envelope import Envelope
from roleml_nb.messaging.links.receiver_pool import ReceiverPool
from roleml_nb.messaging.pending import Pending
from roleml_nb.role import RoleInstanceID
from tests.waiting import until

DEADLINE = 30


class Letterbox:
    """A socket of which each byte is taken as one message: `works` says what is to be done for it,
    at once or after.
    """

    def __init__(self, more_than=100):
        self.inside, self.outside = socket.socketpair()
        self.inside.setblocking(False)
        self.works, self.takers, self.threads = {}, [], []
        self.ended = threading.Event()
        self.at_once, self.backlog, self.called, self.open = more_than, 0, 0, threading.Event()
        self.open.set()
        self.receivers = ReceiverPool(
            self.take, lambda: None, self.submit, lambda: self.backlog + self.called, self.ended.set
        )
        self.receivers.poller.add(self.inside.fileno(), lambda: None)
        self.receivers.start()

    def take(self):
        works = []
        for _ in range(self.at_once):
            try:
                letter = self.inside.recv(1)
            except BlockingIOError:
                return works, False
            self.takers.append((letter, threading.get_ident()))
            work = self.works[letter]()
            if work is not None:
                works.append(work)
        return works, True

    def submit(self, work):
        """A thread for it, which begins when such are open."""

        def begin():
            self.open.wait(DEADLINE)
            self.called -= 1
            work()

        self.called += 1
        self.threads.append(threading.Thread(target=begin, daemon=True))
        self.threads[-1].start()


@pytest.fixture
def letterbox():
    boxes = []

    def make(**options):
        boxes.append(Letterbox(**options))
        return boxes[-1]

    yield make
    for box in boxes:
        box.receivers.stop()
        assert box.ended.wait(DEADLINE)
        box.inside.close()
        box.outside.close()


def a_call():
    one = RoleInstanceID("a", "r")
    return Pending(Envelope("service", one, (), "c", 0.0), one, "host")


def test_who_receives_does_the_work(letterbox):
    box, worked = letterbox(), queue.Queue()
    box.works[b"a"] = lambda: lambda: worked.put(threading.get_ident())
    for _ in range(20):
        box.outside.send(b"a")
        assert worked.get(timeout=DEADLINE) == box.takers[-1][1]


def test_who_comes_from_work_does_not_wait_for_messages_while_other_work_waits(letterbox):
    box, worked = letterbox(), queue.Queue()
    box.works[b"a"] = lambda: lambda: worked.put(threading.current_thread())
    for box.backlog in (1, 3, 0, 1):
        box.outside.send(b"a")
        thread = worked.get(timeout=DEADLINE)
        if box.backlog:
            until(lambda thread=thread: not thread.is_alive(), "it is free for what waits")
        else:
            until(lambda: box.receivers._ready == 2, "it waits for messages, too")
            assert thread.is_alive()


def test_a_thread_that_is_called_to_receive_is_no_work_that_waits(letterbox):
    box, worked = letterbox(), queue.Queue()
    box.works[b"a"] = lambda: lambda: worked.put(threading.current_thread())
    until(lambda: not box.called, "the first one receives")
    box.open.clear()
    box.outside.send(b"a")
    thread = worked.get(timeout=DEADLINE)
    until(
        lambda: box.receivers._ready == 2,
        "it waits for messages once more, beside the one that has not begun",
    )
    assert thread.is_alive() and box.called == box.receivers._scheduled == 1
    box.open.set()


def test_while_all_are_at_work_another_one_receives(letterbox):
    box, free, worked = letterbox(), threading.Event(), queue.Queue()
    box.works[b"b"] = lambda: lambda: (worked.put("begun"), free.wait(DEADLINE))
    box.works[b"c"] = lambda: worked.put("received")
    for _ in range(10):
        box.outside.send(b"b")
        assert worked.get(timeout=DEADLINE) == "begun"
    box.outside.send(b"c")
    assert worked.get(timeout=DEADLINE) == "received"
    free.set()


def test_what_came_together_is_done_side_by_side(letterbox):
    box, meeting = letterbox(), threading.Barrier(6)
    box.works[b"m"] = lambda: lambda: meeting.wait(DEADLINE)
    box.outside.send(b"mmmmm")
    meeting.wait(DEADLINE)


def test_what_is_left_is_taken_while_the_first_is_at_work(letterbox):
    box, meeting = letterbox(more_than=1), threading.Barrier(6)
    box.works[b"m"] = lambda: lambda: meeting.wait(DEADLINE)
    box.outside.send(b"mmmmm")
    meeting.wait(DEADLINE)


def test_idle_threads_are_not_kept(letterbox):
    box, meeting = letterbox(), threading.Barrier(11)
    box.works[b"m"] = lambda: lambda: meeting.wait(DEADLINE)
    box.outside.send(b"m" * 10)
    meeting.wait(DEADLINE)
    until(lambda: sum(thread.is_alive() for thread in box.threads) <= 2, "two of them are left")


def test_who_waits_receives_what_it_waits_for(letterbox):
    box = letterbox()
    for number in range(20):
        call = a_call()
        box.works[b"r"] = lambda call=call, number=number: call.set_result(number) and None
        threading.Timer(0.01, lambda: box.outside.send(b"r")).start()
        assert box.receivers.wait(call, DEADLINE)
        assert call.result(0) == number
    assert (b"r", threading.get_ident()) in box.takers


def test_who_waits_leaves_work_to_others(letterbox):
    box, call, worked = letterbox(), a_call(), queue.Queue()
    box.works[b"w"] = lambda: lambda: worked.put(threading.get_ident())
    box.works[b"r"] = lambda: call.set_result(None) and None
    threading.Timer(0.05, lambda: box.outside.send(b"wwwr")).start()
    assert box.receivers.wait(call, DEADLINE)
    assert threading.get_ident() not in [worked.get(timeout=DEADLINE) for _ in range(3)]


def test_a_second_one_that_waits_does_not_receive(letterbox):
    box, call, other = letterbox(), a_call(), a_call()
    box.works[b"r"] = lambda: (call.set_result("first"), other.set_result("second")) and None
    first = threading.Thread(target=box.receivers.wait, args=(call, DEADLINE))
    first.start()
    until(lambda: box.receivers._waiting_caller, "the first one receives")
    assert not box.receivers.wait(other, DEADLINE)
    box.outside.send(b"r")
    assert other.result(DEADLINE) == "second"
    first.join(DEADLINE)
    assert not first.is_alive()


def test_what_ends_elsewhere_wakes_who_waits(letterbox):
    box, after = letterbox(), queue.Queue()
    for _ in range(50):
        call = a_call()
        threading.Thread(target=call.set_result, args=(None,)).start()
        assert box.receivers.wait(call, DEADLINE) or call.ended
        assert call.ended
    box.works[b"a"] = lambda: after.put("received")
    box.outside.send(b"a")
    assert after.get(timeout=DEADLINE) == "received"


def test_who_waits_in_vain_goes_on(letterbox):
    box, call, after = letterbox(), a_call(), queue.Queue()
    assert box.receivers.wait(call, 0.01)
    assert not call.ended
    box.works[b"a"] = lambda: after.put("received")
    box.outside.send(b"a")
    assert after.get(timeout=DEADLINE) == "received"


def test_the_end_wakes_who_waits(letterbox):
    box, call, left = letterbox(), a_call(), queue.Queue()
    threading.Thread(target=lambda: left.put(box.receivers.wait(call, None))).start()
    until(lambda: box.receivers._waiting_caller, "it receives")
    box.receivers.stop()
    assert left.get(timeout=DEADLINE) is False
    assert box.ended.wait(DEADLINE)
    assert not box.receivers.wait(call, DEADLINE)


def test_many_callers_and_much_work(letterbox):
    """Every letter is answered, whoever takes it."""
    box, calls, numbers, sending = (
        letterbox(more_than=3),
        queue.SimpleQueue(),
        iter(range(10**6)),
        threading.Lock(),
    )
    box.works[b"r"] = lambda: calls.get().set_result(next(numbers)) and None
    box.works[b"w"] = lambda: lambda: calls.get().set_result(next(numbers))
    answers = queue.Queue()

    def ask(letter):
        for _ in range(200):
            call = a_call()
            calls.put(call)
            with sending:
                box.outside.send(letter)
            box.receivers.wait(call, DEADLINE)
            answers.put(call.result(DEADLINE))

    threads = [threading.Thread(target=ask, args=(letter,)) for letter in (b"r", b"w", b"r", b"w")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert sorted(answers.get(timeout=DEADLINE) for _ in range(800)) == list(range(800))
