"""Urgent lines: what is said on them is heard at once, by whom it is meant for, from whom has shown
its key.
"""

import queue
import threading

import pytest

from roleml_nb.messaging.links import control_channel
from roleml_nb.messaging.links.keys import KeyPair
from roleml_nb.role.errors import LinkFailed
from tests.messaging.links.test_direct import DEADLINE, Host, directory, host, linked  # noqa: F401
from tests.waiting import until


class Hearer(Host):
    """Has control channels to others; hears what is said on them, and says it back."""

    def __init__(self, host_id, where, **options):
        super().__init__(host_id, where, **options)
        self.heard = queue.Queue()

    def hear(self, other):
        link = linked(self, other)
        line = self.transport.open_control_channel(other.transport.address, link.url)

        def heard(line, data):
            self.heard.put(data)
            line.reply(b"heard: " + data)

        thread = threading.Thread(target=lambda: line.listen(heard), daemon=True)
        thread.start()
        return line, thread


@pytest.fixture(params=["ipc", "tcp"])
def pair(request, directory):  # noqa: F811
    """A channel that receives, and holds up all messages until the gate is open; and a sender."""
    gate, answers = threading.Event(), queue.Queue()
    options = {} if request.param == "ipc" else {"ip": "127.0.0.1"}
    where = directory if request.param == "ipc" else None
    hearer = Hearer(
        "hearer", where, deliver=lambda peer, frames: gate.wait(DEADLINE) and None, **options
    )
    speaker = Host("speaker", where, on_control_reply=lambda *told: answers.put(told), **options)
    speaker.answers = answers
    yield hearer, speaker
    gate.set()
    for each in (hearer, speaker):
        each.transport.close()


def test_it_is_heard_while_messages_lie_unread(pair):
    hearer, speaker = pair
    hearer.hear(speaker)
    link = linked(speaker, hearer)
    for number in range(100):
        link.send([b"unread %d" % number])
    for number in range(20):
        speaker.transport.send_control("hearer", b"%d" % number)
    assert [hearer.heard.get(timeout=DEADLINE) for _ in range(20)] == [
        b"%d" % number for number in range(20)
    ]
    assert [speaker.answers.get(timeout=DEADLINE) for _ in range(20)] == [
        ("hearer", b"heard: %d" % n) for n in range(20)
    ]
    assert speaker.received.empty()


def test_who_has_no_line_is_not_told(pair):
    hearer, speaker = pair
    linked(hearer, speaker)
    with pytest.raises(LinkFailed, match="hearer has no control channel to 'speaker'"):
        speaker.transport.send_control("hearer", b"x")
    hearer.hear(speaker)
    speaker.transport.send_control("hearer", b"x")
    assert hearer.heard.get(timeout=DEADLINE) == b"x"
    speaker.transport.close()
    with pytest.raises(LinkFailed, match="hearer has no control channel"):
        speaker.transport.send_control("hearer", b"x")


def test_a_line_is_not_opened_with_another_key(pair):
    hearer, speaker = pair
    link = linked(hearer, speaker)
    speaker.transport.admit("hearer", KeyPair().public)
    with pytest.raises(LinkFailed, match="no welcome within|key refused"):
        hearer.transport.open_control_channel(speaker.transport.address, link.url, timeout=0.2)
    over_tcp = link.url.startswith("tcp://")
    assert speaker.transport.refused == {"key not admitted" if over_tcp else "wrong token": 1}
    with pytest.raises(LinkFailed, match="no control channel"):
        speaker.transport.send_control("hearer", b"x")


def test_a_new_line_takes_the_place_of_the_old_one_which_can_still_answer(pair, monkeypatch):
    hearer, speaker = pair
    monkeypatch.setattr(control_channel, "POLL_INTERVAL_MS", 50)
    old, old_thread = hearer.hear(speaker)
    until(lambda: speaker.transport._control_connections.get("hearer"), "the line is known")
    before = speaker.transport._control_connections["hearer"]
    hearer.hear(speaker)
    until(lambda: speaker.transport._control_connections["hearer"] != before, "the new one is, too")
    speaker.transport._control_connections["hearer"], after = (
        before,
        speaker.transport._control_connections["hearer"],
    )
    speaker.transport.send_control("hearer", b"old")
    assert speaker.answers.get(timeout=DEADLINE) == ("hearer", b"heard: old")
    speaker.transport._control_connections["hearer"] = after
    old.close()
    old_thread.join(DEADLINE)
    assert not old_thread.is_alive()
    speaker.transport.send_control("hearer", b"new")
    assert speaker.answers.get(timeout=DEADLINE) == ("hearer", b"heard: new")


def test_a_fault_does_not_keep_the_next_word_from_being_heard(pair, caplog):
    hearer, speaker = pair
    heard, link = queue.Queue(), linked(hearer, speaker)
    line = hearer.transport.open_control_channel(speaker.transport.address, link.url)

    def hear(line, data):
        heard.put(data)
        raise ValueError("cannot be done")

    threading.Thread(target=lambda: line.listen(hear), daemon=True).start()
    for word in (b"one", b"two"):
        speaker.transport.send_control("hearer", word)
        assert heard.get(timeout=DEADLINE) == word
    assert (
        "a message of speaker on its control channel could not be handled" in caplog.text
        and "ValueError: cannot be done" in caplog.text
    )


def test_its_thread_ends_with_the_transport(pair):
    hearer, speaker = pair
    _, thread = hearer.hear(speaker)
    hearer.transport.close()
    thread.join(DEADLINE)
    assert not thread.is_alive()


def test_an_answer_that_cannot_be_sent_says_so(pair):
    hearer, speaker = pair
    failed = queue.Queue()
    link = linked(hearer, speaker)
    line = hearer.transport.open_control_channel(speaker.transport.address, link.url)

    def heard(line, data):
        speaker.transport.close()

        def answer():
            try:
                line.reply(b"x")
            except LinkFailed as error:
                return error

        failed.put(until(answer, "it is noticed that the other side has gone"))

    threading.Thread(target=lambda: line.listen(heard), daemon=True).start()
    speaker.transport.send_control("hearer", b"x")
    assert "cannot answer speaker" in str(failed.get(timeout=DEADLINE))
