"""What RoleML programs take from roleml.shared: lists in segments, advice, locks, threads, loading
by name.
"""

import collections
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from roleml_nb.compat.shared.aop import after, aspect, before, catch
from roleml_nb.compat.shared.collections.segmentation import SegmentedList
from roleml_nb.compat.shared.importing import as_class, is_spec, load, load_definition
from roleml_nb.compat.shared.interfaces import Runnable
from roleml_nb.compat.shared.multithreading.management import ReturnStrategy, ThreadManager
from roleml_nb.compat.shared.multithreading.synchronization.rw import (
    RWLocked,
    read_lock,
    synchronized_read,
    synchronized_write,
    write_lock,
)
from roleml_nb.compat.shared.multithreading.synchronization.simple import Locked, synchronized
from roleml_nb.compat.shared.multithreading.util.limiters import CallAtMostOnceLimiter, at_most_once
from roleml_nb.compat.shared.multithreading.util.timers import TimerLocal
from roleml_nb.compat.shared.util import load_bytes, resolve_host_port


def test_a_list_in_segments():
    items = SegmentedList(3)
    items[0].append("a")
    items.get_segment(1).extend("bc")
    items[2].append("d")
    assert "".join(items.iter()) == "abcd" == "".join(items.iter(0, 3))
    assert "".join(items.iter(range=(1, 2))) == "bc" and "".join(items.iter(2)) == "d"
    assert str(items) == "(['a'], ['b', 'c'], ['d'])"


class Bell:
    def ring(self, times=1):
        if times < 0:
            raise ValueError("times")
        return "ding" * times

    @staticmethod
    def pitch():
        return 440


def test_advice_of_an_aspects_instances(caplog):
    told = []

    @aspect
    class Watcher:
        def __init__(self):
            self.bell = Bell()

        @before(target="bell", method="ring")
        def start(self, activity):
            told.append(("before", type(activity.invoker).__name__, activity.args, activity.kwargs))

        @after(target="bell", method="ring")
        def end(self, activity, result):
            told.append(("after", result))
            raise RuntimeError("advice must not matter")

        @catch(target="bell", method="ring")
        def failed(self, activity, error):
            told.append(("catch", str(error)))

    watcher = Watcher()
    assert watcher.bell.ring(2) == "dingding"
    with pytest.raises(ValueError):
        watcher.bell.ring(times=-1)
    assert Bell().ring() == "ding"
    assert told == [
        ("before", "Bell", (2,), {}),
        ("after", "dingding"),
        ("before", "Bell", (), {"times": -1}),
        ("catch", "times"),
    ]
    assert "advice on ring failed" in caplog.text


def test_advice_on_a_class_and_on_a_static_method():
    class Gong(Bell):
        pass

    told = []

    @aspect
    @before(target=Gong, method="ring")
    def ringing(activity):
        told.append(activity.args)

    @aspect
    class Others:
        @staticmethod
        @after(target=Gong, method="pitch")
        def pitched(activity, result):
            told.append((activity.invoker, result))

    assert Gong().ring(1) == "ding" and Gong.pitch() == 440
    assert told == [(1,), (None, 440)]
    with pytest.raises(TypeError, match="is no advice"):
        aspect(lambda: None)
    with pytest.raises(TypeError, match="target='bell'"):
        aspect(before(target="bell", method="ring")(lambda activity: None))


class Counter(Locked, synchronize_all=True):
    def __init__(self):
        self.count = 0

    def add(self):
        before = self.count
        threading.Event().wait(0.001)
        self.count = before + 1

    @property
    def doubled(self):
        return 2 * self.count


class Single(Locked):
    @synchronized
    def held(self):
        return self._synch_lock_._is_owned()

    def free(self):
        return self._synch_lock_._is_owned()


def test_methods_take_turns():
    counter = Counter()
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            pool.submit(counter.add)
    assert counter.count == 20 and counter.doubled == 40
    assert Single().held() and not Single().free()
    with counter, pytest.raises(TimeoutError):
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(counter.add)
            try:
                waiting.result(0.05)
            finally:
                counter._synch_lock_.release()
                waiting.result(10)
                counter._synch_lock_.acquire()


