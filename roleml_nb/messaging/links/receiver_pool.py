"""The threads that receive.

Each message wakes one of them, which does itself what is to be done for it.
"""

from __future__ import annotations

import logging
import select
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

__all__ = ["Bells", "Receivers"]

READY = 2
"""Threads that wait to receive: one to be woken, and one to receive while that one is busy."""

Work = Callable[[], Any]
logger = logging.getLogger(__name__)


class Call(Protocol):
    """What a thread waits for."""

    ended: bool

    def add_done_callback(self, function: Callable[[Any], Any]) -> None: ...


class Bells:
    """File descriptors to be watched by any number of threads: a bell that rings wakes the thread
    that came last.
    """

    def __init__(self) -> None:
        self._answers: dict[int, Callable[[], Any]] = {}
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        # poll() allows for one thread alone
        self._selector = (
            getattr(selectors, "KqueueSelector", selectors.SelectSelector)()
            if self._epoll is None
            else None
        )

    def add(self, number: int, answer: Callable[[], Any], *, until_answered: bool = False) -> None:
        """Watch it.

        It rings once for what has come, or, `until_answered`, as long as that is there.
        """
        self._answers[number] = answer
        if self._epoll is not None:
            self._epoll.register(
                number, select.EPOLLIN if until_answered else select.EPOLLIN | select.EPOLLET
            )
        else:
            self._selector.register(number, selectors.EVENT_READ)  # type: ignore[union-attr]

    def remove(self, number: int) -> None:
        (self._epoll or self._selector).unregister(number)  # type: ignore[union-attr]
        del self._answers[number]

    def wait(self, timeout: float | None) -> list[Callable[[], Any]]:
        """What answers the bells that ring; waits for a first one."""
        if self._epoll is not None:
            rung = [number for number, _ in self._epoll.poll(timeout)]
        else:
            rung = [key.fd for key, _ in self._selector.select(timeout)]  # type: ignore[union-attr]
        return [self._answers[number] for number in rung if number in self._answers]

    def close(self) -> None:
        (self._epoll or self._selector).close()  # type: ignore[union-attr]


