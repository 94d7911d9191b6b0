"""``%rml respawn``, as one types it after an engine was killed."""

import os
import signal

import pytest
from IPython.core.error import UsageError

from tests.shells import run
from tests.waiting import until

ROLE = """
import os
from roleml_nb import Role, Service
class Pid(Role):
    @Service(expand=True)
    def get(self, caller):
        return os.getpid()
"""
NEXT = "%rml respawn, or bed.respawn(), makes its nodes anew"


def test_nodes_of_a_killed_engine_are_made_anew(shell, capsys):
    run(shell, capsys, "start --engines 2")
    shell.run_cell_magic("role", "", ROLE)
    run(shell, capsys, "spawn a --on 0")
    run(shell, capsys, "spawn b c --on 1")
    run(shell, capsys, "assign * pid=Pid")
    assert run(shell, capsys, "respawn") == "no node is lost\n"
    bed = shell.user_ns["bed"]
    kept, gone = bed.call("a/pid", "get"), bed.call("b/pid", "get")
    os.kill(gone, signal.SIGKILL)
    until(lambda: bed.lost, "it is lost")
    assert run(shell, capsys, "status").splitlines()[1] == (
        f"lost: engine1 (its process has ended); {NEXT}"
    )
    said = f"[1] engine1 is lost: its process has ended; {NEXT}\n"
    assert run(shell, capsys, "errors") == said
    with pytest.raises(UsageError, match="no node matches 'd'"):
        run(shell, capsys, "respawn d")
    magics = shell.magics_manager.registry["RoleMagics"]
    event = type("Event", (), {"line": "%rml respawn "})
    assert {"b", "c", "--on"} <= set(magics.complete(shell, event))
    assert run(shell, capsys, "respawn b") == "1 node made anew: b\n"
    assert run(shell, capsys, "respawn") == "1 node made anew: c\n"
    # nothing is left to do for it
    assert "\nlost: engine1 (its process has ended)\n" in run(shell, capsys, "status")
    assert [bed.call(f"{node}/pid", "get") for node in "abc"] == [kept] * 3
    run(shell, capsys, "stop")
