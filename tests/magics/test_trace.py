"""``%rml trace`` says how much was noted, and keeps to a limit."""

import re

import pytest
from IPython.core.error import UsageError

from tests.shells import run

CELL = """
from roleml_nb import Event, Role, Service
class Talker(Role):
    said = Event()
    @Service(expand=True)
    def talk(self, caller, count):
        for number in range(count):
            self.said.emit({"loss": number})
            self.call("other", "listen")
    @Service(expand=True)
    def listen(self, caller): pass
"""


def test_the_trace_is_told_limited_recorded_and_cleared(shell, capsys, tmp_path):
    run(shell, capsys, "start --engines 0")
    shell.run_cell(CELL)
    run(shell, capsys, "spawn a b")
    run(shell, capsys, "assign * talker=Talker")
    run(shell, capsys, "relate a other=b/talker")
    run(shell, capsys, "trace --clear")
    run(shell, capsys, "call a/talker talk count=1000")
    said, size = run(shell, capsys, "trace").splitlines()
    assert (
        re.fullmatch("200[2-9] messages, 1000 metrics, 0 lines of logs", said)
        and size == "0.1 MB, at most 128 MB"
    )
    said, size = run(shell, capsys, "trace --limit 0.06").splitlines()
    assert re.match("200[2-9] messages, 1000 metrics, 0 lines of logs; the first ", said)
    assert re.search("of 2,00[2-9] messages are totals by now; ", said) and size.endswith(
        " MB, at most 0.06 MB"
    )
    recorded = run(shell, capsys, f"record {tmp_path / 'run'}")
    assert (
        recorded.startswith(f"recorded {tmp_path / 'run'}; the first ")
        and "see Trace.limit" in recorded
    )
    assert (
        run(shell, capsys, "trace --clear --limit inf")
        == "0 messages, 0 metrics, 0 lines of logs\n0.0 MB, no limit\n"
    )
    for bad in ("0", "-1", "nan", "much"):
        with pytest.raises(UsageError, match=f"a number of MB, more than 0, or inf, not '{bad}'"):
            run(shell, capsys, f"trace --limit={bad}")
