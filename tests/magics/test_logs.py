"""%rml logs, in a real IPython shell."""

import _thread
import threading

import pytest
from IPython.core.error import UsageError

from tests.shells import run
from tests.waiting import until

ROLE = """
from roleml_nb import Role, Service, Task
class Talker(Role):
    @Service(expand=True)
    def say(self, caller, text):
        print(text)
        self.logger.warning("said %s", text)
    @Task(expand=True)
    def count(self, caller):
        for number in range(3):
            print(number)
"""


@pytest.fixture
def talkers(shell, capsys):
    run(shell, capsys, "start --engines 0")
    shell.run_cell_magic("role", "", ROLE)
    run(shell, capsys, "spawn logs{1..2}")
    run(shell, capsys, "assign logs* talker=Talker")
    return shell


def test_what_was_logged_is_printed_when_asked_for(talkers, capsys):
    assert run(talkers, capsys, "logs") == "nothing was logged\n"
    assert run(talkers, capsys, "call logs2/talker say text='two'") == "None\n"
    assert run(talkers, capsys, "call logs1/talker say text='one'") == "None\n"
    assert run(talkers, capsys, "logs") == (
        "logs1/talker: one\nlogs1/talker warning: said one\n"
        "logs2/talker: two\nlogs2/talker warning: said two\n"
    )
    assert (
        run(talkers, capsys, "logs logs{1..2} --level warning --tail 1")
        == "logs1/talker warning: said one\n"
    )
    assert run(talkers, capsys, "logs logs2/talker --times").splitlines()[0].split()[1:] == [
        "logs2/talker:",
        "two",
    ]
    for line, text in (
        ("logs log1", "no node matches 'log1'; did you mean 'logs1'"),
        ("logs --level warn", "invalid choice: 'warn'"),
    ):
        with pytest.raises(UsageError, match=text):
            talkers.run_line_magic("rml", line)
    magics = talkers.magics_manager.registry["RoleMagics"]
    event = type("Event", (), {"line": "%rml logs "})
    assert {"logs1", "logs2", "--follow", "--level"} <= set(magics.complete(talkers, event))
    event.line = "%rml logs --level "
    assert "warning" in magics.complete(talkers, event)


def test_it_follows_until_the_time_is_over_or_the_cell_is_interrupted(talkers, capsys):
    bed = talkers.user_ns["bed"]
    bed.call("logs1/talker", "count")
    assert (
        run(talkers, capsys, "logs logs1 --for 0.3")
        == "logs1/talker: 0\nlogs1/talker: 1\nlogs1/talker: 2\n"
    )

    shown = []

    def interrupt():
        until(
            lambda: shown.append(capsys.readouterr().out) or "logs1/talker: 2" in "".join(shown),
            "it follows",
            30,
        )
        bed.call("logs1/talker", "say", {"text": "live"})
        until(
            lambda: shown.append(capsys.readouterr().out) or "logs1/talker: live" in "".join(shown),
            "it follows",
            30,
        )
        _thread.interrupt_main()

    helper = threading.Thread(target=interrupt)
    helper.start()
    talkers.run_line_magic("rml", "logs logs1 --follow --tail 1")
    helper.join(30)
    assert "logs1/talker: live" in "".join(shown) and "logs1/talker: 0" not in "".join(shown)
