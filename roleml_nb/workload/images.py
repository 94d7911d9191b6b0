"""MNIST, FashionMNIST and CIFAR-10, as torchvision reads them."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np

from .datasets import ArrayDataset
from .dealing import Samples, Splits, dealt

__all__ = ["cifar10", "fashion_mnist", "mnist"]


def mnist(
    part: int = 0, parts: int = 1, *, root: str = "data", download: bool = False, flat: bool = False, **how: Any
) -> ArrayDataset:
    """One part of MNIST: handwritten digits, 60,000 to train on and 10,000 to test on.

    Parameters
    ----------
    part, parts : int
        Which part, and of how many.
    root : str
        Folder with the files, on the node that uses them, as torchvision lays it out.
    download : bool
        Whether torchvision may fetch the files when they are not there.
    flat : bool
        Whether an image is one row of values, as `mlp` takes it.
    **how
        `split`, `partition` (with its options), `seed`, `batch_size`, `shuffle`: see `dealt`.

    Returns
    -------
    ArrayDataset
        x of shape (n, 1, 28, 28), or flat, (n, 784), float32, from 0 to 1; y of shape (n,), int64, from 0 to 9.

    Raises
    ------
    ModuleNotFoundError
        Without torchvision.
    FileNotFoundError
        When the files are not in `root`, or cannot be fetched.
    ValueError
        When an argument is out of range.
    """
    return dealt(partial(_images, "MNIST", root, download, flat), part, parts, **how)


def fashion_mnist(
    part: int = 0, parts: int = 1, *, root: str = "data", download: bool = False, flat: bool = False, **how: Any
) -> ArrayDataset:
    """One part of FashionMNIST: articles of clothing, in the sizes of MNIST. Everything else as for `mnist`.

    Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms", 2017.
    """
    return dealt(partial(_images, "FashionMNIST", root, download, flat), part, parts, **how)


def cifar10(
    part: int = 0, parts: int = 1, *, root: str = "data", download: bool = False, flat: bool = False, **how: Any
) -> ArrayDataset:
    """One part of CIFAR-10: colour images, 50,000 to train on and 10,000 to test on. Everything else as for `mnist`.

    x of shape (n, 3, 32, 32), or flat, (n, 3072). Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.
    """
    return dealt(partial(_images, "CIFAR10", root, download, flat), part, parts, **how)


@lru_cache(maxsize=4)
def _images(name: str, root: str, download: bool, flat: bool) -> Splits:
    try:
        from torchvision import datasets
    except ModuleNotFoundError as error:
        if error.name != "torchvision":
            raise
        raise ModuleNotFoundError(f"{name} is read by torchvision, which is not installed: pip install torchvision") from None
    except RuntimeError as error:  # what a torchvision says that was built for another torch
        raise ImportError(f"{name} is read by torchvision, which cannot be imported ({error}): install the version that fits "
                          "this torch") from None
    splits = {}
    for split in ("train", "test"):
        try:
            read = getattr(datasets, name)(root, train=split == "train", download=download)
        except (RuntimeError, OSError) as error:
            advice = "" if download else ", or fetch them with download=True"
            raise FileNotFoundError(f"the files of {name} are not in {root!r} ({error}): put them there{advice}") from None
        x = np.asarray(read.data, np.float32) / np.float32(255)
        x = x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2)
        splits[split] = Samples(name, np.ascontiguousarray(x.reshape(len(x), -1) if flat else x),
                                np.asarray(read.targets, np.int64))
    return splits
