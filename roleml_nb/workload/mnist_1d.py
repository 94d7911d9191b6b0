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
    """Called in forks, where nobody would release it."""
    global _generator_lock
    _generator_lock = Lock()


at_fork(sys.modules[__name__])


def mnist1d(part: int = 0, parts: int = 1, **how: Any) -> ArrayDataset:
    """One part of MNIST-1D: 4,000 signals to train on and 1,000 to test on, of 40 values, in ten
    classes.

    Made by the package `mnist1d` from its default arguments, in about 2 s, once per process. Linear
    models reach about 32 %, perceptrons 68 %, convolutional networks 94 %.

    Parameters
    ----------
    part, parts : int
        Which part, and of how many.
    **how
        `split`, `partition` (with its options), `seed`, `batch_size`, `shuffle`: see `dealt`. The
        data themselves are always the same.

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
    return dealt(_mnist1d, part, parts, **how)


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
        states = random.getstate(), np.random.get_state()
        try:
            made = make_dataset(get_dataset_args())
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
    return {
        split: Samples(
            "mnist1d", made[f"x{end}"].astype(np.float32), made[f"y{end}"].astype(np.int64)
        )
        for split, end in (("train", ""), ("test", "_test"))
    }
