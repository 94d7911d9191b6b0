"""Strangers at the door of a host: real sockets, real nonsense.

The host stays up, answers nothing, unpickles nothing.
"""

import contextlib
import logging
import os
import pickle
import queue
import random
import re
import socket
import struct
import tempfile

import psutil
import pytest
import zmq

from roleml_nb.messaging.links.admission import MAX_UNAUTHENTICATED
from roleml_nb.messaging.links.transport import HELLO
from tests.messaging.links.test_direct import DEADLINE, Host, linked
from tests.waiting import until

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.fixture(params=["ipc", "tcp"])
def door(request):
    """A host, and how a stranger connects a plain socket to it; another host, which it knows."""
    with tempfile.TemporaryDirectory() as directory:
        tcp = {"ip": "127.0.0.1"} if request.param == "tcp" else {}
        host, friend = (
            Host("b", None if tcp else directory, **tcp),
            Host("a", None if tcp else directory, **tcp),
        )

        def knock():
            if tcp:
                name, _, port = (
                    host.transport.address.tcp_urls[0].removeprefix("tcp://").rpartition(":")
                )
                return socket.create_connection((name, int(port)))
            plain = socket.socket(socket.AF_UNIX)
            plain.connect(host.transport.address.ipc_path)
            return plain

        link = linked(friend, host)
        yield host, knock, link
        link.send([b"still there"])
        assert host.received.get(timeout=DEADLINE) == ("a", [b"still there"])
        assert host.received.empty()
        friend.transport.close()
        host.transport.close()


def garbage(number):
    chance = random.Random(number)
    noise = chance.randbytes(chance.randrange(1, 2000))
    return [
        noise,
        GREETING[: chance.randrange(1, 64)],
        GREETING + noise,
        GREETING + READY + noise,
        GREETING + READY + b"\x02" + struct.pack(">Q", 2**62) + noise,
        GREETING + READY + b"\x00\xff" + noise,
        b"GET / HTTP/1.1\r\n\r\n",
    ][number % 7]


def test_random_bytes_and_truncated_frames(door):
    host, knock, _ = door
    for number in range(210):
        with knock() as stranger:
            try:
                stranger.sendall(garbage(number))
            except OSError:  # the door was shut already
                pass
    until(
        lambda: not any(door.unauthenticated for door in host.transport.admissions.values()),
        "none is left",
    )
    assert psutil.Process().memory_info().rss < 4e9


def test_many_connections_leave_nothing_behind(door):
    _, knock, _ = door
    process = psutil.Process()
    before = process.num_fds()
    for _ in range(20):
        crowd = [knock() for _ in range(50)]
        for stranger in crowd:
            stranger.close()
    until(lambda: process.num_fds() <= before + 5, "all are closed on our side, too")


def test_a_crowd_that_stays_is_kept_small(door, monkeypatch, caplog):
    """Connections that nobody closes: 1,500 each here, a million in benchmarks/strangers.py."""
    host, knock, link = door
    process, crowd = psutil.Process(), []
    files, memory = process.num_fds(), process.memory_info().rss
    with caplog.at_level(logging.WARNING):
        for number in range(1500):
            crowd.append(knock())
            if number % 2:
                with contextlib.suppress(OSError):
                    crowd[-1].sendall(GREETING + READY)
            if number % 250 == 0:
                link.send([b"meanwhile"])
                assert host.received.get(timeout=DEADLINE) == ("a", [b"meanwhile"])
        (entrance,) = host.transport.admissions.values()
        until(
            lambda: process.num_fds() - files - len(crowd) <= MAX_UNAUTHENTICATED + 5,
            "no more than these are connected",
        )
        assert entrance.rejected > 100
        assert process.memory_info().rss < memory + 200e6
        monkeypatch.setattr("roleml_nb.messaging.links.admission.AUTHENTICATION_TIMEOUT_S", 0.1)
        until(lambda: not entrance.unauthenticated, "those that say nothing must go, too")
        until(lambda: process.num_fds() - files - len(crowd) <= 5, "and have gone")
    lines = [
        record.getMessage() for record in caplog.records if "turned away" in record.getMessage()
    ]
    assert len(lines) == 1 and re.fullmatch(
        r"b turned away a connection: .* it has not shown who it is.* \(1 in all\)", lines[0]
    )
    for each in crowd:
        each.close()


