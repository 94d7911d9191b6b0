"""Each lesson has what a lesson of this course has. That they run, nbval sees."""

import re

import pytest

from roleml_nb.course import exercises
from tests.course.lessons import LESSONS, defined, kind, read, used


def ids(lesson):
    return lesson.stem


@pytest.fixture(params=LESSONS, ids=ids)
def cells(request):
    return read(request.param).cells


def test_it_opens_with_what_one_will_be_able_to_do_and_ends_with_three_questions(cells):
    assert re.match(r"# \d\d \w", cells[0].source)
    assert "**After this lesson you can**" in cells[0].source and " minutes" in cells[0].source
    (last,) = [cell for cell in cells if "## Three questions" in cell.source]
    assert cells.index(last) == len(cells) - 1
    assert re.findall(r"^(\d)\. ", last.source, re.M) == ["1", "2", "3"]


def test_the_student_predicts_before_running(cells):
    places = [index for index, cell in enumerate(cells) if "**Predict.**" in cell.source]
    assert places
    assert all(cells[place + 1].cell_type == "code" for place in places)


def test_each_exercise_has_a_task_a_solution_and_a_check_with_points(cells):
    solutions = [index for index, cell in enumerate(cells) if kind(cell) == "solution"]
    assert solutions
    for place in solutions:
        task, solution, check = cells[place - 1 : place + 2]
        number = solution.metadata.nbgrader.grade_id.removeprefix("exercise-").replace("-", ".")
        points = check.metadata.nbgrader.points
        assert (
            f"## Exercise {number}:" in task.source
            and f"({points} point{'s' if points > 1 else ''})" in task.source
        )
        assert "### BEGIN SOLUTION" in solution.source and "### END SOLUTION" in solution.source
        assert kind(check) == "check" and check.metadata.nbgrader.locked
        assert (
            f'check("{number}", ' in check.source
            and "from roleml_nb.course import check" in check.source
        )


def test_nothing_but_its_check_needs_a_solution(cells):
    """So a student version fails at unsolved cells and their checks, and nowhere else."""
    code = [cell for cell in cells if cell.cell_type == "code"]
    for place, cell in enumerate(code):
        if kind(cell) == "solution":
            names = defined(cell)
            assert names & used(code[place + 1])
            for other in code:
                if other not in (cell, code[place + 1]):
                    assert not names & used(other), (names, other.source)


def test_a_cell_whose_output_is_not_compared_says_why(cells):
    for cell in cells:
        if "NBVAL_" in cell.source:
            first, second, *_ = cell.source.splitlines()
            assert first == "# NBVAL_IGNORE_OUTPUT" and second.startswith("# ") and len(second) > 20


def test_no_cell_has_anything_in_its_output_that_differs_from_run_to_run(cells):
    for cell in cells:
        if cell.cell_type == "code" and "NBVAL_IGNORE_OUTPUT" not in cell.source:
            text = " ".join(
                output.get("text", "") + output.get("data", {}).get("text/plain", "")
                for output in cell.outputs
            )
            assert not re.search(r"0x[0-9a-f]{6}|/tmp/|\bpid\b|\b\d+ ms\b|it/s", text), text
            assert all(
                output.get("name") != "stderr" and output.output_type != "error"
                for output in cell.outputs
            )


def test_the_exercises_of_lessons_and_checks_are_the_same():
    graded = {
        match
        for lesson in LESSONS
        for cell in read(lesson).cells
        if kind(cell) == "check"
        for match in re.findall(r'check\("(\d\d\.\d)"', cell.source)
    }
    assert graded == set(exercises())


def test_each_lesson_leads_to_the_next():
    for lesson, following in zip(LESSONS, LESSONS[1:], strict=False):
        assert following.name in read(lesson).cells[-1].source


def test_the_ids_of_graded_cells_are_unique():
    graded = [
        cell.metadata.nbgrader.grade_id
        for lesson in LESSONS
        for cell in read(lesson).cells
        if kind(cell)
    ]
    assert len(graded) == len(set(graded))
