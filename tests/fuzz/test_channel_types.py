"""Values of any type, as every argument of every channel of the library's roles, beside numbers.

Channels and arguments are found by inspection. Each call ends, with a result that is one or with
one line that names the role, the channel, the argument, the value and what is allowed; never with a
bare TypeError or its like from far inside. What is refused changes nothing.
"""

import inspect
import re
import threading
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import roleml_nb.role
from roleml_nb import CallerError, HandlerError, RoleInstanceID, RoleMLError, Testbed, impl
from roleml_nb.library import EpochTrainer, FedAvgAggregator, FederatedCoordinator
from roleml_nb.role.checks.numbers import short
from roleml_nb.workload import digits, mlp
from tests.fuzz.effort import effort, within
from tests.fuzz.library_roles import UPDATE, arguments, bed_of_roles, roles
from tests.fuzz.test_channel_numbers import is_number


class Odd:
    """An object that says nothing of itself."""


def of_channels() -> list[tuple[str, str, str]]:
    """Class, channel and argument, of all that are no numbers."""
    found = []
    for cls in roles():
        for channel, name in {**cls.services, **cls.tasks}.items():
            method = getattr(cls, name)
            taken = inspect.signature(method).parameters
            found += [
                (cls.__name__, channel, one)
                for one in sorted(method.handler.names)
                if not is_number(taken[one])
            ]
    return found


CHANNELS = of_channels()
VALUES = st.one_of(
    st.sampled_from(
        [
            None,
            5,
            -1,
            0,
            10**9,
            1.5,
            float("nan"),
            True,
            "",
            "x",
            "client/trainer",
            "nowhere/x",
            "drop",
            "a/b/c",
            b"",
            b"x",
            (),
            ("a", "b", "c"),
            ("client", "trainer"),
            RoleInstanceID("client", "trainer"),
            0.5j,
            int,
            Odd,
            print,
        ]
    ),
    st.builds(Odd),
    st.builds(lambda: lambda: 1),
    st.builds(list),
    st.builds(dict),
    st.builds(set),
    st.sampled_from(
        [
            [5],
            [None],
            ["x"],
            ["nowhere/x"],
            ["client/trainer"],
            [["client/trainer"]],
            [[5]],
            [[]],
            [{}],
            [UPDATE],
        ]
    ),
    st.sampled_from(
        [
            {"a": 1},
            {5: 1},
            {"w": None},
            {None: None},
            {"lr": "x"},
            {"lr": None},
            {"update": 1},
            {"caller": 1},
        ]
    ),
    st.sampled_from(
        [
            {"deadline": "x"},
            {"min_results": None},
            {"client/trainer": "x"},
            {"client/trainer": 2.0},
            {("a",): 1},
        ]
    ),
    st.builds(lambda: {**UPDATE, "0.bias": np.zeros(3)}),
    st.builds(lambda: {**UPDATE, "0.bias": Odd()}),
    st.builds(lambda: {**UPDATE, "0.bias": "x"}),
    st.builds(lambda: {**UPDATE, "more": np.zeros(3)}),
    st.builds(lambda: np.zeros(3)),
    st.builds(lambda: np.array("x")),
    st.builds(lambda: UPDATE),
)


@pytest.fixture(scope="module")
def bed():
    with bed_of_roles() as made:
        yield made


def state(bed: Testbed, *nodes: str) -> dict[str, str]:
    """What the roles of nodes have in mind, and their models, by name, as texts that are equal when
    these are.
    """
    found = {}
    for node in nodes:
        for name, role in bed.fleet.home.actors[node].roles.items():
            model = getattr(role, "model", None)
            params = model().get_params() if model is not None and model.implemented else {}
            kept = {key: value for key, value in role.__getstate__().items() if key != "base"}
            found[f"{node}/{name}"] = repr(
                ([crc32(entry.numpy().tobytes()) for entry in params.values()], kept)
            )
    return found


def judge(error: RoleMLError, cls: str, channel: str, name: str) -> None:
    """AssertionError unless an error says enough of a wrong argument."""
    said = str(error)
    assert "\n" not in said and len(said) < 900, said
    # further in, or of something else that comes of it: told by one of our errors
    if isinstance(error, HandlerError):
        assert said.startswith(f"{cls}/it.{channel} failed on "), said
        kinds = re.findall(
            r"(?:^|: )(\w*(?:Error|Timeout|Lost|Diverged|EntriesDiffer))(?=: )", said
        )
        assert kinds and all(
            hasattr(roleml_nb.role, kind) or kind in ("Diverged", "EntriesDiffer")
            for kind in kinds[-1:]
        ), said
        assert error.where["error"] in kinds or error.where["error"] in (
            "Diverged",
            "EntriesDiffer",
        ), said
        assert not re.search(r"CallTimeout|InternalError", said), said
    else:
        assert isinstance(error, CallerError), (type(error), said)
        assert said.startswith(f"{cls}/it.{channel}: ") and re.search(rf"\b{name}\b", said), said


