"""What a check says of right, wrong, failing, unfinished and endless answers."""

import json
import threading

import pytest

from roleml_nb import RoleMLError
from roleml_nb.course import CourseError, NotYet, check
from roleml_nb.course.checking import Claim, Exercise, review


def double(answer):
    yield Claim("it can be called", callable(answer), "hand over a function")
    yield Claim("twice 2 is 4", answer(2) == 4, f"it says {answer(2)}")
    yield Claim("twice 0 is 0", answer(0) == 0, "what is twice nothing?")


DOUBLE = Exercise("99.9", "twice", double, 10.0)


def said(answer, exercise=DOUBLE):
    with pytest.raises(NotYet) as caught:
        review(exercise, answer)
    return str(caught.value).splitlines()


def test_a_right_answer():
    assert review(DOUBLE, lambda x: 2 * x).splitlines() == [
        "exercise 99.9, twice: right",
        "  right  it can be called",
        "  right  twice 2 is 4",
        "  right  twice 0 is 0",
    ]


def test_a_wrong_answer_hears_what_is_right_what_is_wrong_and_a_hint():
    assert said(lambda x: x + 2) == [
        "exercise 99.9, twice: not yet",
        "  right  it can be called",
        "  right  twice 2 is 4",
        "  wrong  twice 0 is 0",
        "  hint   what is twice nothing?",
    ]
    assert said(3) == [
        "exercise 99.9, twice: not yet",
        "  wrong  it can be called",
        "  hint   hand over a function",
    ]


def test_an_answer_that_raises_hears_where():
    def broken(x):
        return x / 0

    assert said(broken)[-2:] == [
        "  wrong  it ends with an error: ZeroDivisionError: division by zero",
        f"         line {broken.__code__.co_firstlineno + 1}: return x / 0",
    ]


def test_an_error_in_a_library_is_told_with_the_line_that_called_it():
    def broken(x):
        return json.loads("{")

    assert (
        said(broken)[-1]
        == f'         line {broken.__code__.co_firstlineno + 1}: return json.loads("{{")'
    )


def test_an_answer_that_is_not_written_yet():
    def unwritten(x):
        raise NotImplementedError

    assert said(unwritten)[-2] == "  wrong  nothing is written here yet"


def test_an_endless_answer_is_given_up_and_ended():
    begun = []

    def endless(x):
        begun.append(threading.current_thread())
        while True:
            pass

    lines = said(endless, DOUBLE._replace(seconds=0.2))
    assert lines[-2] == "  wrong  it was not done after 0.2 seconds, and was given up"
    assert "a loop that never ends" in lines[-1]
    begun[0].join(30)
    assert not begun[0].is_alive()


def test_an_unknown_exercise():
    with pytest.raises(CourseError, match=r"there is no exercise '00\.11'; did you mean '00\.1'"):
        check("00.11", None)
    assert issubclass(CourseError, RoleMLError) and issubclass(NotYet, CourseError)


def test_a_check_prints_what_is_right(capsys):
    assert check("00.2", "client[234]") is None
    assert capsys.readouterr().out.startswith(
        "exercise 00.2, a pattern that finds three nodes: right\n  right  it is a text\n"
    )


def test_what_ipython_shows_of_a_wrong_answer_has_no_traceback():
    with pytest.raises(NotYet) as caught:
        check("00.2", "client*")
    shown = caught.value._render_traceback_()
    assert shown[
        0
    ] == "exercise 00.2, a pattern that finds three nodes: not yet" and "Traceback" not in "".join(
        shown
    )
