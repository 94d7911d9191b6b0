"""Value templates, in both spellings."""

from itertools import islice

import pytest

from roleml_nb.compat.config.templates import Templates, producer
from roleml_nb.spec import ConfigError
from roleml_nb.spec.entry import Entry


def values(text: str, count: int = 6, seed: str = "0") -> list:
    made = producer(text, seed)
    assert made is not None
    return list(islice(made, count))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("$c[1-4]", [1, 2, 3, 4, 1, 2]),
        ("$[1-4]", [1, 2, 3, 4, 1, 2]),
        ("$c[7, 1-2]", [1, 2, 7, 1, 2, 7]),
        ("$c[5]", [5] * 6),
        ("$a[1-3,7]", [[1, 2, 3, 7]] * 6),
        ("@[1-3, 7]", [[1, 2, 3, 7]] * 6),
        ("$e[1-10, 4-8]", [1, 2, 3, 9, 10, 1]),
        ("$e[1-4, 1, 3]", [2, 4, 2, 4, 2, 4]),
    ],
)
def test_those_that_go_round(text, expected):
    assert values(text) == expected


@pytest.mark.parametrize(
    "text, possible",
    [
        ("$r[4, 6]", {4, 5, 6}),
        ("^[4, 6]", {4, 5, 6}),
        ("$r[4, 10, 3]", {4, 7, 10}),
        ("^[4, 10, 3]", {4, 7}),
        ("$r[-2,-1]", {-2, -1}),
        ("~[1-9, 3-8]", {1, 2, 9}),
    ],
)
def test_those_that_draw(text, possible):
    drawn = values(text, 200)
    assert set(drawn) == possible
    assert drawn == values(text, 200)
    assert drawn != values(text, 200, seed="1")


@pytest.mark.parametrize(
    "text, source", [("$r[6, 12, 3, 3]", {6, 9, 12}), ("^[6, 13, 3, 2]", {6, 9, 12})]
)
def test_those_that_draw_lists(text, source):
    count = int(text[-2])
    for drawn in values(text, 50):
        assert len(drawn) == count == len(set(drawn)) and set(drawn) <= source


@pytest.mark.parametrize(
    "text", ["", "1-10", "[1-10]", "$x[1]", "$c[1", "a $c[1]", "^[a-z]", "@[home]", "~[user]", "$c"]
)
def test_what_is_no_template_stays(text):
    assert producer(text) is None


@pytest.mark.parametrize(
    "text, message",
    [
        (
            "$c[a]",
            (
                "the template '$c[a]' is not well formed: 'a' is neither a number nor a range like"
                " 1-10"
            ),
        ),
        ("$[]", "the template '$[]' is not well formed: '' is neither"),
        ("$c[9-1]", "the template '$c[9-1]' leaves no value"),
        ("~[1-3, 1-3]", "the template '~[1-3, 1-3]' leaves no value"),
        ("$r[1]", "the template '$r[1]' is not well formed: write $r[first, last]"),
        ("^[1, 2, 0]", "the template '^[1, 2, 0]' is not well formed: write ^[first, last]"),
        ("$r[1-3]", "the template '$r[1-3]' is not well formed"),
        ("$r[1, 3, 1, 4]", "the template '$r[1, 3, 1, 4]' cannot draw 4 of 3 values"),
    ],
)
def test_bad_ones_are_refused(text, message):
    with pytest.raises(ValueError) as caught:
        producer(text)
    assert str(caught.value).startswith(message)


def test_each_place_has_its_own_producer_and_goes_on_once_per_actor():
    templates = Templates(seed=0)
    given = Entry.of({"a": "$c[1-3]", "b": ["$c[1-3]", {"c": "$[4-5]"}], "d": "plain", "e": 7})
    filled = [templates.fill(given).plain() for _ in range(3)]
    assert filled == [
        {"a": a, "b": [a, {"c": c}], "d": "plain", "e": 7} for a, c in ((1, 4), (2, 5), (3, 4))
    ]


def test_places_draw_apart_and_the_same_for_the_same_seed():
    given = Entry.of({"a": "$r[1, 1000000]", "b": "$r[1, 1000000]"})
    first, again, other = (Templates(seed).fill(given).plain() for seed in (0, 0, 1))
    assert first == again != other
    assert first["a"] != first["b"]


def test_errors_point_at_the_place():
    with pytest.raises(
        ConfigError, match=r"^roles\.client\.part: the template '\$c\[x\]' is not well formed"
    ):
        Templates(0).fill(Entry.of({"part": "$c[x]"}, ("roles", "client")))
