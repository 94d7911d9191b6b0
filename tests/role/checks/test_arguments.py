"""Arguments of public functions: a wrong type is an error that names it; what one would expect to
work does.
"""

import ast
import inspect
import pickle
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from roleml_nb import RoleMLError, Testbed
from roleml_nb.library import FedAvg
from roleml_nb.messaging.serialization.code import is_dynamic
from roleml_nb.role import ArgumentTypeError, InternalError, RoleInstanceID
from roleml_nb.role.checks.arguments import PACKAGE, USED_LIBRARIES, checked
from roleml_nb.workload import dirichlet, mlp


@checked
def function(
    count: int = 1,
    share: float = 0.5,
    name: str = "",
    names: str | Iterable[str] = (),
    pair: tuple[int, ...] = (),
    table: Mapping[str, Any] | None = None,
    call: Callable[[int], Any] = print,
    mode: Literal["once", "forever"] = "once",
    role: RoleInstanceID | None = None,
    unknown: "NobodyKnows | int" = 0,  # noqa: F821
    *rest: int,
    **more: str,
) -> str:
    return "begun"


@pytest.mark.parametrize(
    "given, text",
    [
        ({"count": "x"}, "function: count must be a whole number, got 'x'"),
        ({"count": 1.5}, "function: count must be a whole number, got 1.5"),
        ({"share": "0.5"}, "function: share must be a number, got '0.5'"),
        ({"name": 3}, "function: name must be a text, got 3"),
        ({"names": 3}, "function: names must be a text or Iterable[str], got 3"),
        ({"names": ["a", 1]}, "function: names must be a text or Iterable[str], got ['a', 1]"),
        ({"pair": "ab"}, "function: pair must be tuple[int, ...], got 'ab'"),
        ({"table": [1]}, "function: table must be Mapping[str, Any] or None, got [1]"),
        ({"call": 3}, "function: call must be Callable[[int], Any], got 3"),
        ({"mode": "never"}, "function: mode must be 'once' or 'forever', got 'never'"),
        ({"more": 3}, "function: more must be a text, got 3"),
    ],
)
def test_a_wrong_type_is_named(given, text):
    with pytest.raises(ArgumentTypeError) as caught:
        function(**given)
    assert str(caught.value) == text
    assert isinstance(caught.value, RoleMLError) and isinstance(caught.value, TypeError)


@pytest.mark.parametrize(
    "given",
    [
        {"count": np.int64(3)},
        {"count": torch.tensor(3)},
        {"count": True},
        {"share": 1},
        {"share": Decimal("0.5")},
        {"share": np.float32(1)},
        {"share": torch.tensor(0.5)},
        {"names": {"a": 1}},
        {"names": (name for name in "ab")},
        {"names": {"a"}},
        {"pair": [1, 2]},
        {"pair": np.zeros(2, int)},
        {"table": {}},
        {"call": len},
        {"role": ("a", "b")},
        {"role": "a/b"},
        {"unknown": object()},
        {"other": "x"},
    ],
)
def test_what_one_would_expect_works(given):
    assert function(**given) == "begun"


def test_what_the_users_own_code_raises_stays_as_it_is(tmp_path):
    """And what ours raises of a value is an error of ours, with its own words and its cause."""

    class Model:
        def __init__(self):
            raise AttributeError("of the user")

    @checked
    def calls(make: Callable[[], Any]) -> Any:
        return make()

    with pytest.raises(AttributeError, match="^of the user$"):
        calls(Model)
    with pytest.raises(RoleMLError, match="labels must have shape") as caught:
        dirichlet(np.zeros((2, 2), int), 3)
    assert isinstance(caught.value, ValueError)


def raises(error: type[Exception], text: str):
    def fail(*_args, **_named):
        raise error(text)

    return fail


@pytest.mark.parametrize("kind", [TypeError, AttributeError, KeyError, IndexError, ValueError])
def test_what_the_users_function_raises_is_no_argument_error(kind):
    """Nor is what a user's own package raises, which is installed beside ours."""

    @checked
    def calls(make: Callable[[], Any], number: int = 0) -> Any:
        return make()

    with pytest.raises(kind) as caught:
        calls(raises(kind, "calls() got an unexpected keyword argument 'x'"))
    assert not isinstance(caught.value, RoleMLError)
    installed = {}
    for place in ("site-packages/of_the_user/models.py", "of_the_user.py"):
        exec(
            compile(
                "def make(): raise TypeError('of a package')",
                f"{sysconfig.get_path('purelib')}/{place}",
                "exec",
            ),
            installed,
        )
        with pytest.raises(TypeError, match="^of a package$") as caught:
            calls(installed["make"])
        assert not isinstance(caught.value, RoleMLError)