class Notes(RWLocked):
    def __init__(self):
        self.readers = threading.Barrier(2, timeout=10)
        self.text = ""

    @synchronized_read
    def read_together(self):
        self.readers.wait()
        return self.text

    @synchronized_write
    def write(self, text):
        with read_lock(self), write_lock(self):
            self.text += text


def test_many_read_but_one_writes():
    notes = Notes()
    with ThreadPoolExecutor(4) as pool:
        notes.write("a")
        reads = [pool.submit(notes.read_together) for _ in range(2)]
        assert [read.result(10) for read in reads] == ["a", "a"]
        with read_lock(notes):
            writing = pool.submit(notes.write, "b")
            with pytest.raises(TimeoutError):
                writing.result(0.05)
            with pytest.raises(RuntimeError, match="end the read first"), write_lock(notes):
                pass
        writing.result(10)
    assert notes.text == "ab"


class Loop(Runnable):
    def __init__(self):
        self.started, self.ended = threading.Event(), threading.Event()

    def run(self):
        self.started.set()
        self.ended.wait(10)

    def stop(self):
        self.ended.set()


def test_threads():
    threads, loop = ThreadManager(2), Loop()
    thread = threads.add_threaded_component(loop, name="loop", start=False)
    assert not loop.started.is_set()
    threads.start_all_components()
    assert loop.started.wait(10)
    with pytest.raises(RuntimeError, match="a thread named 'loop' already"):
        threads.add_threaded_component(Loop(), name="loop")
    threads.terminate_all_components(10)
    assert not thread.is_alive()
    with pytest.raises(RuntimeError, match="no component named 'lop'; known: loop"):
        threads.start_component("lop")
    called = []
    futures = [
        threads.add_threaded_task(pow, (2, power), callback=called.append) for power in range(3)
    ]
    done, _ = threads.wait_for_threaded_tasks(futures, 10, ReturnStrategy.ALL_COMPLETED)
    assert sorted(future.result() for future in done) == [1, 2, 4] and len(called) == 3


def test_at_most_once():
    calls = []

    @at_most_once
    def once(value):
        calls.append(value)
        return value

    assert (once(1), once(2), calls) == (1, 1, [1])
    forgetful = CallAtMostOnceLimiter(lambda: 5, cache=False)
    assert (forgetful(), forgetful()) == (5, None)


def test_a_wait_can_be_interrupted():
    timer, told = TimerLocal(), []
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(timer.wait, 10, on_interrupt=lambda: told.append("interrupted"))
        timer.interrupt()
        waiting.result(10)
    timer.wait(0.01, on_timeout=lambda: told.append("time is up"))
    assert told == ["interrupted", "time is up"]


def test_definitions_by_name():
    assert (
        load_definition("collections.OrderedDict")
        is collections.OrderedDict
        is as_class("collections.OrderedDict")
    )
    with pytest.raises(ValueError, match="'text' is not of the form"):
        load_definition("text")
    assert (
        is_spec({"type": "x"})
        and not is_spec({"type": "x", "option": 1})
        and not is_spec({"options": {}})
    )


@pytest.mark.parametrize(
    "target, kind, wanted",
    [
        ("collections.Counter", dict, collections.Counter()),
        ({"type": "collections.Counter", "options": {"a": 2}}, dict, collections.Counter(a=2)),
        (collections.Counter("a"), dict, collections.Counter("a")),
        (lambda: [1], list, [1]),
        ("builtins.len", Callable, len),
        ("short", list, [2]),
        ("made", list, [3]),
    ],
)
def test_load(target, kind, wanted):
    found = load(
        target, kind, builtin_sources={"short": [2]}, builtin_source_getters={"made": lambda: [3]}
    )
    assert found == wanted


def test_what_is_loaded_must_be_of_the_type():
    with pytest.raises(TypeError, match="gives Counter, not list"):
        load("collections.Counter", list)
    with pytest.raises(TypeError, match="taken for a name"):
        load("x", str)
    assert load({"type": dict, "options": {"a": 1}}, dict, kwargs={"b": 2}) == {"a": 1, "b": 2}


def test_addresses_and_bytes():
    assert resolve_host_port("here:5000") == ("here", 5000) and resolve_host_port("here") == (
        "here",
        80,
    )
    assert load_bytes(b"\x80\x05K\x01.") == 1 and load_bytes(b"\x80\x05plain") == b"\x80\x05plain"
