"""Numbers that are none, through every channel of the library's roles that takes numbers.

Channels and arguments are found by inspection. A call is refused at the caller, in one line that
names the channel, the argument and the value, and no trainer has begun: nothing else, no hang.
"""

import inspect
import math
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roleml_nb import CallerError, RoleMLError
from roleml_nb.role.checks.numbers import short
from tests.fuzz.effort import effort, within
from tests.fuzz.library_roles import TRAINER, arguments, bed_of_roles, roles


def is_number(parameter: inspect.Parameter) -> bool:
    return bool(re.search(r"\b(int|float)\b", str(parameter.annotation).partition("[")[0]))


def of_channels() -> list[tuple[str, str, inspect.Parameter]]:
    """Class, channel and argument, of all that are numbers."""
    found = []
    for cls in roles():
        for channel, method in {**cls.services, **cls.tasks}.items():
            handler = getattr(cls, method) if isinstance(method, str) else method
            found += [
                (cls.__name__, channel, one)
                for one in inspect.signature(handler).parameters.values()
                if is_number(one)
            ]
    return found


CHANNELS = of_channels()

NEITHER = st.sampled_from(
    [
        math.nan,
        -math.inf,
        -3,
        -1.5,
        -(10**30),
        10**400,
        "",
        "1",
        b"",
        b"1",
        [],
        [1],
        {},
        0.5j,
        object(),
        Decimal("NaN"),
        Decimal("sNaN"),
        np.float32("nan"),
        np.array([1, 2]),
        np.array([]),
        np.array(math.nan),
        np.int64(-3),
        pd.NA,
        pd.NaT,
        np.datetime64("NaT"),
    ]
)
"""Neither a whole number of 0 or more, nor any other number of 0 or more."""
NO_COUNT = st.one_of(
    NEITHER,
    st.sampled_from(
        [math.inf, 1.0, 1.5, 1e308, 10**30, 2**63, Decimal(1), np.array(2.5), np.float64("inf")]
    ),
    st.floats(),
    st.integers(max_value=-1),
    st.integers(min_value=2**63),
)
NO_NUMBER = st.one_of(NEITHER, st.floats(max_value=-5e-324), st.integers(max_value=-1))


@pytest.fixture(scope="module")
def bed():
    with bed_of_roles() as made:
        yield made


def trainings(bed) -> int:
    """Epochs that were trained so far."""
    return int((bed.trace.metrics.raw().channel == "epoch-completed").sum())


CALLS = sorted({(cls, channel) for cls, channel, _ in CHANNELS})


@pytest.mark.parametrize(
    ("cls", "channel", "number"), CHANNELS, ids=[f"{c}-{ch}-{n.name}" for c, ch, n in CHANNELS]
)
def test_a_channel_refuses_numbers_that_are_none(bed, cls, channel, number):
    more = arguments(cls, channel)
    before = trainings(bed)

    @effort(16)
    @given(NO_COUNT if re.search(r"\bint\b", str(number.annotation)) else NO_NUMBER)
    def fuzz(value):
        shown = f"{cls}.{channel}({number.name}={short(value)})"
        with within(60, shown):
            try:
                bed.call(f"{cls}/it", channel, {**more, number.name: value})
            except CallerError as error:
                said = str(error)
                assert said.startswith(f"{cls}/it.{channel}: {number.name} "), (shown, said)
                assert "must be" in said and "got" in said or "it must be from 1 to 1" in said, (
                    shown,
                    said,
                )
                words = (short(value), f" is {value},", f"got {value}")
                assert any(word in said for word in words) or type(value) is object, (shown, said)
                assert "\n" not in said and len(said) < 400, (shown, said)
            except BaseException as error:
                raise AssertionError(f"{shown} raised {type(error).__name__}: {error}") from error
            else:
                raise AssertionError(f"{shown} was taken")

    fuzz()
    assert trainings(bed) == before


@pytest.mark.parametrize(
    "number",
    [one for one in CHANNELS if "None" not in str(one[2].annotation)],
    ids=lambda one: f"{one[0]}-{one[1]}-{one[2].name}",
)
def test_none_is_no_number_where_it_means_nothing(bed, number):
    cls, channel, parameter = number
    with pytest.raises(CallerError, match=rf"{parameter.name} must be .*, got None"):
        bed.call(f"{cls}/it", channel, {**arguments(cls, channel), parameter.name: None})


@pytest.mark.parametrize(("cls", "channel"), CALLS)
def test_a_channel_takes_right_numbers_of_any_kind(bed, cls, channel):
    given = {
        name: np.int64(value) if type(value) is int else value
        for name, value in arguments(cls, channel).items()
    }
    if cls == "PowerOfChoiceSelector":
        # which it asks its caller, who is no coordinator here
        with pytest.raises(RoleMLError, match="get-model"):
            bed.call(f"{cls}/it", channel, given)
    else:
        bed.call(f"{cls}/it", channel, given)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (
            {"inclusion": {TRAINER: math.nan}},
            "inclusion of client/trainer must be more than 0, got nan",
        ),
        ({"inclusion": {TRAINER: 0}}, "inclusion of client/trainer must be more than 0, got 0"),
        (
            {"inclusion": {TRAINER: "1"}},
            "inclusion of client/trainer must be a number, more than 0, got '1'",
        ),
        (
            {"quorum": {"deadline": math.nan}},
            "quorum: deadline must be more than 0 seconds, got nan",
        ),
        ({"quorum": {"enough": 1.0}}, "quorum: enough must be a whole number, got 1.0"),
        ({"quorum": {"most": 1}}, "quorum takes no 'most': deadline, min_results, enough, late"),
    ],
)
def test_numbers_within_what_an_aggregator_is_given_are_checked(bed, more, text):
    before = trainings(bed)
    with pytest.raises(CallerError, match=text):
        bed.call(
            "FedAvgAggregator/it",
            "aggregate",
            {**arguments("FedAvgAggregator", "aggregate"), **more},
        )
    assert trainings(bed) == before


def test_a_deadline_may_be_a_decimal(bed):
    done = bed.call("FederatedCoordinator/it", "run", {"num_rounds": 1, "deadline": Decimal(60)})
    assert done["rounds"] == 1


def test_channels_were_found():
    coordinators = {
        cls for cls, channel, number in CHANNELS if channel == "run" and number.name == "num_rounds"
    }
    assert coordinators == {
        "FederatedCoordinator",
        "ClusteredCoordinator",
        "AsynchronousCoordinator",
        "AdPsgdWorker",
        "DecentralisedCoordinator",
        "RingCoordinator",
        "GossipCoordinator",
    }
    assert len(CHANNELS) > 60
