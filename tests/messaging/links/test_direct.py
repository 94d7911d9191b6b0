"""The direct transport: frames arrive in order and only from admitted hosts; a dead peer is
noticed; closing is clean.
"""

import dataclasses
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time

import pytest
import zmq

from roleml_nb.messaging.links.keys import KeyPair
from roleml_nb.messaging.links.transport import HELLO, DirectTransport
from roleml_nb.messaging.serialization.shared_memory import Region
from roleml_nb.role.errors import LinkFailed

DEADLINE = 10


class Host:
    """A transport that puts what it gets into queues, and its thread."""

    def __init__(self, host_id, directory, deliver=None, **options):
        self.received, self.lost, self.threads = queue.Queue(), queue.Queue(), []
        self.transport = DirectTransport(
            host_id,
            deliver=deliver
            or (lambda peer, frames: self.received.put((peer, [bytes(f) for f in frames]))),
            lost=lambda peer, reason: self.lost.put((peer, reason)),
            directory=directory,
            submit=self._run,
            **options,
        )

    def _run(self, function):
        self.threads.append(threading.Thread(target=function, daemon=True))
        self.threads[-1].start()


@pytest.fixture
def directory():
    # not tmp_path: socket paths are limited to 107 bytes
    with tempfile.TemporaryDirectory() as path:
        yield path


@pytest.fixture
def host(directory):
    hosts = []

    def start(host_id, where=directory, **options):
        hosts.append(Host(host_id, where, **options))
        return hosts[-1]

    yield start
    for each in hosts:
        each.transport.close()


def linked(a, b, **options):
    b.transport.admit(a.transport.host_id, a.transport.address.public_key)
    return a.transport.connect(b.transport.address, **options)


def test_frames_both_ways(host):
    a, b = host("a"), host("b")
    there, back = linked(a, b), linked(b, a)
    there.send([b"header", b"x", bytearray(b"y"), memoryview(b"zz"), b""])
    assert b.received.get(timeout=DEADLINE) == ("a", [b"header", b"x", b"y", b"zz", b""])
    back.send([b"only"])
    assert a.received.get(timeout=DEADLINE) == ("b", [b"only"])
    assert (there.kind, there.peer) == ("direct", "b")


def test_what_lies_in_shared_memory_is_opened_and_not_sent(host):
    views = queue.Queue()
    a, b = (
        host("a"),
        host(
            "b",
            deliver=lambda peer, frames: views.put(
                (frames, [Region.of(frame) for frame in frames])
            ),
        ),
    )
    link = linked(a, b)
    assert link.shares
    one, other = Region([b"\1" * 2_000_000, b"x"]), Region([b"\2" * 2_000_000])
    link.send([b"h", *one.map(), b"between", *other.map()])
    frames, found = views.get(timeout=DEADLINE)
    assert [bytes(frame[:2]) for frame in frames] == [b"h", b"\1\1", b"x", b"be", b"\2\2"]
    assert [len(frame) for frame in frames] == [1, 2_000_000, 1, 7, 2_000_000]
    assert [region is not None for region in found] == [False, True, True, False, True] and found[
        1
    ] is found[2] is not one
    found.clear()
    frames[1][:1] = b"z"
    assert bytes(one.map()[0][:1]) == b"\1"
    assert Region.of(frames[1]) is None  # the sender's is not kept open by what the receiver keeps
    link.shares = False
    link.send([b"h", *one.map()])
    frames, found = views.get(timeout=DEADLINE)
    assert found == [None] * 3 and bytes(frames[1]) == b"\1" * 2_000_000


def test_who_cannot_open_it_is_sent_bytes(host, monkeypatch):
    monkeypatch.setattr(
        "roleml_nb.messaging.links.transport.can_open_sample", lambda path, content: False
    )
    a, b = host("a"), host("b")
    link = linked(a, b)
    assert not link.shares
    link.send([b"h", *Region([b"\1" * 2_000_000]).map()])
    assert b.received.get(timeout=DEADLINE)[1][1] == b"\1" * 2_000_000


