"""Pickling of NumPy arrays and torch tensors: shape, element type, and the bare buffer (out of band
when large).
"""

from __future__ import annotations

import sys
import warnings
from pickle import PickleBuffer
from typing import Any

import numpy as np

__all__ = [
    "is_plain_tensor",
    "rebuild_array",
    "rebuild_tensor",
    "reduce_array",
    "reduce_tensor",
    "tensor_reducers",
]


def reduce_array(array: np.ndarray) -> Any:
    """Reduce an exact ``np.ndarray``; left to NumPy when its elements are objects."""
    dtype = array.dtype
    if dtype.hasobject or dtype.itemsize == 0:
        return NotImplemented
    kind: Any = (
        dtype.str
        if dtype.isbuiltin == 1 and dtype.metadata is None and dtype.kind not in "Mm"
        else dtype
    )
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    # of the array, never of a memoryview of it: the garbage collector of CPython before 3.11.8,
    # 3.12.2 and 3.13 crashes when it finds a memoryview and a buffer of it in one cycle (gh-77894)
    buffer = PickleBuffer(flat)  # type: ignore[arg-type]  # NumPy < 2.3 says not
    return rebuild_array, (kind, array.shape, buffer)


def rebuild_array(dtype: Any, shape: tuple[int, ...], buffer: Any) -> np.ndarray:
    """Rebuild a reduced array, over the memory of `buffer` where that is writable."""
    # through the constructor, since np.frombuffer refuses empty buffers
    return np.ndarray(shape, dtype, _writable(buffer))


def reduce_tensor(tensor: Any) -> Any:
    """Reduce an exact ``torch.Tensor`` (sent detached) or ``Parameter`` (stays one); special
    layouts are left to torch.

    A tensor that requires a gradient loses that on the way, with a RuntimeWarning: no gradient
    crosses a message.
    """
    torch = sys.modules["torch"]
    if tensor.requires_grad and type(tensor) is torch.Tensor:
        warnings.warn(
            "a tensor that requires a gradient is sent without: its receiver gets the values alone;"
            " send tensor.detach() to say that this is meant",
            RuntimeWarning,
            stacklevel=2,
        )
    if type(tensor) is torch.Tensor and is_plain_tensor(tensor):
        try:
            return rebuild_tensor, (
                _names[tensor.dtype],
                tuple(tensor.shape),
                PickleBuffer(_array_of(tensor)),
                None,
            )
        except (TypeError, RuntimeError):  # nested, or in oneDNN's layout
            return NotImplemented
    if (
        tensor.layout is not torch.strided
        or tensor.is_nested
        or tensor.is_quantized
        or tensor.device.type == "meta"
    ):
        return NotImplemented
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    flat = plain.reshape(-1).view(torch.uint8).numpy()
    parameter = tensor.requires_grad if type(tensor) is torch.nn.Parameter else None
    name = str(tensor.dtype).removeprefix("torch.")
    return rebuild_tensor, (name, tuple(tensor.shape), PickleBuffer(flat), parameter)


SHARED = ("float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")
"""Types of numbers that torch and NumPy have, under the same names."""
_names: dict[Any, str] = {}
"""{torch's type: its name}."""


def _numpy_has(torch: Any) -> dict[Any, str]:
    if not _names:
        _names.update({getattr(torch, name): name for name in SHARED})
    return _names


def is_plain_tensor(tensor: Any) -> bool:
    """Return True when NumPy can have an array over the same memory, all of it."""
    try:
        return (
            tensor.is_cpu
            and tensor.dtype in _numpy_has(sys.modules["torch"])
            and tensor.is_contiguous()
        )
    except RuntimeError:  # compressed and nested layouts have no such
        return False


def _array_of(tensor: Any) -> Any:
    """Return a NumPy array over the same memory.

    Every step that torch does lets another thread in, so there are as few as possible.
    """
    return tensor.detach().numpy() if tensor.requires_grad else tensor.numpy()


def rebuild_tensor(
    dtype_name: str, shape: tuple[int, ...], buffer: Any, parameter: bool | None
) -> Any:
    """Rebuild a reduced tensor, over the memory of `buffer` where that is writable."""
    import torch

    if parameter is None and dtype_name in SHARED and 0 not in shape:
        return torch.from_numpy(np.ndarray(shape, dtype_name, _writable(buffer)))
    dtype = getattr(torch, dtype_name)
    if 0 in shape:
        tensor = torch.empty(shape, dtype=dtype)
    else:
        tensor = torch.frombuffer(_writable(buffer), dtype=dtype).reshape(shape)
    return tensor if parameter is None else torch.nn.Parameter(tensor, requires_grad=parameter)


def tensor_reducers() -> dict[type, Any]:
    """Return the reducers of torch's types, once somebody has imported torch."""
    torch: Any = sys.modules.get("torch")
    # torch.nn is missing while another thread is still importing torch
    nn = getattr(torch, "nn", None)
    if nn is None or not hasattr(nn, "Parameter") or not hasattr(torch, "Tensor"):
        return {}
    return {torch.Tensor: reduce_tensor, nn.Parameter: reduce_tensor}


def _writable(buffer: Any) -> Any:
    """Return writable memory of `buffer`: itself, the memory below it, or a copy.

    Pickle marks arrays as read-only that were so at the sender.
    """
    if isinstance(buffer, bytearray):
        return buffer
    view = memoryview(buffer)
    if not view.readonly:
        return view
    if view.obj is not None and not isinstance(view.obj, bytes):
        under = memoryview(view.obj)
        if not under.readonly and under.nbytes == view.nbytes:
            return under
    return bytearray(view)
