"""%rml debug, in a real IPython shell."""

import re
import sys
import traceback

import pytest
from IPython.core.error import UsageError

from tests.magics.test_errors import voices  # noqa: F401
from tests.shells import run
from tests.waiting import until


def innermost():
    return list(traceback.walk_tb(sys.last_traceback))[-1][0]


def test_the_error_just_shown_is_raised_here(voices, capsys):  # noqa: F811
    voices.run_cell("%rml call v/voice fail")
    capsys.readouterr()
    failed = voices.run_cell("%rml debug")
    assert isinstance(failed.error_in_exec, KeyError)
    out = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert "v/voice.fail(), here\n" in out and 'raise KeyError("on purpose")' in out
    assert "roleml_nb/" not in out  # the cell's own lines alone
    frame = innermost()
    assert frame.f_code.co_name == "fail" and frame.f_locals["self"].id.actor_name == "v"


def test_one_of_the_errors_is_raised_here(voices, capsys):  # noqa: F811
    bed = voices.user_ns["bed"]
    sys.last_value = None
    with pytest.raises(
        UsageError, match="no cell has shown an error of a handler, and %rml errors has none"
    ):
        voices.run_line_magic("rml", "debug")
    run(voices, capsys, "call v/voice say n=3")
    until(lambda: len(bed.errors) == 2, "both are told")
    for line in ("debug", "debug 1"):
        failed = voices.run_cell(f"%rml {line}")
        assert (
            isinstance(failed.error_in_exec, ValueError)
            and str(failed.error_in_exec) == "cannot bear 3"
        )
        assert innermost().f_locals["n"] == 3
    assert ".on_said(n=3), here\n" in capsys.readouterr().out
    with pytest.raises(UsageError, match="there is no error 7; see bed.errors or %rml errors"):
        voices.run_line_magic("rml", "debug 7")
    capsys.readouterr()
    assert voices.run_cell(
        "from roleml_nb import Role, EventHandler\nclass Ear(Role):\n    @EventHandler('voice',"
        " 'said', expand=True)\n    def on_said(self, source, n):\n        print('mended', n)\n    "
        "    return n + 1\n%rml update Ear"
    ).success
    assert (
        run(voices, capsys, "debug 1")
        == "e1/ear.on_said(n=3), here\nmended 3\nit does not fail here; it returns 4\n"
    )