@pytest.mark.parametrize(("cls", "channel", "name"), CHANNELS, ids=lambda one: one)
def test_a_channel_takes_or_refuses_values_of_any_type(bed, cls, channel, name):
    @effort(4)
    @given(VALUES)
    def fuzz(value):
        shown = f"{cls}.{channel}({name}={short(value)})"
        before = state(bed, cls, "client", "other")
        with within(60, shown):
            try:
                bed.call(f"{cls}/it", channel, {**arguments(cls, channel), name: value})
            except RoleMLError as error:
                judge(error, cls, channel, name)
                if isinstance(error, CallerError):
                    changed = [
                        role
                        for role, now in state(
                            bed, *{role.split("/")[0] for role in before}
                        ).items()
                        if now != before[role]
                    ]
                    assert not changed, (shown, changed, str(error))
            except BaseException as error:
                raise AssertionError(f"{shown} raised {type(error).__name__}: {error}") from error

    fuzz()


def run(bed: Testbed) -> Any:
    done = bed.call("server/coordinator", "run", {"num_rounds": 2, "min_results": 2})
    return done, [entry.numpy() for entry in bed.call("server/coordinator", "get-model").values()]


def assign(bed: Testbed) -> None:
    bed.spawn("server", "c{1..2}")
    bed.assign("server", "coordinator", FederatedCoordinator)
    bed.assign("server", "aggregator", FedAvgAggregator)
    bed.assign(
        "c*",
        "trainer",
        EpochTrainer,
        elements={"model": impl(mlp, 64, 10), "dataset": impl(digits, 0, 40)},
    )
    bed.relate("server", "trainer", "c*/trainer")


WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    (
        "server/coordinator",
        "run",
        {"num_rounds": 1, "options": 5},
        (
            "server/coordinator.run: options must be a dict of options of the training by name,"
            " such as {'lr': 0.05} or None, got 5"
        ),
    ),
    (
        "server/coordinator",
        "run",
        {"num_rounds": 1, "fresh": "no"},
        "server/coordinator.run: fresh must be True or False, got 'no'",
    ),
    (
        "server/coordinator",
        "run",
        {"num_rounds": 1, "late": 5},
        "server/coordinator.run: late must be a text, got 5",
    ),
    (
        "server/aggregator",
        "aggregate",
        {"clients": 5, "update": UPDATE},
        (
            "server/aggregator.aggregate: clients must be a list of roles, each a RoleInstanceID or"
            " 'node/role', got 5"
        ),
    ),
    (
        "server/aggregator",
        "aggregate",
        {"clients": ["c1/trainer"], "update": [1]},
        (
            "server/aggregator.aggregate: update must be a state dict: a mapping of names to"
            " arrays, tensors or numbers, got [1]"
        ),
    ),
    (
        "server/aggregator",
        "aggregate-clusters",
        {"clusters": [["c1/trainer"]], "updates": [], "quorum": {"min_results": 1}},
        (
            "server/aggregator.aggregate-clusters: updates must be one model for each of the 1"
            " clusters, got 0"
        ),
    ),
    (
        "c1/trainer",
        "train",
        {"learning_rate": 1},
        (
            "c1/trainer.train: the model of c1/trainer, a TorchClassifier, takes no option"
            " 'learning_rate'; known: epochs, lr"
        ),
    ),
    (
        "c1/trainer",
        "train",
        {"caller": 1},
        (
            "c1/trainer.train: task 'train' takes no 'caller'; its first parameter, 'caller', is"
            " who calls"
        ),
    ),
    (
        "c1/trainer",
        "train",
        {"data": 1},
        (
            "c1/trainer.train: the model of c1/trainer, a TorchClassifier, takes no option 'data';"
            " known: epochs, lr"
        ),
    ),
    (
        "c1/trainer",
        "apply-update",
        {"update": 5},
        (
            "c1/trainer.apply-update: update: parameters must be a mapping of names to tensors or"
            " arrays, got 5"
        ),
    ),
]


@pytest.mark.parametrize("engines", [0, 2])
def test_refused_calls_say_what_is_allowed_and_change_no_number(engines):
    with Testbed(0, timeout=60.0) as bed:
        assign(bed)
        expected = run(bed)
    with Testbed(engines, timeout=60.0) as bed:
        assign(bed)
        for role, channel, given, text in WRONG:
            with pytest.raises(CallerError) as caught:
                bed.call(role, channel, given)
            assert str(caught.value) == text
        with pytest.raises(HandlerError) as caught:
            bed.call("server/coordinator", "run", {"num_rounds": 1, "options": {"rate": 1}})
        assert "c1/trainer.train failed on" in str(caught.value) or "c1/trainer.train: " in str(
            caught.value
        )
        assert "takes no option 'rate'; known: epochs, lr" in str(caught.value)
        # nobody is busy for ever with what could not be sent
        with pytest.raises(RoleMLError, match="options"):
            bed.call(
                "server/aggregator",
                "aggregate",
                {
                    "clients": ["c1/trainer"],
                    "update": UPDATE,
                    "options": {"lr": threading.Lock()},
                    "quorum": {"min_results": 1},
                },
            )
        done, model = run(bed)
        assert done == expected[0]
        for entry, wanted in zip(model, expected[1], strict=True):
            np.testing.assert_allclose(entry, wanted, atol=1e-6, rtol=0)


def test_channels_were_found():
    assert len(CHANNELS) > 90, len(CHANNELS)
    assert {name for _, _, name in CHANNELS} >= {
        "options",
        "update",
        "clients",
        "quorum",
        "ring",
        "receivers",
        "fresh",
        "key",
    }
