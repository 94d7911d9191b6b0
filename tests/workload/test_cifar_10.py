"""CIFAR-10, from small files of the format of the real ones: written as Python 2 wrote them."""

import io
import os
import pickle
import struct
import sys

import numpy as np
import pytest
import torch

from roleml_nb.workload.cifar_10 import (
    CiFar10Dataset,
    CiFar10SlicedDataset,
    combine,
    slice_cifar_10_dataset,
    slice_cifar_10_dataset_from_cli,
    transform_torch,
    unpickle,
)
from roleml_nb.workload.views import DatasetViewFactory

SIZE = 6


class Python2Pickler(pickle._Pickler):
    """Writes bytes and text as the strings of Python 2, and names NumPy's modules as they were
    called then.
    """

    dispatch = pickle._Pickler.dispatch.copy()

    def save_string(self, value):
        data = value if isinstance(value, bytes) else value.encode("latin1")
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = save_string


def python_2(content):
    buffer = io.BytesIO()
    Python2Pickler(buffer, protocol=2).dump(content)
    return buffer.getvalue().replace(b"numpy._core", b"numpy.core")


def images(number):
    return np.random.default_rng(number).integers(0, 256, (SIZE, 3, 32, 32), dtype=np.uint8)


@pytest.fixture
def root(tmp_path):
    for number in range(6):
        name = f"data_batch_{number}" if number else "test_batch"
        labels = [(number + index) % 10 for index in range(SIZE)]
        content = {
            "batch_label": f"training batch {number} of 5",
            "labels": labels,
            "data": images(number).reshape(SIZE, 3072),
            "filenames": [f"{index}.png" for index in range(SIZE)],
        }
        (tmp_path / name).write_bytes(python_2(content))
    return tmp_path


def test_the_files_are_those_of_python_2(root):
    raw = (root / "test_batch").read_bytes()
    assert b"numpy.core.multiarray" in raw and b"_codecs" not in raw
    assert pickle.loads(raw, encoding="bytes")[b"labels"] == list(range(SIZE))


def test_all_images_in_their_places(root):
    train, test = CiFar10Dataset(str(root)), CiFar10Dataset(root, "test")
    assert (
        train.x.shape == (5 * SIZE, 32, 32, 3)
        and train.x.dtype == np.uint8
        and train.y.dtype == np.int64
    )
    assert (test.x == images(0).transpose(0, 2, 3, 1)).all() and test.y.tolist() == list(
        range(SIZE)
    )
    # red, green and blue are planes in the files
    assert (train.x[SIZE : 2 * SIZE, 4, 7, 2] == images(2)[:, 2, 4, 7]).all()
    one = CiFar10Dataset(root, index=3)
    assert (one.x == train.x[2 * SIZE : 3 * SIZE]).all() and one.y.tolist() == [3, 4, 5, 6, 7, 8]


def test_files_written_by_python_3_are_read_as_well(tmp_path):
    content = {b"data": images(1).reshape(SIZE, 3072), b"labels": [0] * SIZE}
    for protocol in (2, 4):
        (tmp_path / "test_batch").write_bytes(pickle.dumps(content, protocol=protocol))
        assert (unpickle(tmp_path / "test_batch")[0] == content[b"data"]).all()


def test_transformed_and_combined_they_are_what_torch_wants(root):
    data = transform_torch(CiFar10Dataset(root))
    assert data.x.shape == (5 * SIZE, 3, 32, 32) and data.x.dtype == torch.float32
    torch.testing.assert_close(
        data.x[:SIZE], (torch.from_numpy(images(1)).float() / 255 - 0.5) / 0.5
    )
    x, y = next(iter(DatasetViewFactory(data, batch_size=4, combiner=combine)))
    assert x.shape == (4, 3, 32, 32) and torch.equal(x[2], data.x[2])
    assert y.dtype == torch.int64 and y.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_slices_together_are_the_training_images(root, tmp_path, parts):
    slice_cifar_10_dataset(root, tmp_path / "slices", parts)
    whole, sliced = CiFar10Dataset(root), CiFar10SlicedDataset(tmp_path / "slices")
    assert (whole.x == sliced.x).all() and (whole.y == sliced.y).all()
    assert len(list((tmp_path / "slices").glob("labels_*.npy"))) == 5 * parts
    one = CiFar10SlicedDataset(tmp_path / "slices", 0)
    two = CiFar10SlicedDataset(tmp_path / "slices", [0, 4])
    assert (two.x[: len(one)] == one.x).all() and len(two) > len(one)


def test_slices_from_the_command_line(root, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["slice", str(root), str(tmp_path / "out"), "-c", "3"])
    slice_cifar_10_dataset_from_cli()
    assert (
        len(CiFar10SlicedDataset(tmp_path / "out")) == 5 * SIZE
        and (tmp_path / "out" / "data_14.npy").exists()
    )


class Evil:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-pickle",)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (pickle.dumps({b"data": Evil(), b"labels": []}), r"(posix|nt)\.mkdir is not allowed in it"),
        (pickle.dumps([1, 2]), "it has no data and labels"),
        (
            pickle.dumps({b"data": np.zeros((2, 7), np.uint8), b"labels": [1, 2]}),
            r"its data must be uint8 of shape \(2, 3072\)",
        ),
        (b"", "is no file of CIFAR-10"),
        (
            b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00hextR.",
            "'hex' is not an encoding of bytes",
        ),
    ],
)
def test_nothing_but_arrays_is_unpickled(tmp_path, monkeypatch, content, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(ValueError, match=text):
        CiFar10Dataset(tmp_path, "test")
    assert not (tmp_path / "made-by-a-pickle").exists()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda root: CiFar10Dataset(root / "absent"),
            "data_batch_1 is missing: unpack cifar-10-python.tar.gz",
        ),
        (
            lambda root: CiFar10SlicedDataset(root),
            "data_0.npy is missing: make the slices with slice_cifar_10_dataset first",
        ),
        (lambda root: CiFar10Dataset(root, "valid"), "part must be 'train' or 'test', got 'valid'"),
        (lambda root: CiFar10Dataset(root, index=6), "index must be from 1 to 5, got 6"),
        (lambda root: slice_cifar_10_dataset(root, root, 7), "parts must be from 1 to 6, got 7"),
    ],
)
def test_errors_are_one_line_and_say_what_to_do(root, make, text):
    with pytest.raises((ValueError, FileNotFoundError), match=text) as caught:
        make(root)
    assert "\n" not in str(caught.value)
