"""Data sets made of the user's own data, and dealt out like all data sets of this room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from roleml_nb.role import ArgumentError, ArgumentTypeError, did_you_mean

from .datasets import ArrayDataset
from .dealing import dealt, split_at_random

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["from_arrays", "from_frame", "from_torch"]


def from_arrays(
    x: Any,
    y: Any,
    part: int = 0,
    parts: int = 1,
    *,
    keys: Any = None,
    test: float = 0.0,
    split_seed: int = 0,
    **dealing: Any,
) -> ArrayDataset:
    """Return one part of arrays.

    Parameters
    ----------
    x : array of shape (n, …)
        Inputs, which become float32.
    y : array of shape (n,)
        Targets: classes (integers, which become int64), or numbers (float32).
    part, parts : int
        Number of the part, from 0, and the number of parts.
    keys : array of shape (n,), optional
        Origin of each sample, for ``partition="natural"``.
    test : float
        Share of the samples (of each class) in ``split="test"``, from 0 to less than 1.
    split_seed : int
        Seed that chooses these samples.
    **dealing
        Further arguments of `dealt`: `split`, `partition` (with its options), `seed`, …

    Raises
    ------
    ValueError
        When the arrays differ in length, or an argument is out of range.
    """
    targets = np.asarray(y)
    are_classes = np.issubdtype(targets.dtype, np.integer) or targets.dtype == bool
    splits = split_at_random(
        "the arrays",
        np.asarray(x, np.float32),
        targets.astype(np.int64 if are_classes else np.float32),
        None if keys is None else np.asarray(keys),
        test=test,
        seed=split_seed,
    )
    return dealt(splits, part, parts, **dealing)


def from_torch(dataset: Any, part: int = 0, parts: int = 1, **dealing: Any) -> ArrayDataset:
    """Return one part of a torch `Dataset` of pairs (x, y) of one shape, read into memory.

    The data set must have ``len()`` and indices. Arguments as of `from_arrays`.

    Raises
    ------
    TypeError
        When it has no ``len()`` or its samples are no pairs.
    ValueError
        When it is empty, its samples differ in shape, or an argument is out of range.
    """
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise ArgumentTypeError(
            f"from_torch takes a data set with len() and indices, and {type(dataset).__name__} has"
            " none: gather its samples into arrays, for from_arrays"
        )
    pairs = [dataset[index] for index in range(len(dataset))]
    if not pairs:
        raise ArgumentError(f"the {type(dataset).__name__} is empty: there are no samples in it")
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        raise ArgumentTypeError(f"the samples of {type(dataset).__name__} must be pairs (x, y)")
    try:
        inputs, targets = zip(*pairs, strict=True)
        x = np.stack(list(map(np.asarray, inputs)))
        y = np.stack(list(map(np.asarray, targets)))
    except ValueError:
        raise ArgumentError(
            f"the samples of {type(dataset).__name__} differ in shape: make them alike with a "
            "transform"
        ) from None
    return from_arrays(x, y, part, parts, **dealing)


def from_frame(
    frame: pd.DataFrame,
    target: str,
    part: int = 0,
    parts: int = 1,
    *,
    key: str | None = None,
    features: Iterable[str] | None = None,
    classes: Sequence[Any] | None = None,
    **dealing: Any,
) -> ArrayDataset:
    """Return one part of a pandas frame, a sample per row.

    Parameters
    ----------
    frame : DataFrame
        Its features must be numbers, without gaps.
    target : str
        Column of the targets. Texts become classes 0, 1, …, in sorted order, and categories in the
        order declared.
    part, parts : int
        Number of the part, from 0, and the number of parts.
    key : str, optional
        Column with the origin of each row, for ``partition="natural"``; it is no feature then.
    features : iterable of str, optional
        Columns of the inputs; by default all others.
    classes : sequence, optional
        All values of the targets, in the order of their numbers. Give them where each node has a
        frame of its own, in which some may be missing, unless the column declares its categories.
    **dealing
        Further arguments of `from_arrays`.

    Raises
    ------
    ValueError
        For a column that is not there, holds no numbers, or has gaps, and when an argument is out
        of range.
    """
    named = [target] if key is None else [target, key]
    if features is None:
        chosen = [name for name in frame.columns if name not in named]
    else:
        chosen = list(features)
    for name in [*named, *chosen]:
        if name not in frame.columns:
            raise ArgumentError(
                f"the frame has no column {name!r};"
                f" {did_you_mean(str(name), map(str, frame.columns))}"
            )
        if frame[name].isna().any():
            raise ArgumentError(f"column {name!r} has gaps: fill or drop them, e.g. frame.dropna()")
        if name in chosen and frame[name].dtype.kind not in "biuf":
            raise ArgumentError(
                f"column {name!r} holds no numbers ({frame[name].dtype}): encode it, e.g. with "
                "pandas.get_dummies, or leave it out of features"
            )
    y = _class_numbers(frame[target], classes)
    keys = None if key is None else frame[key].to_numpy().astype(str)
    return from_arrays(frame[chosen].to_numpy(np.float32), y, part, parts, keys=keys, **dealing)


def _class_numbers(targets: pd.Series, classes: Sequence[Any] | None) -> np.ndarray:
    """Return the number of each target's class; numbers stay as they are without `classes`."""
    declared = getattr(targets.dtype, "categories", None) if classes is None else list(classes)
    if declared is not None:
        numbers = {value: number for number, value in enumerate(declared)}
        for value in targets.unique():
            if value not in numbers:
                raise ArgumentError(
                    f"column {targets.name!r} has {value!r}, which is none of the classes "
                    f"{', '.join(map(repr, numbers))}"
                )
        return np.array([numbers[value] for value in targets], np.int64)
    values = targets.to_numpy()
    if values.dtype.kind in "biuf":
        return values
    return np.unique(values.astype(str), return_inverse=True)[1]
