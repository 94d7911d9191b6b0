"""Numbers that are none: NaN, infinity, 0-d, huge, negative, empty, through every public function
that takes numbers.

The functions are found by looking through the public packages; which arguments are numbers, their
annotations and defaults say. A call gives a right answer, or one RoleMLError that names the
argument: nothing else, no NaN that nobody asked for, no hang, no memory without limit.
"""

import enum
import importlib
import inspect
import math
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from roleml_nb import RoleMLError
from roleml_nb.library import average
from roleml_nb.role import Role
from roleml_nb.role.checks.numbers import short
from roleml_nb.trace import Trace
from roleml_nb.workload import digits, mlp
from tests.fuzz.effort import FUZZ, effort, within

PACKAGES = (
    "roleml_nb",
    "roleml_nb.role",
    "roleml_nb.library",
    "roleml_nb.workload",
    "roleml_nb.testbed",
    "roleml_nb.trace",
)
MEMORY = 2**29 if FUZZ else 2**33
"""Bytes that a call may ask for beyond those that are there.

Where there are many calls, fewer, so that each ends within its time; the threads of testbeds beside
it have to do with as many, meanwhile.
"""

ENGINES = range(1, 9)
LABELS = np.arange(60) % 5


def run_of():
    trace = Trace(0.0, lambda: None)
    trace.add(
        [],
        [(step, "n", "r", "round-completed", "accuracy", 0.1 * step, step) for step in (1, 2, 3)],
    )
    return trace.run("a")


REQUIRED: dict[str, Any] = {
    "labels": LABELS,
    "n_or_labels": 60,
    "keys": LABELS,
    "parts": 3,
    "n": 9,
    "x": np.zeros((60, 4)),
    "y": LABELS,
    "source": "ring",
    "nodes": 4,
    "frame": pd.DataFrame({"a": np.arange(20.0), "t": np.arange(20) % 2}),
    "target": "t",
    "build": lambda: torch.nn.Linear(64, 10),
    "weights": [1.0, 2.0],
    "updates": [{"x": np.zeros(2)}] * 2,
    "seed": 0,
    "data": digits(0, 20),
    "index_sampler": "sequential",
    "inputs": 64,
    "classes": 3,
    "runs": [],
    "name": "a",
    "capacity": 3,
    "tokens": 2,
    "useful": True,
    "staleness": 1,
    "min_clients": 1,
    "num_steps": 2,
    "round": 1,
    "confidence": 0.9,
    "gradients": [np.zeros((64, 64), np.float32)],
    "count": 1,
    "value": 1.0,
    "trace": Trace(0.0, lambda: None),
}
"""A right value of each argument that has no default."""

OF_ONE: dict[str, dict[str, Any]] = {
    "from_torch": {"dataset": [(np.zeros(3, np.float32), 1)] * 9},
    "DatasetBatchView": {"dataset": [1, 2, 3]},
    "DatasetViewFactory": {"dataset": [1, 2, 3], "batch_size": 2},
    "RandomOneOffIndexSampler": {"source": [1, 2, 3]},
    "RandomReplaceIndexSampler": {"source": [1, 2, 3]},
    "check_partition": {"parts": [[0, 1, 2]], "n": 3},
    "compare": {"runs": [run_of()]},
    "Testbed": {"engines": 0},
    "Run": {"trace": run_of()._trace},
    "Topology": {"name": "a", "nodes": ["a", "b"], "source": nx.path_graph(["a", "b"])},
    "LogView": {"logs": Trace(0.0, lambda: None).logs},
    "dealt": {"data": lambda: digits_splits()},
    "vgg": {"image_size": 32},
    "synthetic": {"parts": 3},
    "Trace": {"start": 0.0, "refresh": lambda: None},
    "Scaffold": {"population": 3},
    "TorchClassifier.apply_gradients": {"gradients": [torch.zeros(10, 64), torch.zeros(10)]},
    "FedAvg.running": {"weights": [1.0, 2.0]},
    "Strategy.running": {"weights": [1.0]},
    "from_arrays": {"y": LABELS},
}

NOT_CALLED = {
    "cifar10": "needs files",
    "mnist": "needs files",
    "fashion_mnist": "needs files",
    "CiFar10Dataset": "needs files",
    "CiFar10SlicedDataset": "needs files",
    "slice_cifar_10_dataset": "needs files",
    "Context": "a record that the runtime makes",
    "ClientResult": "a record that the aggregator makes",
    "Lifecycle": "of the runtime",
    "Logs": "of the trace",
    "Messages": "of the trace",
    "Metrics": "of the trace",
    "Trace": "made by the testbed",
    "Comparison": "made by compare",
    "SimpleTorchModel": "abstract",
    "WeightedMerger": "abstract",
    "SimpleTorchGradientsOperableModel": "abstract",
    "SimpleTorchXYModel": "abstract",
    "TokenAccount": "abstract",
    "SimpleTorchXYTestableModel": "abstract",
    "SimpleTorchXYTrainableModel": "abstract",
    "VGGModel": "as vgg",
    "VGGLiteModel": "as vgg_lite",
}
"""Why these are left out."""


