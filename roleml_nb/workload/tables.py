"""Small data sets that scikit-learn brings.

Nothing is downloaded, and scikit-learn is not imported.
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .datasets import ArrayDataset
from .dealing import Splits, dealt, split_at_random

__all__ = ["breast_cancer", "diabetes", "digits", "digits_test", "iris", "wine"]


def digits(part: int = 0, parts: int = 1, **dealing: Any) -> ArrayDataset:
    """Return one part of scikit-learn's handwritten digits, 8x8 pixels, ten classes.

    The train split is 80 % of each class, always the same; the test split is the rest.

    Parameters
    ----------
    part, parts : int
        Number of the part, from 0, and the number of parts.
    **dealing
        Further arguments of `dealt`: `split`, `partition` (with its options), `seed`, …

    Returns
    -------
    ArrayDataset
        x of shape (n, 64), float32, from 0 to 1; y of shape (n,), int64, from 0 to 9.

    Raises
    ------
    ValueError
        When an argument is out of range.

    Notes
    -----
    Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, 1998.
    """
    return dealt(_digits, part, parts, **dealing)


def digits_test(batch_size: int = 256) -> ArrayDataset:
    """Return the test split of `digits`, whole, in a fixed order."""
    return digits(split="test", batch_size=batch_size)


def iris(part: int = 0, parts: int = 1, **dealing: Any) -> ArrayDataset:
    """Return one part of the iris data: 150 flowers, 4 lengths in cm, 3 classes.

    Arguments as of `digits`.

    x is standardised: mean 0 and deviation 1 over the train split, float32. Fisher, "The use of
    multiple measurements in taxonomic problems", Annals of Eugenics, 1936.
    """
    return dealt(_iris, part, parts, **dealing)


def wine(part: int = 0, parts: int = 1, **dealing: Any) -> ArrayDataset:
    """Return one part of the wine data: 178 wines, 13 measurements, 3 growers as classes.

    Arguments as of `digits`.

    x is standardised over the train split. Aeberhard and Forina, "Wine", UCI Machine Learning
    Repository, 1991.
    """
    return dealt(_wine, part, parts, **dealing)


def breast_cancer(part: int = 0, parts: int = 1, **dealing: Any) -> ArrayDataset:
    """Return one part of the breast cancer data: 569 tumours, 30 measurements, 2 classes.

    Classes are malignant (0) and benign (1). Arguments as of `digits`.

    x is standardised over the train split. Wolberg, Mangasarian, Street and Street, "Breast Cancer
    Wisconsin (Diagnostic)", UCI Machine Learning Repository, 1993.
    """
    return dealt(_breast_cancer, part, parts, **dealing)


def diabetes(part: int = 0, parts: int = 1, **dealing: Any) -> ArrayDataset:
    """Return one part of the diabetes data: 442 patients, 10 measurements; the target is a number.

    Arguments as of `digits`.

    x and y are standardised over the train split, float32. Efron, Hastie, Johnstone and Tibshirani,
    "Least Angle Regression", Annals of Statistics, 2004.
    """
    return dealt(_diabetes, part, parts, **dealing)


@lru_cache(maxsize=1)
def _digits() -> Splits:
    table = _read("digits.csv.gz", ",")
    return split_at_random(
        "digits", table[:, :-1].astype(np.float32) / np.float32(16), table[:, -1].astype(np.int64)
    )


@lru_cache(maxsize=1)
def _iris() -> Splits:
    return _standardise("iris", _read("iris.csv", ",", 1))


@lru_cache(maxsize=1)
def _wine() -> Splits:
    return _standardise("wine", _read("wine_data.csv", ",", 1))


@lru_cache(maxsize=1)
def _breast_cancer() -> Splits:
    return _standardise("breast_cancer", _read("breast_cancer.csv", ",", 1))


@lru_cache(maxsize=1)
def _diabetes() -> Splits:
    x = _read("diabetes_data_raw.csv.gz")
    y = _read("diabetes_target.csv.gz")
    return _standardise("diabetes", np.column_stack([x, y]), numbers=True)


def _read(file: str, delimiter: str | None = None, header: int = 0) -> np.ndarray:
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        raise ModuleNotFoundError(
            "this data set needs scikit-learn, which brings it: pip install scikit-learn"
        )
    # importing sklearn.datasets to read the file takes 2.0 s; reading it here takes 0.02 s
    path = Path(found.origin).parent / "datasets" / "data" / file
    with gzip.open(path, "rt") if path.suffix == ".gz" else open(path) as lines:
        return np.loadtxt(lines, delimiter=delimiter, skiprows=header)


def _standardise(name: str, table: np.ndarray, *, numbers: bool = False) -> Splits:
    """Split a table with standardised features; the target, its last column, is so if a number."""
    y = table[:, -1] if numbers else table[:, -1].astype(np.int64)
    train = split_at_random(name, table, y)["train"].x
    scaled = ((table - train.mean(0)) / train.std(0)).astype(np.float32)
    return split_at_random(name, scaled[:, :-1], scaled[:, -1] if numbers else y)
