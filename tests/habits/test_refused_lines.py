"""A line that is refused fails its cell, for whoever runs the notebook."""

import re
from pathlib import Path

import nbformat
import pytest

from tests.course.lessons import lesson
from tests.habits.runners import RUNNERS, nbval_lax, papermill, write

START = ["%load_ext roleml_nb", "%rml start --engines 0\n%rml spawn server client{1..2}"]
MISTAKE = "%rml relate server trainer=cleint*/trainer"
TEXT = "UsageError: rml: no node matches 'cleint*'; did you mean 'client2' or 'client1'?"
ROLE = """\
%%role
from roleml_nb import Element, Role, Service
def fail(*_):
    raise ExceptionGroup("many", [ValueError("one"), KeyError("two")])
class Box(Role):
    value = Element(int)
    @Service(expand=True)
    def go(self, caller, n=1):
        raise ExceptionGroup("many", [ValueError("one"), KeyError("two")])
class Broken(Role):
    def __init__(self):
        super().__init__()
        fail()"""
FAIL = [
    "%rml strat",
    MISTAKE,
    f"# NBVAL_IGNORE_OUTPUT\n{MISTAKE}",
    f"for _ in range(2):\n    {MISTAKE}",
    f"def later():\n    {MISTAKE}\nlater()",
    "%%role\nclass Broken(Role)\n    pass",
    "%%role\nclass Broken(Role):\n    1 / 0",
    "%%role\nfail()",
    "%%role\nx = 1",
    "%%role --frehs\nclass Late(Role): ...",
    "%rml assign client* box=Box",
    "%rml assign client1 box=Box --element value=fail()",
    "%rml assign client1 broken=Broken(x=fail())",
    "%rml assign client1 broken=Broken",
    "%rml call server/box go n=fail()",
    "%rml call server/box go",
    "%rml wait",
    "%rml arrange server=fail()",
    "%rml wire fail() server/box",
    "bed.call('server/box', 'go')",
    "%run setup.ipynb",
    "%run setup.ipy",
    r"get_ipython().run_line_magic('rml', 'save nowhere\ud800/x')",
    r"get_ipython().run_line_magic('rml', 'spawn a\udcff')",
]
WORK = ["%rml status", "%rml assign server box=Box --element value=1", "%rml roles"]
BACKGROUND = "%rml call server/box go --background\nbed.runs.last.wait()"


@pytest.mark.parametrize("runner", RUNNERS)
def test_every_runner_fails_at_the_line_and_says_what_a_person_reads(runner, tmp_path):
    notebook = write(tmp_path / "mistyped.ipynb", [*START, MISTAKE, "print('after')"])
    ended = RUNNERS[runner](notebook)
    assert ended.code != 0
    assert TEXT in ended.text.splitlines()
    failed = re.findall(r"mistyped\.ipynb::Cell (\d)$", ended.text, re.MULTILINE)
    assert failed == [] or set(failed) == {"2"}  # nbval runs the others, too


@pytest.mark.parametrize("engines", [0, 2])
def test_nbval_lax_fails_at_each_mistake_and_at_nothing_else(engines, tmp_path):
    cells = [START[0], START[1].replace("engines 0", f"engines {engines}"), ROLE, *WORK, BACKGROUND]
    good = len(cells)
    write(tmp_path / "setup.ipynb", ["x = 1", MISTAKE, "x = 2"])
    (tmp_path / "setup.ipy").write_text(f"x = 1\n{MISTAKE}\n")
    ended = nbval_lax(write(tmp_path / "mistakes.ipynb", [*cells, *FAIL, "%rml stop"]))
    failed = {int(number) for number in re.findall(r"Cell (\d+) _{5}", ended.text)}
    assert failed == set(range(good, good + len(FAIL))), ended.text


def test_the_text_stands_in_the_notebook_once_and_without_a_traceback(tmp_path):
    notebook = write(tmp_path / "mistyped.ipynb", [*START, f"def later():\n    {MISTAKE}\nlater()"])
    ended = papermill(notebook)
    assert TEXT in ended.text
    (output,) = nbformat.read(notebook, 4).cells[-1].outputs
    assert output == {
        "output_type": "error",
        "ename": "UsageError",
        "evalue": TEXT.partition(": ")[2],
        "traceback": [TEXT],
    }


@pytest.mark.parametrize("runner", ["nbval-lax", "nbclient"])
def test_a_lesson_with_a_mistyped_line_fails(runner, tmp_path):
    """Of a course, which its teacher runs before each term."""
    made = nbformat.read(lesson("01"), 4)
    place = next(index for index, cell in enumerate(made.cells) if "%rml start" in cell.source)
    made.cells[place].source = made.cells[place].source.replace("%rml start", "%rml strat")
    made.cells = made.cells[: place + 1]
    path = Path(tmp_path / "lesson.ipynb")
    nbformat.write(made, path)
    ended = RUNNERS[runner](path)
    assert ended.code != 0
    assert "UsageError: rml: no command 'strat'; did you mean 'start' or 'status'?" in ended.text