def test_large_frame(host):
    a, b = host("a"), host("b")
    linked(a, b).send([b"h", b"\1" * 10_000_000])
    assert b.received.get(timeout=DEADLINE)[1][1] == b"\1" * 10_000_000


def test_received_frames_are_writable(host):
    got = queue.Queue()
    a, b = host("a"), host("b", deliver=lambda peer, frames: got.put(frames))
    linked(a, b).send([b"h", b"abc", b"d" * 100_000])
    header, *others = got.get(timeout=DEADLINE)
    assert type(header) is bytes
    assert [other.readonly for other in others] == [False, False]


def test_order_of_each_sending_thread(host):
    a, b = host("a"), host("b")
    link, count = linked(a, b), 3000

    def send(thread):
        for number in range(count):
            link.send([b"%d" % thread, b"%d" % number])

    threads = [threading.Thread(target=send, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    numbers = {b"%d" % i: [] for i in range(4)}
    for _ in range(4 * count):
        thread, number = b.received.get(timeout=DEADLINE)[1]
        numbers[thread].append(int(number))
    for thread in threads:
        thread.join()
    assert all(each == list(range(count)) for each in numbers.values())


@pytest.mark.parametrize("known", ["another key", "no key"])
def test_refused(host, known):
    a, b = host("a"), host("b")
    if known == "another key":
        b.transport.admit("a", KeyPair().public)
    with pytest.raises(
        LinkFailed, match=r"no direct link from 'a' to 'b': ipc://.*/b: no welcome within 0\.2 s"
    ):
        a.transport.connect(b.transport.address, timeout=0.2)
    assert b.transport.refused == {
        "wrong token" if known == "another key" else "host not admitted": 1
    }
    assert b.received.empty()


@pytest.mark.parametrize("known", ["another key", "no key"])
def test_refused_over_tcp(host, known, caplog):
    """By its key alone: what it says is not even read."""
    a, b = host("a", None, ip="127.0.0.1"), host("b", None, ip="127.0.0.1")
    if known == "another key":
        b.transport.admit("a", KeyPair().public)
    with pytest.raises(
        LinkFailed,
        match=(
            r"no direct link from 'a' to 'b': tcp://127.0.0.1:\d+: the handshake failed \(key"
            r" refused\)"
        ),
    ):
        a.transport.connect(b.transport.address, timeout=DEADLINE)
    assert b.transport.refused == {"key not admitted": 1}
    assert "b refused a message from 127.0.0.1: key not admitted (1 refused in all)" in caplog.text
    assert linked(a, b).kind == "direct"  # the next attempt, when its key is known


@pytest.mark.parametrize("way", ["ipc", "tcp"])
def test_no_host_passes_for_another(host, way):
    """Not even one that is admitted itself."""
    where, options = (None, {"ip": "127.0.0.1"}) if way == "tcp" else ("", {})
    a, b, c = (host(name, None, **options) if where is None else host(name) for name in "abc")
    linked(a, b)
    linked(c, b)
    liar = c.transport
    liar.host_id = "a"
    with pytest.raises(LinkFailed, match=r"no welcome within 0\.2 s"):
        liar.connect(b.transport.address, timeout=0.2)
    assert b.transport.refused == {"wrong key" if way == "tcp" else "wrong token": 1}
    liar.host_id = "c"


def test_a_host_that_has_begun_anew_has_another_key(host):
    """The former one is not let in any more, and the new one is, over TCP and ipc."""
    for options in ({"where": None, "ip": "127.0.0.1"}, {}):
        b, former, new = host("b", **options), host("a", **options), host("a2", **options)
        linked(former, b).close()
        new.transport.host_id = "a"
        linked(new, b).send([b"new"])
        assert b.received.get(timeout=DEADLINE) == ("a", [b"new"])
        with pytest.raises(LinkFailed, match="key refused|no welcome"):
            former.transport.connect(b.transport.address, timeout=0.2)
        b.transport.close()
        former.transport.close()


def test_tokens_are_the_same_on_both_sides_and_no_others():
    a, b, c = KeyPair(), KeyPair(), KeyPair()
    tokens = {a.token(b.public, "a", "b"), b.token(a.public, "a", "b")}
    assert len(tokens) == 1 and len(tokens.pop()) == 32
    others = {
        a.token(b.public, "b", "a"),
        a.token(c.public, "a", "b"),
        c.token(b.public, "a", "b"),
        a.token(b.public, "a", "b"),
    }
    assert len(others) == 4


def test_it_listens_on_tcp_when_it_is_told_to(host):
    a, b = host("a"), host("b")
    assert a.transport.address.tcp_urls == ()
    address = a.transport.listen("127.0.0.1")
    # it goes on as it does
    assert address == a.transport.address and address == a.transport.listen("*")
    assert [url.rpartition(":")[0] for url in address.tcp_urls] == ["tcp://127.0.0.1"]
    a.transport.admit("b", b.transport.address.public_key)
    link = b.transport.connect(type(address)("a", address.public_key, None, address.tcp_urls))
    assert link.url == address.tcp_urls[0]
    link.send([b"over TCP"])
    assert a.received.get(timeout=DEADLINE) == ("b", [b"over TCP"])
    a.transport.close()
    with pytest.raises(LinkFailed, match="this transport is closed"):
        a.transport.listen()


@pytest.mark.parametrize("routing_id", [None, b"chosen"])
def test_stranger_is_dropped(host, routing_id):
    b = host("b")
    keys = KeyPair()
    b.transport.admit("a", keys.public)
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
        if routing_id:
            stranger.routing_id = routing_id
        stranger.linger = 0
        stranger.connect(f"ipc://{b.transport.address.ipc_path}")
        stranger.send_multipart([b"data", b"x"])
        if routing_id:
            stranger.send_multipart(
                [HELLO, b"a", keys.token(b.transport.address.public_key, "a", "b"), b""]
            )
        expected, end = 1 + bool(routing_id), time.monotonic() + DEADLINE
        while b.transport.refused["not authenticated"] < expected and time.monotonic() < end:
            stranger.poll(5)
        assert not stranger.poll(20)
    assert b.transport.refused == {"not authenticated": expected}
    assert b.received.empty()


def test_tcp_with_curve(host):
    a, b = host("a", None, ip="127.0.0.1"), host("b", None, ip="*")
    assert b.transport.address.ipc_path is None
    link = linked(a, b)
    assert link.url.startswith("tcp://")
    link.send([b"h", b"x" * 1_000_000])
    assert b.received.get(timeout=DEADLINE) == ("a", [b"h", b"x" * 1_000_000])


def test_a_host_that_has_not_the_key_which_is_expected_is_not_talked_to(host):
    a, b = host("a", None, ip="127.0.0.1"), host("b", None, ip="127.0.0.1")
    b.transport.admit("a", a.transport.address.public_key)
    address = type(b.transport.address)("b", KeyPair().public, None, b.transport.address.tcp_urls)
    with pytest.raises(LinkFailed, match="tcp://127.0.0.1"):
        a.transport.connect(address, timeout=0.5)


def test_stale_socket_falls_back_to_tcp(host, directory):
    a, b = host("a"), host("b", None, ip="127.0.0.1")
    stale = os.path.join(directory, "b")
    open(stale, "w").close()
    address = dataclasses.replace(b.transport.address, ipc_path=stale)
    b.transport.admit("a", a.transport.address.public_key)
    assert a.transport.connect(address).url.startswith("tcp://")


def test_fault_in_deliver_does_not_end_the_thread(host, caplog):
    got = queue.Queue()

    def deliver(peer, frames):
        if frames[0] == b"bad":
            raise ValueError("no")
        got.put(frames[0])

    a, b = host("a"), host("b", deliver=deliver)
    link = linked(a, b)
    link.send([b"bad"])
    link.send([b"good"])
    assert got.get(timeout=DEADLINE) == b"good"
    assert "deliver failed" in caplog.text


PEER = """
import sys, threading
from roleml_nb.messaging.links.transport import DirectTransport
transport = DirectTransport(
    "b", deliver=lambda *a: None, lost=lambda *a: None, directory=sys.argv[1],
    ip="127.0.0.1" if sys.argv[2] == "tcp" else None,
    submit=lambda f: threading.Thread(target=f, daemon=True).start())
transport.admit("a", sys.argv[3].encode())
print(transport.address.public_key.decode(), *transport.address.tcp_urls, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("way", ["ipc", "tcp"])
def test_killed_peer_is_noticed(host, directory, way):
    a = host("a")
    command = [sys.executable, "-c", PEER, directory, way, a.transport.address.public_key.decode()]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as peer:
        key, *urls = peer.stdout.readline().split()
        path = os.path.join(directory, "b")
        address = type(a.transport.address)(
            "b", key.encode(), None if way == "tcp" else path, tuple(urls)
        )
        link = a.transport.connect(address)
        peer.send_signal(signal.SIGKILL)
        name, reason = a.lost.get(timeout=2)
    assert name == "b"
    assert "the other side closed the connection" in reason
    with pytest.raises(LinkFailed, match=r"cannot send to host 'b' at .*the other side closed"):
        link.send([b"h"])
    assert a.lost.empty()
    with pytest.raises(LinkFailed, match="refused"):  # its socket file is still there
        a.transport.connect(dataclasses.replace(address, ipc_path=path), timeout=5)


def test_closed_link(host):
    a, b = host("a"), host("b")
    link = linked(a, b)
    link.send([b"last"])
    link.close()
    link.close()
    assert b.received.get(timeout=DEADLINE) == ("a", [b"last"])
    with pytest.raises(LinkFailed, match="the link was closed"):
        link.send([b"h"])
    linked(a, b).send([b"again"])
    assert b.received.get(timeout=DEADLINE) == ("a", [b"again"])
    assert len(a.transport._links) <= 1
    assert a.lost.empty()


def test_close_is_clean(host, directory):
    a, b = host("a"), host("b")
    link, back = linked(a, b), linked(b, a)
    begin = time.monotonic()
    a.transport.close()
    a.transport.close()
    assert time.monotonic() - begin < 2
    a.threads[0].join(1)
    assert not a.threads[0].is_alive()
    assert os.listdir(directory) == ["b"]
    assert a.lost.empty()
    assert b.lost.get(timeout=DEADLINE)[0] == "a"
    for each in (link, back):
        with pytest.raises(LinkFailed):
            each.send([b"h"])
    with pytest.raises(LinkFailed, match="this transport is closed"):
        a.transport.connect(b.transport.address)


def test_close_while_connecting(host):
    a, b = host("a"), host("b")
    failures = queue.Queue()

    def connect():
        try:
            a.transport.connect(b.transport.address, timeout=30)
        except LinkFailed as error:
            failures.put(error)

    thread = threading.Thread(target=connect)
    thread.start()
    end = time.monotonic() + DEADLINE
    while not b.transport.refused and time.monotonic() < end:
        thread.join(0.005)
    a.transport.close()
    assert isinstance(failures.get(timeout=2), LinkFailed)
    for each in (thread, a.threads[0]):
        each.join(1)
    assert not a.threads[0].is_alive()


def test_directories(directory):
    with pytest.raises(LinkFailed, match="the system allows 107; give a shorter directory"):
        Host("x" * 120, directory)
    with pytest.raises(LinkFailed, match="plain name without '/'"):
        Host("../x", directory)
    os.chmod(directory, 0o755)
    with pytest.raises(LinkFailed, match="must have mode 0700"):
        Host("a", directory)
    with pytest.raises(LinkFailed, match="no way to listen"):
        Host("a", None)
