"""MNIST-1D: ten classes of short signals, generated rather than downloaded."""

from __future__ import annotations

import random
import sys
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np

from ..role.forks import at_fork
from .datasets import ArrayDataset
from .dealing import Samples, Splits, dealt

__all__ = ["mnist1d"]

# the package draws from the global generators of random and NumPy; one at a time
_generator_lock = Lock()


def forked() -> None:
    """Renew the lock in a fork, where nobody would release it."""
    global _generator_lock
    _generator_lock = Lock()


at_fork(sys.modules[__name__])


def mnist1d(part: int = 0, parts: int = 1, **dealing: Any) -> ArrayDataset:
    """Return one part of MNIST-1D: signals of 40 values in ten classes.

    There are 4,000 to train on and 1,000 to test on. The package `mnist1d` makes them from its
    default arguments, in about 2 s, once per process. Linear models reach about 32 %, perceptrons
    68 %, convolutional networks 94 %.

    Parameters
    ----------
    part, parts : int
        Number of the part, from 0, and the number of parts.
    **dealing
        Further arguments of `dealt`: `split`, `partition` (with its options), `seed`, … The data
        themselves are always the same.

    Returns
    -------
    ArrayDataset
        x of shape (n, 40), float32, with mean 0 and deviation 1 over both splits; y of shape (n,),
        int64, from 0 to 9.

    Raises
    ------
    ModuleNotFoundError
        Without the package `mnist1d`.
    ValueError
        When an argument is out of range.

    Notes
    -----
    Greydanus and Kobak, "Scaling Down Deep Learning with MNIST-1D", ICML 2024. While the data are
    made, NumPy's global generator and that of `random` are in use; both are put back afterwards.
    """
    return dealt(_mnist1d, part, parts, **dealing)


@lru_cache(maxsize=1)
def _mnist1d() -> Splits:
    try:
        from mnist1d.data import get_dataset_args, make_dataset
    except ModuleNotFoundError as error:
        if error.name != "mnist1d":
            raise
        raise ModuleNotFoundError(
            "MNIST-1D needs the package that generates it: pip install mnist1d"
        ) from None
    with _generator_lock:
        python_state = random.getstate()
        numpy_state = np.random.get_state()
        try:
            made = make_dataset(get_dataset_args())
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
    splits = {}
    for split, suffix in (("train", ""), ("test", "_test")):
        x = made[f"x{suffix}"].astype(np.float32)
        splits[split] = Samples("mnist1d", x, made[f"y{suffix}"].astype(np.int64))
    return splits