def digits_splits():
    from roleml_nb.workload import Samples

    return {"train": Samples("some", np.zeros((60, 2), np.float32), LABELS)}


def is_number(parameter: inspect.Parameter) -> bool:
    said = re.search(r"\b(int|float)\b", str(parameter.annotation))
    default = isinstance(parameter.default, int | float) and not isinstance(
        parameter.default, bool | enum.Enum
    )
    named = (
        parameter.name in ("seed", "data_seed", "split_seed")
        and parameter.kind is not parameter.VAR_POSITIONAL
    )
    return bool(said or default or named) and parameter.name not in (
        "nodes",
        "hidden",
        "weights",
        "source",
        "conv_arch",
        "path",
    )


def public() -> list[tuple[str, Any, str]]:
    """(name, function or class, name of an argument that is a number), of all public packages."""
    found: dict[tuple[str, str], tuple[str, Any, str]] = {}
    for package in map(importlib.import_module, PACKAGES):
        for name in package.__all__:
            thing = getattr(package, name)
            if not (inspect.isclass(thing) or inspect.isfunction(thing)) or name in NOT_CALLED:
                continue
            if inspect.isclass(thing) and issubclass(thing, enum.Enum | BaseException):
                continue
            try:
                parameters = inspect.signature(thing).parameters.values()
            except (TypeError, ValueError):
                continue
            if inspect.isclass(thing) and inspect.isabstract(thing) and not issubclass(thing, Role):
                continue
            for parameter in parameters:
                if is_number(parameter):
                    found[name, parameter.name] = (name, thing, parameter.name)
    return sorted(found.values(), key=lambda one: (one[0], one[2]))


CALLS = public()

NUMBERS = st.one_of(
    st.sampled_from(
        [
            math.nan,
            math.inf,
            -math.inf,
            -1,
            -1.5,
            0,
            -0.0,
            1e308,
            -1e308,
            5e-324,
            10**30,
            -(10**30),
            2**63,
            2**31,
            "",
            "1",
            b"1",
            [],
            [1],
            {},
            None,
            True,
            complex(1, 1),
            Decimal("NaN"),
            Decimal("sNaN"),
            Decimal("Infinity"),
            Fraction(1, 3),
            np.float32("nan"),
            np.float64("inf"),
            np.int64(-3),
            np.uint8(200),
            np.array(math.nan),
            np.array(2),
            np.array(2.5),
            np.array([]),
            np.array([1.0, math.nan]),
            np.datetime64("NaT"),
            pd.NA,
            pd.NaT,
            object(),
            len,
        ]
    ),
    st.builds(pow, st.just(10), st.just(5000)),
    st.floats(),
    st.integers(),
    st.integers(-3, 3),
    st.builds(np.array, st.floats()),
    st.builds(torch.tensor, st.floats(width=32)),
    st.builds(np.float16, st.floats(width=16)),
)


def arguments(name: str, thing: Any, number: str) -> dict[str, Any]:
    """What else the call needs."""
    given = dict(OF_ONE.get(name, {}))
    for parameter in inspect.signature(thing).parameters.values():
        if (
            parameter.default is parameter.empty
            and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
            and parameter.name not in given
        ):
            assert parameter.name in REQUIRED, (
                f"{name} needs {parameter.name}: say in REQUIRED what to call it with"
            )
            given[parameter.name] = REQUIRED[parameter.name]
    given.pop(number, None)
    return given


def finite(value: Any) -> bool:
    """Whether nothing in `value`, an answer, is NaN."""
    if hasattr(value, "get_params"):
        value = value.get_params()
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(finite, value))
    if hasattr(value, "x") and hasattr(value, "y"):
        return finite(value.x) and finite(value.y)
    if isinstance(value, torch.Tensor):
        return not bool(value.isnan().any())
    if isinstance(value, float | np.ndarray) and np.asarray(value).dtype.kind in "fc":
        return not bool(np.isnan(value).any())
    return not any(
        isinstance(own, float) and math.isnan(own)
        for own in getattr(value, "__dict__", {}).values()
    )


def is_nan(value: Any) -> bool:
    try:
        return bool(value != value)
    except Exception:  # whatever an array or a signalling NaN raises
        return True


