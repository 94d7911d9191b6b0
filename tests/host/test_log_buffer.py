"""What nodes log and print is in their logs, and nowhere else."""

import logging
import subprocess
import sys
import threading

import cloudpickle
import pytest

from roleml_nb import Role, RoleMLError, Service, Testbed
from roleml_nb.host.log_buffer import MAX_LINE_CHARACTERS, MAX_LINES, LogBuffer
from roleml_nb.role import Runnable
from roleml_nb.trace import Trace
from roleml_nb.trace import logs as logs_of_trace
from tests.waiting import until


class Talker(Role):
    @Service(expand=True)
    def talk(self, caller, text="hello"):
        import sys

        print(text, "from", self.id.actor_name)
        self.logger.info("%s is at work", caller.actor_name)
        self.logger.debug("not shown")
        print("one", end=" ")
        sys.stdout.write("line\nand ")
        print("another\r", end="")
        print("50 %\r100 %")
        print("beware", file=sys.stderr)
        try:
            raise KeyError("x")
        except KeyError:
            self.logger.exception("no %s", "x")
        self.logger.warning("%d", "no number")

    @Service(expand=True)
    async def whisper(self, caller):
        print("psst")

    @Service(expand=True)
    def with_a_handler(self, caller):
        import logging

        class Kept(logging.Handler):
            found = []

            def emit(self, record):
                self.found.append(record.getMessage())

        self.logger.addHandler(Kept())
        self.logger.setLevel(logging.DEBUG)
        self.logger.debug("now shown")
        return Kept.found


cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))


def test_it_is_in_the_log_of_the_node_and_not_in_the_cell(bed, capfd):
    bed.spawn("logs-1", "logs-2")
    bed.assign("logs-*", "talker", Talker)
    capfd.readouterr()
    bed.call("logs-2/talker", "talk")
    bed.call("logs-1/talker", "talk", {"text": "hi"})
    bed.call("logs-1/talker", "whisper")
    print("a line of the cell")
    text = str(bed.logs("logs-*"))
    assert capfd.readouterr() == ("a line of the cell\n", "")
    lines = text.split("logs-2/talker: hello from logs-2\n")
    assert len(lines) == 2 and lines[0].startswith(
        "logs-1/talker: hi from logs-1\nlogs-1/talker info: notebook is at work\n"
    )
    assert lines[0].endswith("logs-1/talker: psst\n") and "not shown" not in text
    for line in (
        "logs-2/talker: one line\n",
        "logs-2/talker: 100 %\n",
        "logs-2/talker stderr: beware\n",
        "logs-2/talker error: no x\n    Traceback (most recent call last):\n",
        "    KeyError: 'x'\n",
        "logs-2/talker warning: '%d' with ('no number',), which cannot be formatted",
    ):
        assert line in text
    warned = bed.logs("logs-1/talker", level="Warning", tail=2)
    assert [line.level for line in warned] == ["error", "warning"] and len(warned) == 2
    assert [line.text for line in bed.logs("logs-1", tail=1)] == ["psst"]
    assert str(bed.logs("nobody")) == "nothing was logged"
    table = bed.trace.logs.to_pandas()
    assert list(table.columns) == ["time", "node", "role", "level", "text"]
    assert table["time"].is_monotonic_increasing and "psst" in set(table["text"])
    assert repr(bed.logs("logs-1", times=True, tail=1)).strip()[0].isdigit()
    with pytest.raises(ValueError, match="no level 'warn'; did you mean 'warning'"):
        bed.logs(level="warn")
    assert bed.call("logs-1/talker", "with-a-handler") == ["now shown"]
    assert [line[2:] for line in bed.logs("logs-1", tail=1)] == [("talker", "debug", "now shown")]


class Leaver(Runnable, Role):
    def run(self):
        self.ended = threading.Event()
        print("begins", end="")
        self.ended.wait()
        print(" and ends")

    def stop(self):
        self.ended.set()
        print("is stopped", end="")


