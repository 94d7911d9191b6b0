"""%rml checkpoint and %rml restore, in a real IPython shell."""

import pytest
from IPython.core.error import UsageError

from tests.shells import ROLE, run


def test_the_magics(shell, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shell.run_cell_magic("role", "", ROLE)
    run(shell, capsys, "start --engines 0 --seed 3")
    run(shell, capsys, "spawn a")
    run(shell, capsys, "assign a adder=Adder --element start=2")
    assert (
        run(shell, capsys, "checkpoint run.checkpoint") == "checkpoint run.checkpoint is written\n"
    )
    run(shell, capsys, "assign a adder=Adder --element start=9")
    assert run(shell, capsys, "restore run.checkpoint") == "restored run.checkpoint\n"
    assert run(shell, capsys, "call a/adder add x=1") == "3\n"
    with pytest.raises(
        UsageError,
        match="a testbed with another number of engines is running; end it first with %rml stop",
    ):
        run(shell, capsys, "restore run.checkpoint --engines 2")
    run(shell, capsys, "stop")
    assert (
        run(shell, capsys, "restore run.checkpoint")
        == "testbed ready: in this process\nrestored run.checkpoint\n"
    )
    assert run(shell, capsys, "call a/adder add x=1") == "3\n" and shell.user_ns["bed"].seed == 3
    assert "run.checkpoint" in shell.magics_manager.registry["RoleMagics"].complete(
        shell, type("Event", (), {"line": "%rml restore ru"})
    )