@contextmanager
def little_memory() -> Iterator[None]:
    """Have a giant allocation fail, rather than take the machine with it; for one call, so that
    little ones do not.
    """
    before = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def tried(name: str, call: Any, number: str, value: Any, more: dict[str, Any]) -> None:
    shown = (
        f"{name}({number}={str(type(value).__name__)}"
        f" {str(value)[:60] if not isinstance(value, int) else hex(value)[:60]})"
    )
    with within(60, shown):
        try:
            with little_memory():
                answer = call(**more, **{number: value})
        except RoleMLError as error:
            said = str(error)
            assert number in said or short(value) in said or f"got {value}" in said, (
                f"{shown}: which argument? {said!r}"
            )
            assert "\n" not in said and len(said) < 600, f"{shown}: {said!r}"
            return
        except BaseException as error:
            if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
                return  # a machine that has no more says so itself
            raise AssertionError(
                f"{shown} raised {type(error).__name__}: {str(error)[:200]}"
            ) from error
    stop = getattr(answer, "stop", None)
    if callable(stop):
        stop()
    assert value is None or not is_nan(value), f"{shown} took it"
    # too large a step, rightly
    assert finite(answer) or name.startswith("TorchClassifier.train"), (
        f"{shown} answered {answer!r}"
    )


@pytest.mark.parametrize(
    ("name", "thing", "number"), CALLS, ids=[f"{name}-{number}" for name, _, number in CALLS]
)
def test_a_number_that_is_none_is_refused_by_name(name, thing, number):
    more = arguments(name, thing, number)

    @effort(5 if name == "Testbed" else 12)
    @given(NUMBERS)
    def fuzz(value):
        if name == "Testbed" and number == "engines" and not is_nan(value) and value in ENGINES:
            return  # what is right is started by other tests
        tried(name, thing, number, value, more)

    fuzz()


def test_what_is_left_out_is_there():
    names = {name for package in map(importlib.import_module, PACKAGES) for name in package.__all__}
    assert not NOT_CALLED.keys() - names
    assert len(CALLS) > 100 and {"FedAdam", "mlp", "dirichlet", "Testbed", "compare"} <= {
        name for name, _, _ in CALLS
    }


class Methods:
    """Objects whose methods take numbers, and what else these need."""

    @staticmethod
    def of() -> list[tuple[str, Any, dict[str, Any]]]:
        from roleml_nb import compare, topology
        from roleml_nb.library import FedAsync, FedBuff

        compared, ring = compare([run_of()]), topology("ring", 4)
        model = mlp(64, 10)
        strategies = [
            ("", FedBuff(1)),
            *((kind, FedAsync(staleness=kind)) for kind in ("polynomial", "constant", "hinge")),
        ]
        stale = {
            "update": {"x": np.ones(2)},
            "result": {"update": {"x": np.ones(2)}},
            "base": {"x": np.zeros(2)},
        }
        zeros = [torch.zeros_like(weight) for weight in model.module.parameters()]
        return [
            ("TorchClassifier.train", model.train, {"data": digits(0, 40)}),
            ("TorchClassifier.apply_gradients", model.apply_gradients, {"gradients": zeros}),
            ("Comparison.summary", compared.summary, {}),
            ("Comparison.to_target", compared.to_target, {}),
            *(
                (
                    f"{type(strategy).__name__}-{kind}.{method}",
                    getattr(strategy, method),
                    stale if method == "receive" else {},
                )
                for kind, strategy in strategies
                for method in ("receive", "weight", "share")
            ),
            ("Topology.graph", ring.graph, {}),
            ("Topology.weights", ring.weights, {}),
            ("Topology.neighbours", ring.neighbours, {}),
            ("Topology.report", ring.report, {}),
        ]


METHODS = [
    (f"{name}-{parameter.name}", method, parameter.name, more)
    for name, method, more in Methods.of()
    for parameter in inspect.signature(method).parameters.values()
    if is_number(parameter)
]


@pytest.mark.parametrize(
    ("name", "method", "number", "more"), METHODS, ids=[name for name, *_ in METHODS]
)
def test_a_number_that_is_none_is_refused_by_name_by_methods(name, method, number, more):
    @effort(12)
    @given(NUMBERS)
    def fuzz(value):
        if isinstance(value, int) and value > 1000 and number in ("epochs", "rounds", "num_epochs"):
            return  # right, and long
        tried(name, method, number, value, more)

    fuzz()


@effort(100)
@given(st.lists(NUMBERS, max_size=4), st.integers(1, 4))
def test_weights_that_are_none_are_refused(weights, count):
    try:
        mean = average([{"x": np.ones(2)}] * count, weights)
    except RoleMLError as error:
        assert "weight" in str(error)
    else:
        assert np.allclose(mean["x"], 1.0)
