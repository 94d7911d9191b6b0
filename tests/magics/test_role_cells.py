"""A `%%role` cell with several classes: all are taken up, or none."""

import pytest
from IPython.core.error import UsageError

CELL = """
from roleml_nb import Element, Role, Service
class First(Role):
    @Service(expand=True)
    def ask(self, caller):
        return "first {version}"
class Second(Role):
    def __init__(self, rate=1):
        super().__init__()
    @Service(expand=True)
    def ask(self, caller):
        return "second {version}"
"""
REFUSED = {
    "an element that is new": "    new = Element(object)\n",
    "an option that is new": (
        "    def __init__(self, rate):\n        super().__init__()\n        self.other = rate\n"
    ),
    "a name that is missing": "    def other(self):\n        return no_such_thing\n",
    "what cannot be sent": "    lock = __import__('threading').Lock()\n",
    "a body that fails": "    1 / 0\n",
    "a channel that is refused": "    tasks = 3\n",
}
SAYS = {
    "an element that is new": "the new Second has an element 'new', for which nothing is given",
    "an option that is new": (
        "the new Second cannot be made with the options that the role was given"
    ),
    "a name that is missing": (
        "role Second: Second.other uses 'no_such_thing', which is not defined"
    ),
    "what cannot be sent": (
        "role Second (its attribute 'lock') is a _thread.lock, which cannot be sent"
    ),
    "a body that fails": "the cell failed, see above: ZeroDivisionError: division by zero",
    "a channel that is refused": "Second.tasks: every role has a 'tasks' of its own",
}


@pytest.fixture
def shell(shell, bed):
    context = shell.magics_manager.registry["RoleMagics"].context
    report = bed.code_changes.report
    context.use(bed)
    bed.spawn("cells-a", "cells-b")
    yield shell
    bed.remove(["cells-a", "cells-b"])
    bed.code_changes.report = report
    context.bed = None
    shell.user_ns.pop("bed")


@pytest.mark.parametrize("case", REFUSED)
def test_a_cell_that_is_refused_changes_no_role(shell, bed, capsys, case):
    shell.run_cell_magic("role", "", CELL.format(version=1))
    for node in ("cells-a", "cells-b"):
        bed.assign(node, "one", shell.user_ns["First"])
        bed.assign(node, "two", shell.user_ns["Second"])
    before = dict(bed.versions.running)
    for how in ("", "--fresh"):
        if how and case == "an option that is new":
            # begun anew, it is made with what was given, which is refused in its own words
            continue
        with pytest.raises(UsageError) as refused:
            shell.run_cell_magic("role", how, CELL.format(version=2) + REFUSED[case])
        assert SAYS[case] in str(refused.value) or how
        assert bed.call("cells-a/one", "ask") == bed.call("cells-b/one", "ask") == "first 1"
        assert bed.call("cells-a/two", "ask") == "second 1" and bed.versions.running == before
    capsys.readouterr()
    shell.run_cell_magic("role", "", CELL.format(version=3))
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[0] == "role First: services ask"
        and lines[2] == "role Second: services ask"
        and len(lines) == 4
    )
    assert all(line.endswith("is taken up by 2 roles") for line in lines[1::2])
    assert (
        bed.call("cells-b/one", "ask") == "first 3" and bed.call("cells-b/two", "ask") == "second 3"
    )


def test_several_classes_of_python_are_all_taken_up_or_none(shell, bed):
    shell.run_cell(CELL.format(version=1))
    bed.assign("cells-a", "one", shell.user_ns["First"])
    bed.assign("cells-b", "two", shell.user_ns["Second"])
    shell.run_cell(CELL.format(version=2) + REFUSED["an element that is new"])
    with pytest.raises(Exception, match="the new Second has an element 'new'"):
        bed.update([shell.user_ns["First"], shell.user_ns["Second"]])
    assert bed.call("cells-a/one", "ask") == "first 1"
    shell.run_cell(CELL.format(version=3))
    updated = bed.update([shell.user_ns["First"], shell.user_ns["Second"]])
    assert sorted(map(str, updated)) == ["cells-a/one", "cells-b/two"]
    assert (
        bed.call("cells-a/one", "ask") == "first 3" and bed.call("cells-b/two", "ask") == "second 3"
    )
