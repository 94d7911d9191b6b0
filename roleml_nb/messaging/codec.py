"""From values to frames and back. What is received is the receiver's own: writable, and shared with nobody."""

from __future__ import annotations

import io
import pickle
import types
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cloudpickle import cloudpickle as _cloudpickle

from ..role.errors import RoleMLError
from .arrays import reduce_array, tensor_reducers
from .code import class_reference, dumps_code, is_dynamic, loads_code, resolve_class

__all__ = ["Body", "encode"]

OUT_OF_BAND = 16 * 1024
"""Buffers of at least so many bytes travel as frames of their own."""

_reducers: dict[type, Any] = {**_cloudpickle.Pickler._dispatch_table, np.ndarray: reduce_array}
del _reducers[types.MethodType]  # pickle's own way looks the method up on the object, and needs no code sent
_torch_known = False


@dataclass(slots=True)
class Body:
    """An encoded value: a pickle, and the large buffers beside it (which are the sender's until they are sent or copied)."""

    pickled: Any
    buffers: list[Any] = field(default_factory=list)
    owned: bool = False
    """Whether the buffers are writable and nobody else's, so that the last receiver may have them without a copy."""

    @property
    def nbytes(self) -> int:
        return len(self.pickled) + sum(len(buffer) for buffer in self.buffers)

    def frames(self) -> list[Any]:
        """What a link sends: the pickle, then each buffer."""
        return [self.pickled, *self.buffers]

    @classmethod
    def of_frames(cls, frames: Sequence[Any], *, owned: bool = False) -> Body:
        """The body that was sent as these frames; `owned` if they came from a socket and nobody else has them."""
        return cls(frames[0], list(frames[1:]), owned)

    def snapshot(self) -> Body:
        """A copy that does not change when the sender goes on writing to its arrays."""
        return Body(self.pickled, [bytearray(buffer) for buffer in self.buffers], True)

    def decode(self, *, own: bool = False) -> Any:
        """The value, with arrays that are writable and alias nothing of the sender's or of another receiver's.

        With ``own=True`` the last receiver of an owned body takes its buffers; the body cannot be decoded after that.
        """
        if self.buffers is None:
            raise RoleMLError("this message body was already taken by its last receiver (decode(own=True)); encode anew")
        if not self.buffers:
            return pickle.loads(self.pickled)
        if own and self.owned:
            buffers, self.buffers = self.buffers, None  # type: ignore[assignment]
        else:
            buffers = [bytearray(buffer) for buffer in self.buffers]
        return pickle.loads(self.pickled, buffers=buffers)


def encode(value: Any) -> Body:
    """Encode `value`: arrays and tensors by their buffers, what was defined in a notebook by value, the rest as pickle does.

    Raises
    ------
    TypeError, pickle.PicklingError, AttributeError
        Something in `value` cannot be sent; what `pickle` says about it.
    """
    if not _torch_known:
        _look_for_torch()
    file = io.BytesIO()
    buffers: list[memoryview] = []

    def in_band(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < OUT_OF_BAND:
            return True
        buffers.append(raw)
        return False

    _Pickler(file, 5, buffer_callback=in_band).dump(value)
    return Body(file.getvalue(), buffers)


def _look_for_torch() -> None:
    global _torch_known
    found = tensor_reducers()
    if found:
        _reducers.update(found)
        _torch_known = True


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        reducer = _reducers.get(kind)
        if reducer is not None:
            return reducer(obj)
        if kind is types.FunctionType:
            return (loads_code, (dumps_code(obj),)) if is_dynamic(obj) else NotImplemented
        if issubclass(kind, type):
            if is_dynamic(obj):
                return resolve_class, class_reference(obj)
            if obj in _cloudpickle._BUILTIN_TYPE_NAMES:
                return _cloudpickle._builtin_type, (_cloudpickle._BUILTIN_TYPE_NAMES[obj],)
        return NotImplemented
