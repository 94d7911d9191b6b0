"""Data of one's own, dealt out as the data sets of this room are."""

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
    **how: Any,
) -> ArrayDataset:
    """One part of arrays.

    Parameters
    ----------
    x : array of shape (n, …)
        Inputs; as float32.
    y : array of shape (n,)
        Targets: classes (integers, as int64), or numbers (as float32).
    part, parts : int
        Which part, and of how many.
    keys : array of shape (n,), optional
        What each sample comes from, for ``partition="natural"``.
    test : float
        Share of the samples (of each class) in ``split="test"``, from 0 to less than 1.
    split_seed : int
        Of the choice of these samples.
    **how
        `split`, `partition` (with its options), `seed`, `batch_size`, `shuffle`: see `dealt`.

    Raises
    ------
    ValueError
        When the arrays differ in length, or an argument is out of range.
    """
    targets = np.asarray(y)
    whole = np.issubdtype(targets.dtype, np.integer) or targets.dtype == bool
    splits = split_at_random(
        "the arrays",
        np.asarray(x, np.float32),
        targets.astype(np.int64 if whole else np.float32),
        None if keys is None else np.asarray(keys),
        test=test,
        seed=split_seed,
    )
    return dealt(splits, part, parts, **how)


def from_torch(dataset: Any, part: int = 0, parts: int = 1, **how: Any) -> ArrayDataset:
    """One part of a torch `Dataset` that can be indexed, of pairs (x, y) of one shape.

    All of it is read, into memory.

    Arguments as for `from_arrays`.

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
        x, y = (np.stack([np.asarray(pair[side]) for pair in pairs]) for side in (0, 1))
    except ValueError:
        raise ArgumentError(
            f"the samples of {type(dataset).__name__} differ in shape: make them alike with a "
            "transform"
        ) from None
    return from_arrays(x, y, part, parts, **how)


def from_frame(
    frame: pd.DataFrame,
    target: str,
    part: int = 0,
    parts: int = 1,
    *,
    key: str | None = None,
    features: Iterable[str] | None = None,
    classes: Sequence[Any] | None = None,
    **how: Any,
) -> ArrayDataset:
    """One part of a pandas frame, a sample per row.

    Parameters
    ----------
    frame : DataFrame
        Features must be numbers, without gaps.
    target : str
        Column of the targets. Texts become classes 0, 1, …, in sorted order, and categories in the
        order declared.
    part, parts : int
        Which part, and of how many.
    key : str, optional
        Column of what each row comes from, for ``partition="natural"``; no feature then.
    features : iterable of str, optional
        Columns of the inputs; by default all others.
    classes : sequence, optional
        What the targets may be, in the order of their numbers. To be given where each node has a
        frame of its own, in which some may be missing, unless the column declares its categories.
    **how
        As for `from_arrays`.

    Raises
    ------
    ValueError
        For a column that is not there, holds no numbers, or has gaps, and when an argument is out
        of range.
    """
    named = [target, *([] if key is None else [key])]
    chosen = (
        [name for name in frame.columns if name not in named]
        if features is None
        else list(features)
    )
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
    return from_arrays(frame[chosen].to_numpy(np.float32), y, part, parts, keys=keys, **how)


def _class_numbers(targets: pd.Series, classes: Sequence[Any] | None) -> np.ndarray:
    """Return the numbers of the classes; targets that are numbers stay as they are unless classes
    are given.
    """
    declared = getattr(targets.dtype, "categories", None) if classes is None else list(classes)
    if declared is not None:
        places = {value: place for place, value in enumerate(declared)}
        if unknown := [value for value in targets.unique() if value not in places]:
            raise ArgumentError(
                f"column {targets.name!r} has {unknown[0]!r}, which is none of the classes "
                f"{', '.join(map(repr, places))}"
            )
        return np.array([places[value] for value in targets], np.int64)
    values = targets.to_numpy()
    return (
        values
        if values.dtype.kind in "biuf"
        else np.unique(values.astype(str), return_inverse=True)[1]
    )