@pytest.mark.parametrize("engines", [0, 1])
def test_nothing_is_lost_at_the_end(engines):
    with Testbed(engines=engines, preload=()) as bed:
        bed.spawn("a")
        bed.assign("a", "leaver", Leaver)
        until(
            lambda: any(line.text == "begins" for line in bed.logs("a")),
            "a line by halves is shown after a while",
        )
    assert sorted(line.text for line in bed.logs("a") if line.level == "print") == [
        " and ends",
        "begins",
        "is stopped",
    ]


def test_streams_are_as_before_when_the_last_testbed_has_ended():
    program = """if True:
        import sys
        from roleml_nb import Testbed
        before = sys.stdout, sys.stderr
        one, two = Testbed(engines=0), Testbed(engines=0)
        assert sys.stdout is not before[0] and sys.stdout.encoding == before[0].encoding
        one.stop()
        assert sys.stdout is not before[0] and sys.stderr is not before[1]
        two.stop()
        assert (sys.stdout, sys.stderr) == before
    """
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_two_testbeds_have_logs_of_their_own():
    with Testbed(engines=0) as one, Testbed(engines=0) as two:
        for bed, text in ((one, "first"), (two, "second")):
            bed.spawn("a")
            bed.assign("a", "talker", Talker)
            bed.call("a/talker", "talk", {"text": text})
        for bed, text in ((one, "first"), (two, "second")):
            assert [line.text for line in bed.logs("a")][0] == f"{text} from a"
            assert len(bed.logs("a")) == len(one.logs("a"))


def test_memory_is_bounded_and_what_is_left_out_is_said(monkeypatch):
    log_buffer = LogBuffer(lambda: 1.0)
    for number in range(MAX_LINES + 7):
        log_buffer.add_line("a", "r", "info", str(number))
    log_buffer.add_line("a", "r", "info", "x" * (MAX_LINE_CHARACTERS + 5))
    rows = log_buffer.drain()
    assert len(rows) == MAX_LINES + 1
    assert rows[-1] == (
        1.0,
        "a",
        "r",
        "warning",
        "(8 lines left out: they came faster than they can be shipped)",
    )
    log_buffer.write("a", "r", "print", "x" * (MAX_LINE_CHARACTERS + 5) + "\n")
    assert log_buffer.drain()[0][4].endswith("… (5 characters more)") and log_buffer.drain() == []

    monkeypatch.setattr(logs_of_trace, "MAX_LINES", 10)
    trace = Trace(0.0, lambda: None)
    trace.add([], [], [(float(number), "a", "r", "info", str(number)) for number in range(25)])
    view = logs_of_trace.LogView(trace.logs, ["a"])
    assert str(view).splitlines()[0] == "(15 earlier lines of all nodes are no longer here)"
    assert (
        trace.logs.gone == 15
        and len(view) == 10
        and repr(trace.logs) == "<Logs: 10 lines; .to_pandas()>"
    )
    assert [line.text for line in view.new(22)[0]] == ["22", "23", "24"] and view.new(25) == (
        [],
        25,
    )


def test_logging_of_the_process_is_left_alone():
    assert not any("logs-1" in name for name in logging.Logger.manager.loggerDict)


class Painter(Role):
    @Service(expand=True)
    def paint(self, caller):
        print("\x1b[31mred\x1b[0m \x1b[2J\x00 \u202etxt \ud800 tab\there")
        raise ValueError("\x1b]0;title\x07 \x1b[1mbold\x1b[0m")


def test_characters_that_act_on_a_screen_are_shown_as_what_they_are(bed, capsys):
    bed.spawn("painter")
    bed.assign("painter", "painter", Painter)
    with pytest.raises(RoleMLError) as caught:
        bed.call("painter/painter", "paint")
    assert (
        str(bed.logs("painter")).splitlines()[0]
        == "painter/painter: red \\x1b[2J\\x00 \\u202etxt \\ud800 tab\there"
    )
    assert (
        str(caught.value).endswith("ValueError: \\x1b]0;title\\x07 bold")
        and "\x1b" not in caught.value.remote_traceback
    )
    assert "\\x1b]0;title" in caught.value.remote_traceback