def test_a_friend_gets_in_through_a_crowd(door):
    host, knock, _ = door
    crowd = [knock() for _ in range(2 * MAX_UNAUTHENTICATED)]
    friend = (
        Host("c", None, ip="127.0.0.1")
        if host.transport.address.tcp_urls
        else Host("c", os.path.dirname(host.transport.address.ipc_path))
    )
    linked(friend, host).send([b"let in"])
    assert host.received.get(timeout=DEADLINE) == ("c", [b"let in"])
    for each in crowd:
        each.close()
    friend.transport.close()


def test_nothing_of_a_stranger_is_unpickled_or_answered(caplog):
    with tempfile.TemporaryDirectory() as directory:
        host, friend = Host("b", directory), Host("a", directory)
        link = linked(friend, host)
        trap = os.path.join(directory, "trap")
        bomb = pickle.dumps(Bomb(trap))
        token = host.transport._tokens["a"]
        messages = [
            [bomb],
            [HELLO, bomb, bomb, b""],
            [b"roleml_nb 0", b"a", token],
            [HELLO, b"a", token[:-1], b""],
            [HELLO, b"a", token],
            [b"x" * 30_000_000],
            [HELLO],
            [b""],
            [pickle.dumps((1, 0, 0, 0, [("host",)])), bomb],
        ]
        with (
            zmq.Context() as context,
            context.socket(zmq.DEALER) as stranger,
            caplog.at_level(logging.WARNING),
        ):
            stranger.linger = 0
            stranger.connect(f"ipc://{host.transport.address.ipc_path}")
            for message in messages * 10:
                stranger.send_multipart(message)
            until(lambda: host.transport.refused.total() == len(messages) * 10, "all are refused")
            assert not stranger.poll(20)
        assert (
            host.transport.refused["wrong version"] == 10
            and host.transport.refused["wrong token"] == 10
        )
        assert host.received.empty() and not os.path.exists(trap)
        lines = [
            record.getMessage() for record in caplog.records if "refused" in record.getMessage()
        ]
        assert len(lines) == 1
        assert re.fullmatch(
            r"b refused a message from \S+: not authenticated \(1 refused in all\)", lines[0]
        )
        link.send([b"still there"])
        assert host.received.get(timeout=DEADLINE) == ("a", [b"still there"])
        friend.transport.close()
        host.transport.close()


def test_what_a_link_loses_is_sent_again():
    """A link that drops every third batch, first time round: all come, once, in order."""
    from roleml_nb.messaging.session import Session

    class Lossy:
        kind = "lossy"

        def __init__(self, peer, deliver):
            self.peer, self.deliver, self.sent = peer, deliver, 0

        def send(self, frames):
            self.sent += 1
            if self.sent % 3:
                wires.put((self.deliver, frames))

        def close(self):
            pass

    wires, taken = queue.SimpleQueue(), []
    one, other = Session("b", lambda *why: None), Session("a", lambda *why: None)
    one.attach(
        Lossy(
            "b",
            lambda frames: other.receive(
                frames, lambda item, buffers, credit: taken.append(item[0])
            ),
        )
    )
    other.attach(Lossy("a", lambda frames: one.receive(frames, lambda *_: None)))
    for number in range(2000):
        one.post((number, 0), [])
        while not wires.empty():
            deliver, frames = wires.get()
            deliver(frames)
    assert taken == list(range(len(taken))) and len(taken) >= 1900
    other.acknowledge()
    while not wires.empty():
        deliver, frames = wires.get()
        deliver(frames)
    assert len(one._unacknowledged) <= 100