def test_a_fault_of_ours_is_not_laid_at_the_callers_door():
    """Of arguments that were all checked, none is to blame; of one that was not, it may be."""
    ours = {"checked": checked, "Any": Any}
    exec(
        compile(
            "@checked\ndef twice(count: int = 1, name: str = '', value: Any = None):\n    return"
            " (count + None) if value is None else value + 1",
            PACKAGE + "role/some.py",
            "exec",
        ),
        ours,
    )
    for arguments in ((), (3,), (3, "a")):
        with pytest.raises(InternalError) as caught:
            ours["twice"](*arguments)
        assert (
            str(caught.value)
            == "twice failed, and no argument is to blame: TypeError: unsupported operand type(s)"
            f" for +: 'int' and 'NoneType' ({PACKAGE}role/some.py, line 3); this is a fault of"
            " roleml_nb: please report it"
        )
        assert isinstance(caught.value.__cause__, TypeError)
    with pytest.raises(
        ArgumentTypeError, match="^twice cannot use what it was given: can only concatenate str"
    ):
        ours["twice"](value="x")
    with pytest.raises(ArgumentTypeError, match="^twice: count must be a whole number, got 'x'$"):
        ours["twice"]("x")


def test_the_libraries_that_we_use_are_known():
    """So that what they raise of an argument is told as such."""
    imported = set()
    for file in Path(PACKAGE).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = (
                [one.name for one in node.names]
                if isinstance(node, ast.Import)
                else (
                    [node.module]
                    if isinstance(node, ast.ImportFrom) and node.module and not node.level
                    else []
                )
            )
            imported |= {name.partition(".")[0] for name in names}
    assert imported - {*sys.stdlib_module_names, *USED_LIBRARIES, "roleml_nb", "roleml"} == set()


def test_public_functions_are_found_by_their_names():
    for thing in (mlp, dirichlet, FedAvg):
        assert not is_dynamic(thing) and pickle.loads(pickle.dumps(thing)) is thing
    assert list(inspect.signature(mlp).parameters)[0] == "inputs"
    assert inspect.getsource(mlp).startswith("def mlp(")


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda bed: bed.spawn(3), "Testbed.spawn: patterns must be a text, got 3"),
        (
            lambda bed: bed.spawn("a", on=[1]),
            "Testbed.spawn: on must be a whole number, a text or None, got [1]",
        ),
        (lambda bed: bed.assign("a", 3, int), "Testbed.assign: name must be a text, got 3"),
        (
            lambda bed: bed.select([1]),
            "Testbed.select: pattern must be a text, Iterable[str] or Nodes, got [1]",
        ),
        (lambda bed: bed.call("a/b", 3), "Testbed.call: channel must be a text, got 3"),
        (
            lambda bed: bed.call("a/b", "c", [1]),
            "Testbed.call: args must be Mapping[str, Any] or None, got [1]",
        ),
    ],
)
def test_of_a_testbed(bed, call, text):
    before = bed.spec()
    with pytest.raises(ArgumentTypeError) as caught:
        call(bed)
    assert str(caught.value) == text and bed.spec() == before


def test_of_a_testbed_that_is_not_made():
    with pytest.raises(
        ArgumentTypeError,
        match="^Testbed: got an unexpected keyword argument 'engins'; did you mean 'engines'",
    ):
        Testbed(engins=0)


def test_our_own_errors_come_without_our_frames(bed):
    with pytest.raises(RoleMLError, match="no node matches 'nobody'") as caught:
        bed.select("nobody")
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert [Path(frame.filename).name for frame in frames] == ["test_arguments.py", "arguments.py"]


def test_frames_of_users_stay_with_those_around_them():
    def refuse(number: int) -> None:
        raise RoleMLError(f"not {number}")

    with pytest.raises(RoleMLError, match="not 1") as caught:
        checked(lambda function: function(1))(refuse)
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "refuse"
