"""Lesson 02, elements, data and partitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from roleml_nb.workload import check_partition

from .checking import Claim, exercise
from .claims import equals, is_function, is_list, returned


@exercise("02.1", "how much a node differs", 15)
def difference(answer: Any) -> Iterator[Claim]:
    yield is_function(answer)
    everything = np.repeat(np.arange(4), 5)
    same = answer(np.array([0, 1, 2, 3]), everything)
    yield Claim(
        "a node with the same shares of all classes: 0",
        equals(same, 0),
        f"{returned(same)}: compare shares, not counts",
    )
    half = answer(np.array([0, 0, 1, 1]), everything)
    question = (
        "is that half of the sum?"
        if equals(half, 1)
        else "what of the classes that the node does not have?"
    )
    yield Claim(
        "a node with two of four classes: 0.5",
        equals(half, 0.5),
        f"{returned(half)}: {question}",
    )
    one = answer(np.array([3, 3, 3]), everything)
    yield Claim("a node with one of four classes: 0.75", equals(one, 0.75), returned(one))
    uneven = answer(np.array([7, 9]), np.array([7, 7, 7, 9]))
    yield Claim(
        "classes may have any numbers, and be of different sizes",
        equals(uneven, 0.25),
        f"for a node with classes 7 and 9 of data with 7, 7, 7 and 9 it returned {uneven!r}, and"
        " 0.25 is right",
    )


@exercise("02.2", "a partition of your own", 15)
def partition(answer: Any) -> Iterator[Claim]:
    yield is_function(answer)
    labels = np.repeat(np.arange(10), 60)
    parts = answer(labels, 4, 0)
    yield Claim(
        "it returns as many parts as were asked for",
        is_list(parts) and len(parts) == 4,
        f"{len(parts)} parts for parts=4" if is_list(parts) else returned(parts),
    )
    problem = ""
    try:
        check_partition(parts, len(labels))
    except ValueError as error:
        problem = str(error)
    yield Claim(
        "nothing is lost and nothing is in two places",
        not problem,
        f"{problem}; a part has indices, not labels",
    )
    sizes = list(map(len, parts))
    yield Claim(
        "the first part has half of the samples",
        sizes[0] == 300,
        f"the sizes are {sizes}, of 600 samples",
    )
    yield Claim(
        "the others share the rest evenly",
        max(sizes[1:]) - min(sizes[1:]) <= 1,
        f"the sizes are {sizes}",
    )
    counts = np.bincount(labels[np.asarray(parts[0])], minlength=10)
    yield Claim(
        "which samples go where is drawn at random",
        counts.min() > 10,
        f"of the classes 0 to 9, the first part has {counts.tolist()} samples: the labels may be in"
        " order",
    )
    again = answer(labels, 4, 0)
    other = answer(labels, 4, 1)
    yield Claim(
        "the same seed gives the same parts",
        _are_equal(parts, again),
        "it gave others: use np.random.default_rng(seed), and nothing global",
    )
    yield Claim(
        "another seed gives others",
        not _are_equal(parts, other),
        "it gave the same: is the seed used?",
    )


def _are_equal(parts: Any, others: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(parts, others, strict=True))
