"""Public functions called with values of any type: each call ends with a result or with one clear
error of ours, never a bare one.

The list of functions is made by inspection: all that ``__all__`` names, with the constructors of
classes, and the methods of the objects that a notebook has.
"""

import datetime
import decimal
import inspect
import os
import threading
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import chdir
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import roleml_nb
import roleml_nb.library
import roleml_nb.workload
from roleml_nb import Role, RoleMLError, Service, Task, Testbed
from roleml_nb.role import InternalError
from tests.fuzz.effort import effort

ENDING = {"stop", "detach", "attach"}
"""Methods of a testbed that end it, or wait for another kernel."""
VIEWS = {"board", "traffic", "metrics", "run_bar", "pane"}
"""They start threads that look on until the testbed stops; their own tests call them."""


class Any1:
    """An object that says nothing of itself."""


class Plain(Role):
    @Service
    def echo(self, caller, args, payloads):
        return args

    @Task
    def work(self, caller, args, payloads):
        return payloads


def values() -> st.SearchStrategy[Any]:
    """Values of every kind that a notebook has at hand, few of which fit anywhere."""
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        st.sampled_from([0.5, -1.5, float("nan"), float("inf"), 1e300, 10**30, 2 + 1j]),
        st.sampled_from(
            [
                "",
                "a",
                "node1",
                "node*",
                "trainer",
                "node1/plain",
                "plain",
                "bytes",
                "accuracy",
                "no such",
                "a/b/c",
                "☃",
                "\x00",
            ]
        ),
        st.sampled_from([b"", b"a"]),
        st.builds(lambda: [1, "a", None]),
        st.builds(list),
        st.builds(dict),
        st.builds(lambda: {"a": 1}),
        st.builds(lambda: {1: [2]}),
        st.builds(lambda: (1, 2)),
        st.builds(lambda: ("a",)),
        st.builds(set),
        st.builds(lambda: {1, "a"}),
        st.builds(lambda: frozenset([1])),
        st.builds(lambda: np.zeros(3)),
        st.builds(lambda: np.array(2)),
        st.builds(lambda: np.array(["a", "b"])),
        st.builds(lambda: np.zeros((2, 2))),
        st.builds(lambda: np.int64(1)),
        st.builds(lambda: np.float32(0.5)),
        st.builds(lambda: torch.zeros(3)),
        st.builds(lambda: torch.tensor(1)),
        st.builds(lambda: {"w": torch.zeros(2)}),
        st.builds(Any1),
        st.sampled_from([Any1, int, str, Plain, print, len, os, Ellipsis, NotImplemented]),
        st.builds(lambda: lambda: 1),
        st.builds(lambda: lambda *_, **__: None),
        st.builds(threading.Lock),
        st.builds(lambda: iter([1])),
        st.builds(lambda: (item for item in "ab")),
        st.builds(lambda: range(3)),
        st.builds(ValueError),
        st.builds(lambda: decimal.Decimal("0.5")),
        st.builds(lambda: datetime.date(2020, 1, 1)),
        st.builds(Plain),
        st.builds(lambda: roleml_nb.Each([1, 2])),
        st.builds(lambda: roleml_nb.Message({"a": 1}, {})),
        st.builds(lambda: roleml_nb.RoleInstanceID("node1", "plain")),
    )


def public() -> dict[str, Callable[..., Any]]:
    """The functions and constructors of the packages, by name."""
    found: dict[str, Callable[..., Any]] = {}
    for package in (roleml_nb, roleml_nb.library, roleml_nb.workload):
        for name in package.__all__:
            value = getattr(package, name)
            if isinstance(value, types.FunctionType) or (
                isinstance(value, type)
                and not issubclass(value, Exception)
                and not inspect.isabstract(value)
                and not getattr(value, "_is_protocol", False)
            ):
                found[f"{package.__name__}.{name}"] = value
    # made with engines=0 alone: below
    for name in ("roleml_nb.Role", "roleml_nb.Runnable", "roleml_nb.Testbed"):
        found.pop(name, None)
    return found


