"""The receiver pool: threads that receive messages, and run the handlers of these themselves.

The pattern is Leader/Followers. Of a few threads that wait at the sockets, a message wakes one,
which reads it and does what is to be done for it, while another one stands by to read what comes
next. A thread that waits for an answer receives it itself, if no other one is at the sockets.

Guarantees: one thread reads at a time, so the messages of a peer stay in their order. No message
waits for a handler to end. A thread that comes from its work turns first to handlers that wait for
a thread, then to the sockets. Whoever waits for an answer gets it, or its time-out, also when all
others are busy. `stop` ends all threads, and says when none is at the sockets any more.

Tried and rejected:

- A receiving thread that hands messages over to workers. Each message woke a second thread, which
  takes about as long as the message's way from one process to the other.
- Threads that come from receiving and go on receiving, although handlers wait. A broadcast of 10 MB
  to 100 actors took 3.55 to 3.89 times as long as to one; it takes 2.82 to 3.09 times as long since
  they turn to the handlers first (see docs/performance.md).
- `select.poll`, which lets one thread wait at a time; epoll lets many, and wakes the one that came
  last.
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

__all__ = ["Poller", "ReceiverPool"]

READY_THREADS = 2
"""Threads that wait to receive: one to be woken, one to receive while that one is busy."""

Work = Callable[[], Any]
logger = logging.getLogger(__name__)


class Call(Protocol):
    """A call that a thread waits for."""

    ended: bool

    def add_done_callback(self, function: Callable[[Any], Any]) -> None: ...


class Poller:
    """Watches file descriptors for many threads: an event wakes the thread that came last."""

    def __init__(self) -> None:
        self._handlers: dict[int, Callable[[], Any]] = {}
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        # poll() allows for one thread alone
        self._selector = (
            getattr(selectors, "KqueueSelector", selectors.SelectSelector)()
            if self._epoll is None
            else None
        )

    def add(
        self, number: int, handler: Callable[[], Any], *, level_triggered: bool = False
    ) -> None:
        """Watch a file descriptor, and have `handler` called when it becomes readable.

        The handler is called once per arrival, or, `level_triggered`, as long as there is something
        to read.
        """
        self._handlers[number] = handler
        if self._epoll is not None:
            self._epoll.register(
                number, select.EPOLLIN if level_triggered else select.EPOLLIN | select.EPOLLET
            )
        else:
            self._selector.register(number, selectors.EVENT_READ)  # type: ignore[union-attr]

    def remove(self, number: int) -> None:
        """Watch a file descriptor no longer."""
        (self._epoll or self._selector).unregister(number)  # type: ignore[union-attr]
        del self._handlers[number]

    def wait(self, timeout: float | None) -> list[Callable[[], Any]]:
        """Wait for a first event, and return the handlers of all that are ready."""
        if self._epoll is not None:
            ready = [number for number, _ in self._epoll.poll(timeout)]
        else:
            events = self._selector.select(timeout)  # type: ignore[union-attr]
            ready = [key.fd for key, _ in events]
        return [self._handlers[number] for number in ready if number in self._handlers]

    def close(self) -> None:
        (self._epoll or self._selector).close()  # type: ignore[union-attr]


class ReceiverPool:
    """Threads that receive from some sockets, one at a time.

    A thread that waits for an answer receives it itself, if no other one does so already.

    Waking another thread costs about as much as a message, so none is woken where one is awake
    already: of two threads that wait, the last to come is woken. It receives, runs the handler, and
    waits again, while the other one receives messages that come meanwhile.

    Parameters
    ----------
    read
        Called by one thread at a time: reads messages, and returns the work to be done for them,
        and True if there is more to read.
    poll_timeout
        Called before a thread waits: returns the seconds after which `read` is called at the
        latest (None: when something has come).
    submit
        Has a function called by a thread that is idle, or a new one.
    backlog
        Returns the number of submitted functions that wait for a thread: a thread that comes from
        its work turns to these, rather than to messages.
    on_end
        Called once when `stop` was called, or `read` has failed, and no thread is at the sockets
        any more.
    """

    def __init__(
        self,
        read: Callable[[], tuple[list[Work], bool]],
        poll_timeout: Callable[[], float | None],
        submit: Callable[[Work], Any],
        backlog: Callable[[], int],
        on_end: Callable[[], None],
    ):
        self.poller = Poller()
        self.stopped = False
        self._read, self._poll_timeout = read, poll_timeout
        self._submit, self._backlog, self._on_end = submit, backlog, on_end
        self._socket_lock = threading.RLock()
        self._state_lock = threading.Lock()
        self._ready = 0
        """Threads that receive, or are about to, without the waiting caller."""
        self._scheduled = 0
        """The ready threads that were submitted and have not begun."""
        self._waiting_caller = 0
        """The thread that receives while it waits for an answer; 0 if there is none."""
        self._wake_sender, self._wake_receiver = socket.socketpair()
        for end in (self._wake_sender, self._wake_receiver):
            end.setblocking(False)
        self.poller.add(self._wake_receiver.fileno(), self._read_wakes, level_triggered=True)

    def start(self) -> None:
        """Have a first thread receive."""
        self._ready += 1
        self._scheduled += 1
        self._submit(self._run)

    def stop(self) -> None:
        """Have all threads end their use of the sockets."""
        with self._state_lock:
            self.stopped = True
        self._wake()

    @contextmanager
    def exclusive(self) -> Iterator[bool]:
        """Hold the sockets alone, from any thread.

        Yields True when the pool has stopped: the sockets must not be used then.
        """
        with self._socket_lock:
            yield self.stopped
            if not self.stopped:
                self._wake()  # the poller may not report again messages that have come meanwhile

    def watch(self, number: int, handler: Callable[[], Any]) -> None:
        """Have `handler` called whenever a file descriptor is ready, and once now; from any
        thread.
        """
        # threads that wait already may not watch it, where there is only select()
        with self.exclusive() as stopped:
            if not stopped:
                self.poller.add(number, handler)
                handler()

    def wait(self, call: Call, timeout: float | None) -> bool:
        """Receive on this thread until the call has ended or `timeout` seconds are over.

        Returns False at once if another caller does so already, or the pool has stopped.
        """
        me = threading.get_ident()
        with self._state_lock:
            if self._waiting_caller or self.stopped or not self._ready:
                return False
            self._waiting_caller = me
        deadline = None if timeout is None else time.monotonic() + timeout
        more = False
        try:
            call.add_done_callback(lambda _: self._wake() if threading.get_ident() != me else None)
            while not (call.ended or self.stopped):
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    break
                works, more = self._poll(0 if more else left)
                for work in works:
                    self._submit(work)
        finally:
            self._retire(call=True, more=more or self._poll_timeout() is not None)
        return not self.stopped

    def _run(self) -> None:
        """Receive on this thread as long as one more receiver is needed."""
        with self._state_lock:
            self._scheduled -= 1
        work = self._receive(more=True)  # the poller may not report messages that have come before
        while work is not None:
            work()
            with self._state_lock:
                if (
                    self.stopped
                    or self._waiting_caller
                    or self._ready >= READY_THREADS
                    or self._ready
                    and self._backlog() > self._scheduled
                ):
                    return
                self._ready += 1
            work = self._receive()

    def _receive(self, more: bool = False) -> Work | None:
        """Return the next work of this thread; None when it is needed here no longer."""
        works: list[Work] = []
        try:
            while (
                not works
                and not self.stopped
                and (more or not self._waiting_caller or self._poll_timeout() is not None)
            ):
                works, more = self._poll(0 if more else None)
        finally:
            self._retire(more=more or self._poll_timeout() is not None)
        for work in works[1:]:
            self._submit(work)
        return works[0] if works else None

    def _poll(self, timeout: float | None) -> tuple[list[Work], bool]:
        """Wait for messages and read them; return their work, and True if there is more to read."""
        if timeout != 0:
            poll_timeout = self._poll_timeout()
            if poll_timeout is not None:
                timeout = poll_timeout if timeout is None else min(timeout, poll_timeout)
        try:
            handlers = self.poller.wait(timeout)
            with self._socket_lock:
                if self.stopped:
                    return [], False
                for handler in handlers:
                    handler()
                return self._read()
        except Exception:
            logger.exception("receiving failed")
            self.stop()
            return [], False

    def _retire(self, *, call: bool = False, more: bool = False) -> None:
        """Receive no longer on this thread, and schedule a successor where one is needed."""
        with self._state_lock:
            if call:
                self._waiting_caller = 0
            else:
                self._ready -= 1
            last = self.stopped and not self._ready and not self._waiting_caller
            successor = not self.stopped and (more or not self._ready and not self._waiting_caller)
            self._ready += successor
            self._scheduled += successor
        if last:
            self._close()
        elif successor:
            self._submit(self._run)

    def _wake(self) -> None:
        """Wake a thread that waits at the poller."""
        try:
            self._wake_sender.send(b"k")
        except (BlockingIOError, OSError):
            return  # enough bytes are there, or no thread is any more

    def _read_wakes(self) -> None:
        """Read the bytes that `_wake` has sent.

        They are for the waiting caller, if there is one; once the pool is stopped they stay, so
        that every thread sees them.
        """
        with self._state_lock:
            if self.stopped or self._waiting_caller not in (0, threading.get_ident()):
                return
            try:
                while self._wake_receiver.recv(4096):
                    pass
            except BlockingIOError:
                return

    def _close(self) -> None:
        with self._socket_lock:
            self.poller.close()
            self._wake_sender.close()
            self._wake_receiver.close()
            self._on_end()
