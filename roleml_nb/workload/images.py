"""MNIST, FashionMNIST and CIFAR-10, from their files, which torchvision may fetch."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from roleml_nb.role import ArgumentError

from .cifar_10 import CiFar10Dataset
from .datasets import ArrayDataset
from .dealing import Samples, Splits, dealt
from .idx import read_idx

__all__ = ["cifar10", "fashion_mnist", "mnist"]


def mnist(
    part: int = 0,
    parts: int = 1,
    *,
    root: str = "data",
    download: bool = False,
    flat: bool = False,
    **dealing: Any,
) -> ArrayDataset:
    """Return one part of MNIST: handwritten digits, 60,000 to train on, 10,000 to test on.

    Parameters
    ----------
    part, parts : int
        Number of the part, from 0, and the number of parts.
    root : str
        Folder with the files, on the node that uses them: as torchvision lays it out
        (``MNIST/raw/train-images-idx3-ubyte``, ``cifar-10-batches-py/data_batch_1``), or with the
        files right in it; those of MNIST may end in ``.gz``.
    download : bool
        True lets torchvision fetch files that are not there.
    flat : bool
        True makes one row of values of an image, as `mlp` takes it.
    **dealing
        Further arguments of `dealt`: `split`, `partition` (with its options), `seed`, …

    Returns
    -------
    ArrayDataset
        x of shape (n, 1, 28, 28), or flat, (n, 784), float32, from 0 to 1; y of shape (n,), int64,
        from 0 to 9.

    Raises
    ------
    FileNotFoundError
        When the files are not in `root`, or cannot be fetched.
    ModuleNotFoundError
        When torchvision is to fetch them and is not installed; ImportError when it does not fit the
        torch that is installed.
    ValueError
        When an argument is out of range, or a file is damaged.
    """
    return dealt(partial(_load_splits, "MNIST", root, download, flat), part, parts, **dealing)


def fashion_mnist(
    part: int = 0,
    parts: int = 1,
    *,
    root: str = "data",
    download: bool = False,
    flat: bool = False,
    **dealing: Any,
) -> ArrayDataset:
    """Return one part of FashionMNIST: articles of clothing, in the sizes of MNIST.

    Arguments and errors as of `mnist`.

    Xiao, Rasul and Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
    Learning Algorithms", 2017.
    """
    return dealt(
        partial(_load_splits, "FashionMNIST", root, download, flat), part, parts, **dealing
    )


def cifar10(
    part: int = 0,
    parts: int = 1,
    *,
    root: str = "data",
    download: bool = False,
    flat: bool = False,
    **dealing: Any,
) -> ArrayDataset:
    """Return one part of CIFAR-10: colour images, 50,000 to train on and 10,000 to test on.

    Arguments and errors as of `mnist`.

    x is of shape (n, 3, 32, 32), or flat, (n, 3072). Krizhevsky, "Learning Multiple Layers of
    Features from Tiny Images", 2009.
    """
    return dealt(partial(_load_splits, "CIFAR10", root, download, flat), part, parts, **dealing)


@lru_cache(maxsize=4)
def _load_splits(name: str, root: str, download: bool, flat: bool) -> Splits:
    splits = {}
    for split in ("train", "test"):
        try:
            x, y = _read(name, Path(root), split)
        except FileNotFoundError as missing:
            if not download:
                raise FileNotFoundError(
                    f"the files of {name} are not in {root!r} ({missing}): put them there, or fetch"
                    " them with download=True, which needs torchvision"
                ) from None
            _fetch(name, root)
            x, y = _read(name, Path(root), split)
        values = np.asarray(x, np.float32) / np.float32(255)
        if flat:
            values = values.reshape(len(x), -1)
        splits[split] = Samples(name, np.ascontiguousarray(values), y)
    return splits


def _read(name: str, root: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images, uint8 of shape (n, channels, height, width), and classes, int64.

    FileNotFoundError when a file is missing.
    """
    if name == "CIFAR10":
        test = _first_file([root / "cifar-10-batches-py" / "test_batch", root / "test_batch"])
        data = CiFar10Dataset(test.parent, split)
        return np.asarray(data.x).transpose(0, 3, 1, 2), np.asarray(data.y)
    folders = (root / name / "raw", root / name, root)
    prefix = "train" if split == "train" else "t10k"
    x = read_idx(_first_file(_with_gz(folders, f"{prefix}-images-idx3-ubyte")))
    y = read_idx(_first_file(_with_gz(folders, f"{prefix}-labels-idx1-ubyte")))
    if x.ndim != 3 or y.shape != x.shape[:1]:
        raise ArgumentError(
            f"the files of {name} in {str(root)!r} do not belong together: images of shape"
            f" {x.shape}, labels of shape {y.shape}"
        )
    return x[:, None], y.astype(np.int64)


def _with_gz(folders: Iterable[Path], name: str) -> list[Path]:
    """Return the paths of a file that may be compressed, in each of the folders."""
    paths = []
    for folder in folders:
        paths += [folder / name, folder / f"{name}.gz"]
    return paths


def _first_file(places: list[Path]) -> Path:
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(f"there is no {places[0].name}")


def _fetch(name: str, root: str) -> None:
    """Let torchvision fetch the files; `_read` finds them where it puts them."""
    try:
        from torchvision import datasets
    except ModuleNotFoundError as error:
        if error.name != "torchvision":
            raise
        raise ModuleNotFoundError(
            f"{name} is fetched by torchvision, which is not installed: pip install torchvision, or"
            f" put the files into {root!r}"
        ) from None
    except RuntimeError as error:  # torchvision was built for another torch
        raise ImportError(
            f"{name} is fetched by torchvision, which cannot be imported ({error}): install the"
            f" version that fits this torch, or put the files into {root!r}"
        ) from None
    try:
        getattr(datasets, name)(root, download=True)
    except (RuntimeError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise FileNotFoundError(
            f"the files of {name} are not in {root!r}, and could not be fetched ({reason}): put"
            " them there"
        ) from None
