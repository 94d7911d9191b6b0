"""%rml errors, and what a cell tells at its end, in a real IPython shell."""

import pytest
from IPython.core.error import UsageError

from roleml_nb import HandlerError
from tests.shells import run
from tests.waiting import until

ROLES = """
from roleml_nb import Role, Service, Event, EventHandler
class Voice(Role):
    said = Event()
    @Service(expand=True)
    def say(self, caller, n):
        self.said.emit({"n": n})
    @Service(expand=True)
    def fail(self, caller):
        raise KeyError("on purpose")
class Ear(Role):
    @EventHandler("voice", "said", expand=True)
    def on_said(self, source, n):
        raise ValueError(f"cannot bear {n}")
"""


@pytest.fixture
def voices(shell, capsys):
    run(shell, capsys, "start --engines 0")
    assert shell.run_cell(ROLES, store_history=True).success
    run(shell, capsys, "spawn v e1 e2")
    run(shell, capsys, "assign v voice=Voice")
    run(shell, capsys, "assign e* ear=Ear")
    run(shell, capsys, "relate e* voice=v/voice")
    return shell


def test_a_cell_tells_at_its_end_of_errors_that_nobody_waited_for(voices, capsys):
    assert run(voices, capsys, "errors") == "no errors\n"
    bed = voices.user_ns["bed"]
    run(voices, capsys, "call v/voice say n=3")  # a magic, but no cell that ends
    until(lambda: len(bed.errors) == 2, "both are told")
    voices.run_cell("1 + 1")
    first = (
        "e1/ear.on v/voice.said failed on the notebook: ValueError: cannot bear 3 (same on 2 nodes:"
        " e1, e2)"
    )
    assert capsys.readouterr().err == f"2 new errors: {first}; see %rml errors\n"
    voices.run_cell("1 + 1")
    assert capsys.readouterr().err == ""
    shown = run(voices, capsys, "errors --clear").splitlines()
    assert shown[0] == f"[1] {first}" and shown[1] == "    Traceback (most recent call last):"
    assert (
        '        raise ValueError(f"cannot bear {n}")' in shown
        and shown[-1] == "    ValueError: cannot bear 3"
    )
    assert run(voices, capsys, "errors") == "no errors\n"


def test_a_remote_error_is_shown_with_the_lines_of_its_cell(voices, capsys):
    failed = voices.run_cell("%rml call v/voice fail")
    assert isinstance(failed.error_in_exec, HandlerError)
    shown = "\n".join(failed.error_in_exec._render_traceback_())
    assert shown.startswith(
        "HandlerError: v/voice.fail failed on the notebook: KeyError: 'on purpose'\nTraceback (most"
        " recent call last):"
    )
    assert '    raise KeyError("on purpose")' in shown and "roleml_nb" not in shown
    with pytest.raises(
        UsageError, match="the following arguments are required|unrecognized arguments: now"
    ):
        voices.run_line_magic("rml", "errors now")


def test_lines_are_those_of_the_cells_by_their_numbers(shell, capsys):
    shell.run_cell("%rml start --engines 0", store_history=True)
    number = shell.execution_count
    shell.run_cell("%%role\n" + ROLES.lstrip(), store_history=True)
    assert shell.execution_count == number + 1
    shell.run_cell("%rml spawn v", store_history=True)
    shell.run_cell("%rml assign v voice=Voice", store_history=True)
    capsys.readouterr()
    shell.run_cell("%rml call v/voice fail", store_history=True)
    out = capsys.readouterr().out
    assert (
        f'\n  Cell In[{number}], line 10, in fail\n    raise KeyError("on purpose")\nKeyError:'
        " 'on purpose'" in out
    )
    event = type("Event", (), {"line": "%rml call v/voice say "})
    assert "n=" in shell.magics_manager.registry["RoleMagics"].complete(shell, event)
