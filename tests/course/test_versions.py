"""What is handed out: student versions without solutions, which nbgrader grades as they deserve."""

import nbformat
import pytest
from nbclient import NotebookClient

from tests.course.lessons import LESSONS, kind, lesson, program, read

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")  # of nbgrader's own

LIMIT = 120
GREETINGS = lesson("00")


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """nbgrader's course directory with all lessons, and its API."""
    folder = tmp_path_factory.mktemp("course")
    return folder, program("versions").make(folder, LESSONS)


def student(course, path):
    return nbformat.read(course[0] / "student" / path.stem / path.name, as_version=4)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_student_version_lacks_the_solutions_and_nothing_else(course, path):
    given, whole = student(course, path).cells, read(path).cells
    assert len(given) == len(whole)
    for mine, theirs in zip(given, whole, strict=True):
        if kind(theirs) == "solution":
            assert "# YOUR CODE HERE\n" in mine.source and "raise NotImplementedError()" in mine.source
            assert "SOLUTION" not in mine.source
        elif kind(theirs) == "manual":
            assert "YOUR ANSWER HERE" in mine.source or "YOUR CODE HERE" in mine.source
        else:
            assert mine.source == theirs.source
            assert not mine.get("outputs")
    assert (course[0] / "teacher" / path.stem / path.name).read_text() == path.read_text()


def test_the_student_version_fails_at_the_unsolved_cells_and_their_checks(course):
    book = student(course, GREETINGS)
    NotebookClient(book, timeout=LIMIT, allow_errors=True).execute()
    failed = [cell for cell in book.cells if any(output.output_type == "error" for output in cell.get("outputs", []))]
    assert failed == [cell for cell in book.cells if kind(cell)]


RIGHT = {"exercise-00-1": None, "exercise-00-2": None}
SUBMISSIONS = {
    "right": (RIGHT, 3),
    "wrong": ({**RIGHT, "exercise-00-1": "class Counter(Role):\n    @Service(expand=True)\n    def add(self, caller, amount):\n        return amount"}, 1),
    "empty": ({}, 0),
    "hanging": ({**RIGHT, "exercise-00-1": "class Counter(Role):\n    @Service(expand=True)\n    def add(self, caller, amount):\n        while True: pass"}, 1),
}


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_nbgrader_gives_the_marks_that_a_submission_deserves(course, name):
    folder, api = course
    answers, marks = SUBMISSIONS[name]
    solutions = {cell.metadata.nbgrader.grade_id: cell.source for cell in read(GREETINGS).cells if kind(cell) == "solution"}
    book = student(course, GREETINGS)
    for cell in book.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        if grade_id in answers:
            cell.source = answers[grade_id] or solutions[grade_id]
    place = folder / "submitted" / name / GREETINGS.stem
    place.mkdir(parents=True)
    nbformat.write(book, place / GREETINGS.name)
    done = api.autograde(GREETINGS.stem, name)
    assert done["success"], done["log"]
    submission = api.get_submission(GREETINGS.stem, name)
    assert (submission["score"], submission["max_score"]) == (marks, 3)


def test_a_kernel_that_dies_is_no_pass(course):
    """A submission that ends its own process gets no marks for what could not be run any more."""
    folder, api = course
    book = student(course, GREETINGS)
    for cell in book.cells:
        if kind(cell) == "solution":
            cell.source = "import os\nos._exit(0)"
    place = folder / "submitted" / "dying" / GREETINGS.stem
    place.mkdir(parents=True)
    nbformat.write(book, place / GREETINGS.name)
    done = api.autograde(GREETINGS.stem, "dying")
    assert not done["success"] and "Kernel died" in done["log"] + done["error"]
    assert not (folder / "autograded" / "dying" / GREETINGS.stem).exists()
