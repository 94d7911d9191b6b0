"""MNIST, FashionMNIST and CIFAR-10, from small files of the formats of the real ones."""

import gzip
import struct
import sys

import numpy as np
import pytest

from roleml_nb.workload import cifar10, fashion_mnist, mnist
from roleml_nb.workload.idx import read_idx
from tests.workload.test_cifar_10 import python_2

COUNTS = {"train": 20, "t10k": 10}


def pixels(first, shape):
    return np.random.default_rng(len(first)).integers(0, 256, shape, dtype=np.uint8)


def labels(count):
    return np.arange(count, dtype=np.uint8) % 10


def idx(array):
    """The bytes of an IDX file: magic number, the dimensions, most significant byte first, and the
    values.
    """
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def known(*data):
    """Images, as bytes of uint8, with their classes: what is dealt out is in an order of its
    own.
    """
    return sorted(
        (bytes(np.rint(x * 255).astype(np.uint8)), int(y))
        for some in data
        for x, y in zip(some.x, some.y, strict=True)
    )


def write_mnist(folder, compressed):
    folder.mkdir(parents=True)
    for first, count in COUNTS.items():
        for what, array in (
            ("images-idx3", pixels(first, (count, 28, 28))),
            ("labels-idx1", labels(count)),
        ):
            content = idx(array)
            name = f"{first}-{what}-ubyte" + (".gz" if compressed else "")
            (folder / name).write_bytes(gzip.compress(content) if compressed else content)


def write_cifar(folder, size=4):
    folder.mkdir(parents=True)
    for number in range(6):
        content = {
            "batch_label": f"batch {number}",
            "labels": [(number + index) % 10 for index in range(size)],
            "data": pixels("x" * number, (size, 3072)),
            "filenames": ["a.png"] * size,
        }
        (folder / (f"data_batch_{number}" if number else "test_batch")).write_bytes(
            python_2(content)
        )


@pytest.mark.parametrize("compressed", [False, True], ids=["raw", "gz"])
@pytest.mark.parametrize("make, name", [(mnist, "MNIST"), (fashion_mnist, "FashionMNIST")])
@pytest.mark.parametrize("place", ["{}/raw", "."], ids=["torchvision's layout", "right there"])
def test_mnist_from_its_files(tmp_path, make, name, compressed, place):
    root = tmp_path / "data"
    write_mnist(root / place.format(name), compressed)
    train, test = make(root=str(root), batch_size=7), make(root=str(root), split="test")
    assert (
        train.x.shape == (20, 1, 28, 28)
        and train.x.dtype == np.float32
        and train.y.dtype == np.int64
    )
    assert test.x.shape == (10, 1, 28, 28) and 0 <= train.x.min() < train.x.max() <= 1
    expected = sorted(
        zip(map(bytes, pixels("train", (20, 28, 28))), labels(20).tolist(), strict=True)
    )
    assert known(train) == expected != known(test)
    parts = [
        make(part, 4, root=str(root), flat=True, partition="shards", shards_per_part=2)
        for part in range(4)
    ]
    assert parts[0].x.shape == (5, 784) and known(*parts) == expected


def test_cifar_10_from_its_files(tmp_path):
    write_cifar(tmp_path / "cifar-10-batches-py")
    train, test = cifar10(root=str(tmp_path)), cifar10(root=str(tmp_path), split="test", flat=True)
    assert (
        train.x.shape == (20, 3, 32, 32)
        and train.x.dtype == np.float32
        and test.x.shape == (4, 3072)
    )
    # a row is its red, green and blue planes
    expected = [
        (bytes(image), (number + index) % 10)
        for number in range(1, 6)
        for index, image in enumerate(pixels("x" * number, (4, 3072)))
    ]
    assert known(train) == sorted(expected)
    assert known(cifar10(root=str(tmp_path / "cifar-10-batches-py"))) == known(train) != known(test)


@pytest.mark.parametrize(
    "make, first",
    [
        (mnist, "train-images-idx3-ubyte"),
        (fashion_mnist, "train-images-idx3-ubyte"),
        (cifar10, "test_batch"),
    ],
)
def test_without_files_one_line_says_so(make, first, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        make(root=str(tmp_path))
    assert str(caught.value).endswith(
        f"are not in '{tmp_path}' (there is no {first}): put them there, or fetch them with"
        " download=True, which needs torchvision"
    )


@pytest.mark.parametrize(
    "content, text",
    [
        (b"", "is no IDX file of bytes: it begins with nothing, not 00 00 08"),
        (
            struct.pack(">BBBB", 0, 0, 13, 1),
            "is no IDX file of bytes: it begins with 00 00 0d 01, not 00 00 08",
        ),
        (
            idx(np.zeros((2, 3), np.uint8))[:-1],
            r"is damaged: it says shape \(2, 3\), and has 5 values",
        ),
        (
            bytes([0, 0, 8, 2]) + b"\x7f" * 8 + b"abc",
            r"says shape \(2139062143, 2139062143\), and has 3 values",
        ),
        (idx(np.zeros((2, 3), np.uint8))[:9], "is damaged: it ends before its 2 dimensions do"),
    ],
)
def test_files_that_are_not_idx_are_named(tmp_path, content, text):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=text):
        read_idx(tmp_path / "file")
    (tmp_path / "file.gz").write_bytes(gzip.compress(content)[:-3])
    with pytest.raises(
        ValueError,
        match=(
            r"file.gz is (no gzip file, or is damaged|no IDX file of bytes: it begins with 00 00"
            r" 0d 01)"
        ),
    ):
        read_idx(tmp_path / "file.gz")


def test_files_that_do_not_belong_together_are_named(tmp_path):
    write_mnist(tmp_path / "MNIST", False)
    (tmp_path / "MNIST" / "train-labels-idx1-ubyte").write_bytes(idx(labels(19)))
    with pytest.raises(
        ValueError,
        match=r"do not belong together: images of shape \(20, 28, 28\), labels of shape \(19,\)",
    ):
        mnist(root=str(tmp_path))


def test_without_torchvision_nothing_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(
        ModuleNotFoundError,
        match=(
            "MNIST is fetched by torchvision, which is not installed: pip install torchvision,"
            " or put"
        ),
    ):
        mnist(root=str(tmp_path), download=True)
