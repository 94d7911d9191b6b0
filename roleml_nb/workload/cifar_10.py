"""CIFAR-10, from the files of its Python version.

Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009: 60,000 colour images of
32x32 pixels, ten classes. Nothing is downloaded: get ``cifar-10-python.tar.gz`` from
https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from roleml_nb.role import ArgumentError
from roleml_nb.role.checks.names import check_choice
from roleml_nb.role.checks.numbers import check_count

from .datasets import XYDataset
from .steps import as_tensor

__all__ = [
    "CiFar10Dataset",
    "CiFar10SlicedDataset",
    "combine",
    "load_array_from_files",
    "slice_cifar_10_dataset",
    "slice_cifar_10_dataset_from_cli",
    "transform_torch",
    "unpickle",
]

SHAPE = (3, 32, 32)


class CiFar10Dataset(XYDataset):
    """The images as they are in the files.

    Parameters
    ----------
    root : str or path
        The directory with ``data_batch_1`` … ``data_batch_5`` and ``test_batch``, usually
        ``cifar-10-batches-py``.
    part : {"train", "test"}
        The 50,000 training images, or the 10,000 test images.
    index : int, optional
        One of the five training files only, from 1 to 5.

    Attributes
    ----------
    x : uint8 array of shape (n, 32, 32, 3)
        Red, green and blue, from 0 to 255.
    y : int64 array of shape (n,)
        Classes, from 0 to 9.

    Raises
    ------
    FileNotFoundError
        When a file is missing; the message says where to get it.
    ValueError
        When a file holds something else, or an argument is out of range.
    """

    def __init__(self, root: Any, part: str = "train", index: int | None = None):
        check_choice("part", part, ("train", "test"))
        if index is not None and index not in range(1, 6):
            raise ArgumentError(f"index must be from 1 to 5, got {index!r}")
        numbers = range(1, 6) if index is None else [index]
        if part == "train":
            names = [f"data_batch_{number}" for number in numbers]
        else:
            names = ["test_batch"]
        images = []
        labels = []
        for name in names:
            file_images, file_labels = _read_images(Path(root) / name)
            images.append(file_images)
            labels.append(file_labels)
        super().__init__(np.concatenate(images), np.concatenate(labels))


class CiFar10SlicedDataset(XYDataset):
    """Slices of the training images, as `slice_cifar_10_dataset` saves them.

    Parameters
    ----------
    root : str or path
        The directory with ``data_0.npy``, ``labels_0.npy``, ….
    index : int or iterable of int, optional
        Numbers of the slices, from 0; all in the directory when not given.
    """

    def __init__(self, root: Any, index: int | Iterable[int] | None = None):
        folder = Path(root)
        if index is None:
            numbers = sorted(
                int(file.stem.removeprefix("data_")) for file in folder.glob("data_*.npy")
            ) or [0]
        else:
            numbers = list(index) if isinstance(index, Iterable) else [index]
        image_files = []
        label_files = []
        for number in numbers:
            image_files.append(folder / f"data_{number}.npy")
            label_files.append(folder / f"labels_{number}.npy")
        super().__init__(load_array_from_files(*image_files), load_array_from_files(*label_files))


def transform_torch(dataset: XYDataset) -> XYDataset:
    """Convert the inputs for torch: a float32 tensor of shape (n, 3, 32, 32), from -1 to 1.

    Targets are kept.
    """
    images = as_tensor(np.ascontiguousarray(np.asarray(dataset.x).transpose(0, 3, 1, 2)))
    return XYDataset(images.float().div_(127.5).sub_(1), dataset.y)


def combine(data: Iterable[tuple[Any, Any]]) -> tuple[Any, Any]:
    """Return a batch of samples ``(x, y)``: two tensors, of shape (batch, …) and (batch,)."""
    import torch

    inputs, targets = zip(*data, strict=True)
    return torch.stack(list(map(as_tensor, inputs))), as_tensor(np.asarray(targets))


def slice_cifar_10_dataset(root: Any, output_path: Any, parts: int = 2) -> None:
    """Cut each of the five training files into `parts` slices of equal size, and save them as NumPy
    files.

    Writes ``data_0.npy``, ``labels_0.npy``, … to `output_path`, 5 x `parts` slices in the order of
    the samples; sizes differ by one sample at most.
    """
    folder = Path(output_path)
    files = [_read_images(Path(root) / f"data_batch_{number}") for number in range(1, 6)]
    least = min(len(labels) for _, labels in files)
    parts = check_count("parts", parts, 1, least)
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for images, labels in files:
        slices = zip(np.array_split(images, parts), np.array_split(labels, parts), strict=True)
        for image_slice, label_slice in slices:
            np.save(folder / f"data_{number}.npy", image_slice)
            np.save(folder / f"labels_{number}.npy", label_slice)
            number += 1


def slice_cifar_10_dataset_from_cli() -> None:
    """Run `slice_cifar_10_dataset` as a program.

    ``python -m roleml_nb.workload.cifar_10 SOURCE OUTPUT [--count N]``
    """
    import argparse

    parser = argparse.ArgumentParser(
        description="Cut the training files of CIFAR-10 into slices, saved as NumPy files."
    )
    parser.add_argument("source", help="directory with data_batch_1 … data_batch_5")
    parser.add_argument("output_path", help="directory for the slices")
    parser.add_argument("-c", "--count", type=int, default=5, help="slices per training file (5)")
    given = parser.parse_args()
    slice_cifar_10_dataset(given.source, given.output_path, parts=given.count)


def unpickle(file: Any) -> tuple[np.ndarray, list[int]]:
    """Return the data of a file of CIFAR-10, uint8 of shape (n, 3072), and its n classes.

    Only NumPy arrays and plain containers are unpickled; a file that holds anything else is
    refused.
    """
    try:
        with open(file, "rb") as opened:
            content = _Unpickler(opened, encoding="bytes").load()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{file} is missing: unpack cifar-10-python.tar.gz"
            " (https://www.cs.toronto.edu/~kriz/cifar.html) and give its directory"
            " cifar-10-batches-py as root"
        ) from None
    except OSError:
        raise
    except Exception as error:  # whatever unpickling a damaged file raises
        raise ArgumentError(f"{file} is no file of CIFAR-10: {error}") from error
    if not isinstance(content, dict) or not {b"data", b"labels"} <= content.keys():
        raise ArgumentError(f"{file} is no file of CIFAR-10: it has no data and labels")
    return content[b"data"], content[b"labels"]


def load_array_from_files(*files: Any) -> np.ndarray:
    """Return the arrays of NumPy files, joined in the order of the files."""
    for file in files:
        if not Path(file).is_file():
            raise FileNotFoundError(
                f"{file} is missing: make the slices with slice_cifar_10_dataset first"
            )
    return np.concatenate(list(map(_load, files)))


def _load(file: Any) -> np.ndarray:
    try:
        return np.asarray(np.load(file, allow_pickle=False))
    except Exception as error:  # whatever NumPy's reading of a damaged header raises
        raise ArgumentError(f"{file} is no NumPy file, or is damaged: {error}") from None


def _read_images(file: Path) -> tuple[np.ndarray, np.ndarray]:
    data, labels = unpickle(file)
    if (
        not isinstance(data, np.ndarray)
        or data.dtype != np.uint8
        or data.shape != (len(labels), int(np.prod(SHAPE)))
    ):
        raise ArgumentError(
            f"{file} is no file of CIFAR-10: its data must be uint8 of shape ({len(labels)}, 3072)"
        )
    return data.reshape(-1, *SHAPE).transpose(0, 2, 3, 1), np.asarray(labels, dtype=np.int64)


def _latin_1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"{encoding!r} is not an encoding of bytes in a pickle")
    return text.encode(encoding)


_RECONSTRUCT = np.zeros(1).__reduce__()[0]


class _Unpickler(pickle.Unpickler):
    _allowed = {
        ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
        ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _latin_1,
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._allowed[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in it") from None


if __name__ == "__main__":
    slice_cifar_10_dataset_from_cli()