def methods(target: Any) -> dict[str, Callable[..., Any]]:
    """The public methods of an object, by name."""
    return {
        f"{type(target).__name__}.{name}": getattr(target, name)
        for name, value in inspect.getmembers(
            type(target), lambda item: inspect.isfunction(item) or inspect.ismethod(item)
        )
        if not name.startswith("_") and name not in ENDING | VIEWS
    }


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    with Testbed(engines=0, timeout=5.0) as made:
        yield made


def looking(trace: Any) -> dict[str, Callable[..., Any]]:
    """What a notebook asks of the trace; the other methods of its tables are there for who fills
    them.
    """
    messages, metrics = trace.messages, trace.metrics
    asked = [
        trace.run,
        trace.note,
        messages.last,
        messages.between_nodes,
        messages.matrix,
        messages.plot,
        metrics.plot,
    ]
    return {f"{type(one.__self__).__name__}.{one.__name__}": one for one in asked}


def prepared(bed: Testbed) -> dict[str, Callable[..., Any]]:
    """What can be done with a testbed and what it gives; it has two nodes with a role each,
    whatever was done to it before.
    """
    names = set(bed.spec()["nodes"])
    if len(names) > 20:
        bed.remove(sorted(names))
    bed.spawn("node1", "node2")
    bed.assign("node*", "plain", Plain)
    topology = roleml_nb.topology("ring", ["node1", "node2"])
    return {
        **methods(bed),
        **methods(bed.select("node*")),
        **methods(topology),
        **looking(bed.trace),
        "Testbed": lambda **options: Testbed(**{"engines": 0, **options}).stop(),
    }


def arguments(
    data: st.DataObject, function: Callable[..., Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Draw what to call a function with: all that it must have, and some of what it may have."""
    source = Testbed if function.__name__ == "<lambda>" else function
    given, named = [], {}
    for name, parameter in inspect.signature(source).parameters.items():
        must = parameter.default is parameter.empty
        if parameter.kind is parameter.VAR_POSITIONAL:
            given += data.draw(st.lists(values(), max_size=2))
        elif (
            parameter.kind is parameter.VAR_KEYWORD
            or source is Testbed
            and name in ("engines", "detached", "cluster", "profile", "cluster_id")
        ):
            continue
        elif not must and not data.draw(st.booleans()):
            continue
        elif (
            parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD) and must
        ):
            given.append(data.draw(values()))
        else:
            named[name] = data.draw(values())
    return given, named


def attempt(
    name: str, function: Callable[..., Any], given: list[Any], named: dict[str, Any]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            function(*given, **named)
        except RoleMLError as error:
            assert str(error) and not isinstance(error, InternalError), (
                f"{name}(*{given!r}, **{named!r}): {error}"
            )
        except OSError as error:  # a folder or file that is not there, or cannot be read
            assert error.filename is not None or str(error), repr(error)
        except ImportError as error:  # of the extra that a data set needs
            assert "pip install" in str(error)
        except (Exception, SystemExit) as error:
            raise AssertionError(
                f"{name}(*{given!r}, **{named!r}) ends with a bare {type(error).__name__}: {error}"
            ) from error


@pytest.mark.parametrize("name", public())
@given(data=st.data())
@effort(6)
def test_functions_and_classes(name, data):
    function = public()[name]
    given_here, named = arguments(data, function)
    attempt(name, function, given_here, named)


@given(data=st.data())
@effort(60)
def test_methods(bed, data, tmp_path_factory):
    known = prepared(bed)
    name = data.draw(st.sampled_from(sorted(known)))
    given_here, named = arguments(data, known[name])
    with chdir(tmp_path_factory.getbasetemp()):
        attempt(name, known[name], given_here, named)
