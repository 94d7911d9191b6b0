"""What is handed out: student versions without solutions, which nbgrader grades as they deserve."""

from copy import deepcopy

import nbformat
import pytest

from roleml_nb.course import NotYet, check
from tests.course.lessons import LESSONS, answer, kind, lesson, program, read

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")  # of nbgrader's own

GREETINGS = lesson("00")
SECONDS = 5
"""That a cell has which hangs."""


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """nbgrader's course directory with all lessons, and its API."""
    folder = tmp_path_factory.mktemp("course")
    return folder, program("versions").make(folder, LESSONS)


def student(course, path):
    return nbformat.read(course[0] / "student" / path.stem / path.name, as_version=4)


def submit(folder, name, book):
    place = folder / "submitted" / name / GREETINGS.stem
    place.mkdir(parents=True)
    nbformat.write(book, place / GREETINGS.name)


def grade_id(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def ends_with_an_error(cell):
    return any(output.output_type == "error" for output in cell.get("outputs", []))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_student_version_lacks_the_solutions_and_nothing_else(course, path):
    given, whole = student(course, path).cells, read(path).cells
    assert len(given) == len(whole)
    for mine, theirs in zip(given, whole, strict=True):
        if kind(theirs) == "solution":
            assert (
                "# YOUR CODE HERE\n" in mine.source and "raise NotImplementedError()" in mine.source
            )
            assert "SOLUTION" not in mine.source
        elif kind(theirs) == "manual":
            assert "YOUR ANSWER HERE" in mine.source or "YOUR CODE HERE" in mine.source
        else:
            assert mine.source == theirs.source
            assert not mine.get("outputs")
    assert (course[0] / "teacher" / path.stem / path.name).read_text() == path.read_text()


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_cell_that_is_not_solved_fails_or_its_check_does(course, path):
    """That no other cell needs it is tested in test_lessons.py; that such a version runs as a
    whole, below.
    """
    cells = student(course, path).cells
    for place, cell in enumerate(cells):
        if kind(cell) == "check":
            number = grade_id(cell).removeprefix("check-").replace("-", ".")
            try:
                unsolved = answer(number, cells[place - 1].source)
            except NotImplementedError:
                continue
            with pytest.raises(NotYet, match="nothing is written here yet"):
                check(number, unsolved)


COUNTER = (
    "class Counter(Role):\n    @Service(expand=True)\n    def add(self, caller, amount):\n        "
)
WHOLE, RIGHT = {"check-00-1": 2, "check-00-2": 1}, {"exercise-00-1": None, "exercise-00-2": None}
# what is written into which cell (None: the solution), what it is worth, and which cells end with
# an error
SUBMISSIONS = {
    "right": (RIGHT, WHOLE, set()),
    "wrong": (
        {**RIGHT, "exercise-00-1": COUNTER + "return amount"},
        {**WHOLE, "check-00-1": 0},
        {"check-00-1"},
    ),
    "empty": ({}, dict.fromkeys(WHOLE, 0), {*RIGHT, *WHOLE}),
    "hanging": (
        {**RIGHT, "exercise-00-1": COUNTER + "while True: pass"},
        {**WHOLE, "check-00-1": 0},
        {"check-00-1"},
    ),
}


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_nbgrader_gives_the_marks_that_a_submission_deserves(course, name):
    folder, api = course
    answers, marks, failing = SUBMISSIONS[name]
    solutions = {
        grade_id(cell): cell.source for cell in read(GREETINGS).cells if kind(cell) == "solution"
    }
    book = student(course, GREETINGS)
    for cell in book.cells:
        if grade_id(cell) in answers:
            cell.source = answers[grade_id(cell)] or solutions[grade_id(cell)]
    submit(folder, name, book)
    done = api.autograde(GREETINGS.stem, name)
    assert done["success"], done["log"]
    with api.gradebook as gradebook:
        (graded,) = gradebook.find_submission(GREETINGS.stem, name).notebooks
        assert {grade.name: grade.score for grade in graded.grades} == marks
    run = nbformat.read(
        folder / "autograded" / name / GREETINGS.stem / GREETINGS.name, as_version=4
    )
    assert {grade_id(cell) for cell in run.cells if ends_with_an_error(cell)} == failing


def test_a_cell_that_hangs_outside_of_any_check_is_timed_out_and_the_next_ones_run(course):
    """As nbgrader runs it, with our configuration, but for the seconds of the cell that hangs."""
    from nbgrader.preprocessors import Execute
    from nbgrader.utils import determine_grade

    solution, check_it = (
        cell for cell in student(course, GREETINGS).cells if grade_id(cell).endswith("00-2")
    )
    solution.source = "import time\nwhile True:\n    time.sleep(1)"
    book = nbformat.v4.new_notebook(
        cells=[solution, check_it, nbformat.v4.new_code_cell("print('and on')")]
    )
    book.metadata = student(course, GREETINGS).metadata
    runner = Execute(
        config=deepcopy(course[1].config),
        timeout_func=lambda cell: SECONDS if "while True" in cell.source else 30,
    )
    assert runner.timeout == 30 and runner.allow_errors
    run, _ = runner.preprocess(book, {"metadata": {"path": str(course[0])}})
    assert [ends_with_an_error(cell) for cell in run.cells] == [True, True, False]
    assert run.cells[2].outputs[0].text == "and on\n"
    assert determine_grade(run.cells[1])[:2] == (0, 1)


def test_a_kernel_that_dies_is_no_pass(course):
    """A submission that ends its own process gets no marks for what could not be run any more."""
    folder, api = course
    book = student(course, GREETINGS)
    for cell in book.cells:
        if kind(cell) == "solution":
            cell.source = "import os\nos._exit(0)"
    submit(folder, "dying", book)
    done = api.autograde(GREETINGS.stem, "dying")
    assert not done["success"] and "Kernel died" in done["log"] + done["error"]
    assert not (folder / "autograded" / "dying" / GREETINGS.stem).exists()