class Receivers:
    """Takes turns at some sockets.

    A thread that waits for an answer receives it itself, if no other one does so already.

    Waking another thread costs about as much as a message, so none is woken where one is awake
    already: of two threads that wait, the last to come is woken; it receives, does what is to be
    done, and waits again, while the other is there for whatever comes meanwhile.

    Parameters
    ----------
    take
        Called by one thread at a time: takes what has come, and returns what is to be done for it,
        and whether there is more to take.
    patience
        Called before a thread waits; how many seconds it waits at most (None: without end) before
        `take` is called.
    submit
        Has a function called by a thread that is idle, or a new one.
    backlog
        How much of what was submitted waits for a thread: one that comes from its work turns to
        that, rather than to messages.
    ended
        Called once when `stop` was called, or `take` has failed, and no thread is at the sockets
        any more.
    """

    def __init__(
        self,
        take: Callable[[], tuple[list[Work], bool]],
        patience: Callable[[], float | None],
        submit: Callable[[Work], Any],
        backlog: Callable[[], int],
        ended: Callable[[], None],
    ):
        self.bells = Bells()
        self.stopped = False
        self._take, self._patience, self._submit, self._backlog, self._ended = (
            take,
            patience,
            submit,
            backlog,
            ended,
        )
        self._turn, self._seats = threading.RLock(), threading.Lock()
        self._ready = 0
        """Threads that receive, or are about to, but for the caller."""
        self._called = 0
        """Those of them that were submitted and have not begun."""
        self._caller = 0
        """The thread that receives while it waits for an answer, if there is one."""
        self._kicking, self._kicked = socket.socketpair()
        for end in (self._kicking, self._kicked):
            end.setblocking(False)
        self.bells.add(self._kicked.fileno(), self._read_kicks, until_answered=True)

    def start(self) -> None:
        self._ready += 1
        self._called += 1
        self._submit(self._run)

    def stop(self) -> None:
        """Have all threads leave the sockets."""
        with self._seats:
            self.stopped = True
        self._kick()

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Use the sockets meanwhile, from any thread; gives whether all have left them, so that
        they must not be used.
        """
        with self._turn:
            yield self.stopped
            if not self.stopped:
                self._kick()  # what has come meanwhile may ring no more

    def watch(self, number: int, answer: Callable[[], Any]) -> None:
        """Have `answer` called whenever that file descriptor rings, and once now; from any
        thread.
        """
        # those that wait already may not look at it, where there is but select()
        with self.turn() as stopped:
            if not stopped:
                self.bells.add(number, answer)
                answer()

    def wait(self, call: Call, timeout: float | None) -> bool:
        """Receive on this thread until the call has ended or `timeout` seconds are over; False at
        once if another one does.
        """
        me = threading.get_ident()
        with self._seats:
            if self._caller or self.stopped or not self._ready:
                return False
            self._caller = me
        deadline = None if timeout is None else time.monotonic() + timeout
        more = False
        try:
            call.add_done_callback(lambda _: self._kick() if threading.get_ident() != me else None)
            while not (call.ended or self.stopped):
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    break
                works, more = self._look(0 if more else left)
                for work in works:
                    self._submit(work)
        finally:
            self._leave(call=True, more=more or self._patience() is not None)
        return not self.stopped

    def _run(self) -> None:
        """Be one of those that receive, as long as there is need of one more."""
        with self._seats:
            self._called -= 1
        work = self._receive(more=True)  # what has come before rings no more
        while work is not None:
            work()
            with self._seats:
                if (
                    self.stopped
                    or self._caller
                    or self._ready >= READY
                    or self._ready
                    and self._backlog() > self._called
                ):
                    return
                self._ready += 1
            work = self._receive()

    def _receive(self, more: bool = False) -> Work | None:
        """What this thread is to do; None when it is not needed here any more."""
        works: list[Work] = []
        try:
            while (
                not works
                and not self.stopped
                and (more or not self._caller or self._patience() is not None)
            ):
                works, more = self._look(0 if more else None)
        finally:
            self._leave(more=more or self._patience() is not None)
        for work in works[1:]:
            self._submit(work)
        return works[0] if works else None

    def _look(self, timeout: float | None) -> tuple[list[Work], bool]:
        """Wait for something to come, and take it."""
        if timeout != 0:
            patience = self._patience()
            if patience is not None:
                timeout = patience if timeout is None else min(timeout, patience)
        try:
            answers = self.bells.wait(timeout)
            with self._turn:
                if self.stopped:
                    return [], False
                for answer in answers:
                    answer()
                return self._take()
        except Exception:
            logger.exception("receiving failed")
            self.stop()
            return [], False

    def _leave(self, *, call: bool = False, more: bool = False) -> None:
        """This thread receives no longer; another one does."""
        with self._seats:
            if call:
                self._caller = 0
            else:
                self._ready -= 1
            last = self.stopped and not self._ready and not self._caller
            successor = not self.stopped and (more or not self._ready and not self._caller)
            self._ready += successor
            self._called += successor
        if last:
            self._close()
        elif successor:
            self._submit(self._run)

    def _kick(self) -> None:
        """Wake whoever is there."""
        try:
            self._kicking.send(b"k")
        except (BlockingIOError, OSError):
            return  # enough of them are there, or nobody is any more

    def _read_kicks(self) -> None:
        """They are for the caller, if there is one; nobody takes them away once all are to
        leave.
        """
        with self._seats:
            if self.stopped or self._caller not in (0, threading.get_ident()):
                return
            try:
                while self._kicked.recv(4096):
                    pass
            except BlockingIOError:
                return

    def _close(self) -> None:
        with self._turn:
            self.bells.close()
            self._kicking.close()
            self._kicked.close()
            self._ended()
