"""The magics as IPython runs them: whole cells, completion, errors, and lines that change nothing
when they fail.
"""

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError

ROLE = """
from roleml_nb import Role, Service, Element
class Box(Role):
    value = Element(object)
    @Service(expand=True)
    def get(self, caller):
        return self.value()
class Bare(Role):
    @Service(expand=True)
    def get(self, caller):
        return 0
"""


@pytest.fixture
def shell(shell, capsys):
    shell.run_line_magic("rml", "start --engines 0")
    shell.run_cell_magic("role", "", ROLE)
    shell.run_line_magic("rml", "spawn one two")
    capsys.readouterr()
    return shell


def test_braces_and_dollars_are_not_ipythons(shell, capsys):
    shell.user_ns["one"] = "1"
    shell.run_cell('%rml assign one box=Box --element value={"a": one, "b": "$one"}')
    shell.run_cell("%rml call one/box get")
    assert capsys.readouterr().out.splitlines()[-1] == "a='1', b='$one'"


@pytest.mark.parametrize(
    "line",
    [
        "assign one bare=Bare box=Box",  # box needs an element
        "assign one bare=Bare box=Bxo",
        "assign one bare=Bare(x=1/0)",
        "relate one two=two/actor box=two/box",  # two has no box
        "spawn three 4our",
        "start --engines 0 --profile other",
        "start --cluster-id other",
    ],
)
def test_a_line_that_fails_changes_nothing(shell, line):
    bed = shell.user_ns["bed"]
    before = bed.spec()
    with pytest.raises(UsageError):
        shell.run_line_magic("rml", line)
    assert bed.spec() == before and shell.user_ns["bed"] is bed and bed.running


def test_starting_again_alike_keeps_the_testbed(shell, capsys):
    bed = shell.user_ns["bed"]
    shell.run_line_magic("rml", "start --engines 0")
    assert capsys.readouterr().out == "already running: <Testbed: in this process, 2 nodes>\n"
    assert shell.user_ns["bed"] is bed


def test_loading_again_keeps_the_testbed(shell):
    bed = shell.user_ns["bed"]
    shell.run_line_magic("reload_ext", "roleml_nb")
    shell.run_line_magic("load_ext", "roleml_nb")
    assert shell.user_ns["bed"] is bed


def test_a_cell_with_an_error_fails(shell, capsys):
    result = shell.run_cell("%%role\nclass Broken(Role):\n    1 / 0\n")
    said = capsys.readouterr().out
    assert not result.success and "ZeroDivisionError" in said
    assert said.endswith(
        "UsageError: role: the cell failed, see above: ZeroDivisionError: division by zero\n"
    )


def test_a_refused_line_is_one_line_in_a_terminal(shell, capsys):
    result = shell.run_cell("%rml strat\nprint('after')")
    assert not result.success and type(result.error_in_exec).__name__ == "UsageError"
    assert (
        capsys.readouterr().out
        == "UsageError: rml: no command 'strat'; did you mean 'start' or 'status'?\n"
    )


def test_a_redefined_role_is_said_again(shell, capsys):
    for _ in range(3):
        shell.run_cell_magic("role", "", ROLE)
        assert (
            capsys.readouterr().out
            == "role Box: services get; elements value\nrole Bare: services get\n"
        )


@pytest.mark.parametrize(
    "typed, expected",
    [
        ("%rml sp", {"spawn"}),
        ("%rml st", {"start", "status", "stop"}),
        ("%rml assign t", {"two"}),
        ("%rml assign one box=B", {"box=Bare", "box=Box"}),
        ("%rml assign one c=FedAvgAg", {"c=FedAvgAggregator"}),
        ("%rml call one/", {"one/bare"}),
        ("%rml call one/bare g", {"get"}),
        ("%rml call one/baer g", set()),
        ("%rml assign one box=Box --element v", {"value="}),
        ("%rml migrate one/b", {"one/bare"}),
        ("%rml migrate one/bare t", {"two"}),
        ("%rml update B", {"Bare", "Box"}),
        ("%rml start --e", {"--engines"}),
    ],
)
def test_completion(shell, typed, expected):
    shell.run_line_magic("rml", "assign one bare=Bare")
    shell.Completer.use_jedi = False
    with provisionalcompleter():
        found = {
            typed[: item.start] + item.text + typed[item.end :]
            for item in shell.Completer.completions(typed, len(typed))
        }
    head = typed[: typed.rindex(" ") + 1]
    assert {head + word for word in expected} <= found
