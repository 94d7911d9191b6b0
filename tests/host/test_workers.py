"""The worker pool: who is let in beyond the regular ones."""

import threading
import time

from roleml_nb.host import workers
from roleml_nb.host.workers import Workers
from tests.waiting import until


def test_short_pieces_that_come_at_once_share_threads_and_one_that_blocks_holds_up_none():
    pool, gate, ended = Workers("pool", 1), threading.Event(), threading.Event()
    names: list[str] = []

    def short() -> None:
        names.append(threading.current_thread().name)
        if len(names) == 200:
            ended.set()

    for number in range(210):
        pool.submit((lambda: gate.wait(60)) if number % 20 == 0 and number < 200 else short)
    assert ended.wait(60), f"only {len(names)} have run"
    assert len(pool._all) < 40 and not pool.backlog  # ten that block, and a few more
    gate.set()
    pool.stop()


def test_a_blocked_task_lets_the_next_one_in():
    pool, free, ended = Workers("pool", 1), threading.Event(), threading.Event()
    pool.submit(lambda: free.wait(60), queued=True)
    pool.submit(ended.set, queued=True)
    until(lambda: pool.admit_when_stalled() or ended.is_set(), "the next one was let in", 60)
    free.set()
    pool.stop()


def test_a_task_that_works_lets_the_next_one_in_later(monkeypatch):
    monkeypatch.setattr(workers, "STARVED_S", 0.2)
    pool, ended = Workers("pool", 1), threading.Event()

    def work() -> None:
        deadline = time.monotonic() + 60
        while not ended.is_set() and time.monotonic() < deadline:
            pass

    pool.submit(work, queued=True)
    pool.submit(ended.set, queued=True)
    until(lambda: pool.admit_when_stalled() or ended.is_set(), "the next one was let in", 60)
    pool.stop()


def test_services_that_end_all_the_time_do_not_keep_a_blocked_task_from_being_relieved():
    pool, gate, ended, served = Workers("test", 1), threading.Event(), threading.Event(), []
    pool.submit(lambda: gate.wait(60), queued=True)
    pool.submit(ended.set, queued=True)

    def look() -> bool:
        pool.submit(lambda: served.append(1))
        pool.admit_when_stalled()
        return ended.is_set()

    until(look, "the next one was let in", 60)
    assert served
    gate.set()
    pool.stop()
