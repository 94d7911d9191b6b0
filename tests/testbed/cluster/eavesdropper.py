"""Somebody on the network between machines: reads all that passes, and tries to get in with what it
finds.
"""

from __future__ import annotations

import json
import re
import select
import socket
import subprocess
import sys
import threading
from collections import defaultdict

ETH_P_ALL, SO_RCVBUFFORCE = 3, 33
KEY = re.compile(rb"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")

BREAK_IN = """
import contextlib, itertools, json, sys, zmq
from roleml_nb.messaging.links.transport import HELLO
given = json.load(sys.stdin)
context, poller, tried = zmq.Context.instance(), zmq.Poller(), {}
for url, server, own in itertools.product(given["urls"], given["keys"], [None, *given["keys"]]):
    attempt = context.socket(zmq.DEALER)
    attempt.linger, attempt.sndhwm, attempt.reconnect_ivl = 0, 0, -1
    attempt.curve_serverkey = server.encode()
    secret = own.encode() if own else zmq.curve_keypair()[1]
    attempt.curve_publickey, attempt.curve_secretkey = zmq.curve_public(secret), secret
    attempt.connect(url)
    for name, token in itertools.product(given["names"], given["secrets"]):
        with contextlib.suppress(zmq.Again):  # refused already
            attempt.send_multipart([HELLO, name.encode(), bytes.fromhex(token), b""], zmq.NOBLOCK)
    tried[attempt] = url, server, own
    poller.register(attempt, zmq.POLLIN)
found = []
for attempt, _ in poller.poll(4000):
    found.append([*tried[attempt], attempt.recv_multipart()[0].decode()])
print(json.dumps([len(tried), found]))
"""


class Eavesdropper:
    """Keeps what passes through these network interfaces, from now until `stop`."""

    def __init__(self, interfaces: list[str]):
        self._packets: list[bytes] = []
        self._sockets = [self._open(interface) for interface in interfaces]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @staticmethod
    def _open(interface: str) -> socket.socket:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 26)
        opened.bind((interface, ETH_P_ALL))
        return opened

    def _listen(self) -> None:
        while not self._stopping.is_set():
            for ready in select.select(self._sockets, [], [], 0.1)[0]:
                self._packets.append(ready.recv(1 << 17))

    def stop(self) -> Dump:
        self._stopping.set()
        self._thread.join()
        for each in self._sockets:
            each.close()
        return Dump(self._packets)


class Dump:
    """What was said, put together: one text for each direction of each TCP connection."""

    def __init__(self, packets: list[bytes]):
        self.connections = _connections(packets)
        self.text = b"\n".join(self.connections.values())

    def __contains__(self, text: bytes) -> bool:
        return text in self.text

    def pickled(self, least: int, most: int) -> set[bytes]:
        """All short byte strings that are in pickles."""
        return {
            self.text[at.end() + 1 : at.end() + 1 + size]
            for at in re.finditer(rb"C", self.text)
            if at.end() < len(self.text) and least <= (size := self.text[at.end()]) <= most
        }

    def break_in(self, namespace: str, names: list[str]) -> tuple[int, list[list[str]]]:
        """Try to be let in by each host as each of those, with all that was found; how often, and
        where it was answered.
        """
        urls = re.findall(rb"tcp://[\d.]+:\d+", self.text)
        keys = [text for text in self.pickled(40, 40) if KEY.fullmatch(text)]
        given = {
            "urls": sorted({url.decode() for url in urls if not url.startswith(b"tcp://127.")}),
            "keys": sorted(key.decode() for key in keys),
            "names": names,
            "secrets": ["", *sorted(text.hex() for text in self.pickled(16, 64))],
        }
        done = subprocess.run(
            ["ip", "netns", "exec", namespace, sys.executable, "-c", BREAK_IN],
            input=json.dumps(given),
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert not done.returncode, done.stderr
        return tuple(json.loads(done.stdout))


def _connections(packets: list[bytes]) -> dict[tuple, bytes]:
    pieces: dict[tuple, dict[int, bytes]] = defaultdict(dict)
    for packet in packets:
        if packet[12:14] != b"\x08\x00" or packet[23] != socket.IPPROTO_TCP:
            continue
        length, start = int.from_bytes(packet[16:18], "big"), 14 + 4 * (packet[14] & 15)
        segment = packet[start : 14 + length] if length else packet[start:]
        sequence, data = int.from_bytes(segment[4:8], "big"), segment[4 * (segment[12] >> 4) :]
        known = pieces[packet[26:30], packet[30:34], segment[:4]]
        if len(data) > len(known.get(sequence, b"")):
            known[sequence] = data
    return {ends: _joined(known) for ends, known in pieces.items() if known}


def _joined(pieces: dict[int, bytes]) -> bytes:
    """The pieces in order, each byte once; numbers go on at zero after 2**32 - 1."""
    first = next(iter(pieces))
    placed = sorted(((sequence - first + 2**31) % 2**32, data) for sequence, data in pieces.items())
    text, end = bytearray(), placed[0][0]
    for place, data in placed:
        text += data[max(0, end - place) :]
        end = max(end, place + len(data))
    return bytes(text)