def test_the_last_of_all_messages_is_sent_again_when_a_link_loses_it():
    """Nothing comes after it that would show that it is missing; the same goes for what tells of
    it.
    """
    from roleml_nb.messaging.session import Session

    class Lossy:
        kind, peer = "lossy", "b"

        def __init__(self, deliver):
            self.deliver, self.sent, self.loses = deliver, [], 0

        def send(self, frames):
            self.loses -= 1
            if self.loses < 0:
                self.sent.append(frames)

        def carry(self):
            while self.sent:
                self.deliver(self.sent.pop(0))

        def close(self):
            pass

    taken, receipts, now = [], [], 0.0
    one, other = Session("b", lambda *why: None), Session("a", lambda *why: None)
    there = Lossy(
        lambda frames: other.receive(
            frames, lambda item, buffers, credit: (taken.append(item[0]), receipts.append(credit))
        )
    )
    back = Lossy(lambda frames: one.receive(frames, lambda *_: None))
    one.attach(there)
    other.attach(back)

    def pass_time(seconds):
        nonlocal now
        for _ in range(int(seconds / 0.25)):
            now += 0.25
            one.probe(now)
            there.carry()
            back.carry()
            other.acknowledge()
            back.carry()

    one.post((0, 0), [], counted=100)
    pass_time(1)
    there.loses = 1
    one.post((1, 0), [], counted=100)
    pass_time(0.5)
    assert taken == [0] and not one.drained
    pass_time(2)
    assert taken == [0, 1] and one.drained
    there.loses = 3  # the message, and the first two questions after it
    one.post((2, 0), [])
    pass_time(5)
    assert taken == [0, 1]
    pass_time(4)
    assert taken == [0, 1, 2] and one.drained
    assert one.window.bytes == 200
    back.loses = 1  # what says that they were handled
    receipts.clear()
    pass_time(0.5)
    assert one.window.bytes == 200
    pass_time(40)
    assert one.window.bytes == 0
    there.sent = asked = []
    pass_time(100)
    assert not asked  # nothing is open: nothing is asked


def test_a_better_link_takes_over_while_the_other_one_works():
    """What is still on its way over the former comes after what the new one has sent again: it is
    dropped.
    """
    from roleml_nb.messaging.session import Session

    class Slow:
        kind, peer = "slow", "b"

        def __init__(self):
            self.frames, self.closed = [], False

        def send(self, frames):
            self.frames.append(frames)

        def close(self):
            self.closed = True

    broken, taken, former, better = [], [], Slow(), Slow()
    one, other = (
        Session("b", lambda *why: broken.append(why)),
        Session("a", lambda *why: broken.append(why)),
    )
    one.attach(former)
    for number in range(6):
        one.post((number, 0), [])
    one.attach(better)
    for number in range(6, 9):
        one.post((number, 0), [])
    assert former.closed and one.link is better and len(former.frames) == 6
    for frames in [*former.frames[:2], *better.frames[:5], *former.frames[2:], *better.frames[5:]]:
        other.receive(frames, lambda item, buffers, credit: taken.append(item[0]))
    assert taken == list(range(9)) and not broken


def test_a_batch_that_comes_twice_is_taken_once():
    from roleml_nb.messaging.session import Session

    broken, sent, taken = [], [], []

    class Wire:
        kind, peer = "wire", "b"

        def send(self, frames):
            sent.append(frames)

        def close(self):
            pass

    one, other = (
        Session("b", lambda *why: broken.append(why)),
        Session("a", lambda *why: broken.append(why)),
    )
    one.attach(Wire())
    for number in range(3):
        one.post((number, 0), [])
    for frames in [sent[0], sent[1], sent[0], sent[1], sent[2], sent[2]]:
        other.receive(frames, lambda item, buffers, credit: taken.append(item[0]))
    assert taken == [0, 1, 2] and not broken
