"""From values to frames and back.

A received value is the receiver's own: writable, and shared with nobody.
"""

from __future__ import annotations

import io
import pickle
import threading
import time
import types
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from roleml_nb.role.errors import ModuleError, RoleMLError, SerializationError
from roleml_nb.role.parameters import Parameters

from .arrays import rebuild_array, rebuild_tensor, reduce_array, tensor_reducers
from .code import (
    REDUCERS,
    builtin_reference,
    class_reference,
    collect_own_modules,
    dumps_code,
    is_dynamic,
    loads_code,
    reduce_module,
    reduce_own,
    resolve_class,
)
from .copies import Copying, Unusual
from .shared_memory import MIN_SHARED_BYTES, MIN_SHARED_BYTES_ACROSS, Region
from .unsendable import MESSAGE, explain

__all__ = ["MESSAGE", "Body", "copy_of", "encode", "own_modules_of"]

OUT_OF_BAND_BYTES = 16 * 1024
"""Buffers of at least so many bytes travel as frames of their own."""
IMPORT_ATTEMPTS = 100
"""Times that a value is decoded again which could not be for the sake of another thread's imports.
"""
IMPORT_INTERVAL_S = 0.02
"""Seconds between two of them."""

_reducers: dict[type, Any] = {**REDUCERS, np.ndarray: reduce_array, types.ModuleType: reduce_module}
# pickle's own way looks the method up on the object, and needs no code sent
del _reducers[types.MethodType]
_torch_known = False
_COMMON = {rebuild_array, rebuild_tensor, OrderedDict, Parameters}
"""Functions and classes of every model, which are sent by their names without a check."""


class Body:
    """An encoded value: a pickle, and the large buffers beside it (which are the sender's until
    `snapshot`).
    """

    __slots__ = ("buffers", "fan_out", "owned", "pickled", "credit", "region")

    def __init__(
        self,
        pickled: Any,
        buffers: list[Any] | None = None,
        owned: bool = False,
        credit: Any = None,
    ):
        self.pickled = pickled
        self.buffers: list[Any] = buffers or []
        self.owned = owned
        """True when the buffers are writable and nobody else's: the last receiver may have them
        without a copy.
        """
        self.credit = credit
        """Dropped when a handler takes the value: then the sender may send more."""
        self.fan_out: FanOut | None = None
        self.region: Region | None = None
        """The shared memory of the buffers, if there is any."""

    @property
    def nbytes(self) -> int:
        return len(self.pickled) + sum(memoryview(buffer).nbytes for buffer in self.buffers)

    def frames(self) -> list[Any]:
        """Return the pickle, then each buffer."""
        return [self.pickled, *self.buffers]

    @classmethod
    def of_frames(cls, frames: Sequence[Any], *, owned: bool = False) -> Body:
        """Return the body that was sent as these frames; `owned` if they came from a socket and
        nobody else has them.
        """
        return cls(frames[0], list(frames[1:]), owned)

    def snapshot(self, receivers: int = 1, shared: bool = False) -> Body:
        """Return a body that does not change when the sender writes to its arrays: a copy, unless
        it is owned already.

        With several `receivers` in this process, or some in another one with which memory is
        `shared`, the copy is the one that these will share.
        """
        if self.owned or not self.buffers:
            return self
        region = (
            _region(self.buffers, MIN_SHARED_BYTES if receivers > 1 else MIN_SHARED_BYTES_ACROSS)
            if receivers > 1 or shared
            else None
        )
        body = Body(
            self.pickled,
            [_copy(buffer) for buffer in self.buffers] if region is None else region.map(),
            True,
        )
        body.region = region
        return body

    def here(self, credit: Any, kept: bool) -> Body:
        """Return the body for receivers in this process; `kept` if it is on its way to
        others, too.
        """
        body = Body(self.pickled, self.buffers, self.owned and not kept, credit)
        body.region = self.region
        return body

    def shares(self, receivers: int) -> list[Body]:
        """Return one body for each of several receivers.

        Large buffers are not copied until a receiver writes to them.
        """
        fan_out = FanOut(self.buffers, self.owned, receivers, self.region) if self.buffers else None
        if receivers == 1:
            self.fan_out = fan_out
            return [self]
        bodies = []
        for _ in range(receivers):
            body = Body(self.pickled, self.buffers, False, self.credit)
            body.fan_out = fan_out
            bodies.append(body)
        return bodies

    def decode(self, *, own: bool = False) -> Any:
        """Decode the value, with arrays that are writable and alias nothing of the sender's or
        another receiver's.

        With ``own=True`` the last receiver of an owned body takes its buffers; the body cannot be
        decoded after that. SerializationError when this process cannot build it.
        """
        if self.buffers is None:
            raise RoleMLError(
                "this message body was already taken by its last receiver (decode(own=True));"
                " encode anew"
            )
        self.credit = None
        if not self.buffers:
            return _loads(self.pickled)
        if self.fan_out is not None:
            buffers = self.fan_out.buffers_for_next()
            self.fan_out = self.buffers = None  # type: ignore[assignment]
        elif own and self.owned:
            buffers, self.buffers = self.buffers, None  # type: ignore[assignment]
        else:
            buffers = [_copy(buffer) for buffer in self.buffers]
        return _loads(self.pickled, buffers)


class FanOut:
    """The buffers of one message on their way to several receivers of one process."""

    def __init__(
        self, buffers: list[Any], owned: bool, receivers: int, region: Region | None = None
    ):
        self._buffers, self._owned, self._left, self._region = buffers, owned, receivers, region
        self._lock = threading.Lock()

    def buffers_for_next(self) -> list[Any]:
        """Return the buffers for one more receiver: writable, and its own."""
        with self._lock:
            self._left -= 1
            if self._left == 0 and self._owned and self._buffers:
                return self._buffers
            if self._region is None and self._left:
                self._region = _region(self._buffers)
            if self._region is not None:
                self._buffers = []  # a buffer that is shared already need not be there twice
                return self._region.map()
            return [_copy(buffer) for buffer in self._buffers]


def _loads(pickled: Any, buffers: list[Any] | None = None, attempts: int = IMPORT_ATTEMPTS) -> Any:
    try:
        return pickle.loads(pickled, buffers=buffers)
    except (MemoryError, ModuleError):
        raise
    except Exception as error:  # whatever the building of somebody's objects raises
        if type(error).__name__ == "_DeadlockError" and attempts:
            # threads import modules that import each other: the one that Python has refused waits
            time.sleep(IMPORT_INTERVAL_S)
            return _loads(pickled, buffers, attempts - 1)
        raise SerializationError(
            f"what was sent cannot be read here: {type(error).__name__}: {error}; its classes must"
            " be there where it arrives, in modules that can be imported, or be defined in the"
            " notebook"
        ) from error


def _region(buffers: list[Any], worth: int = MIN_SHARED_BYTES) -> Region | None:
    """Return a region of these buffers, where they are large enough and the system has
    such memory.
    """
    if sum(memoryview(buffer).nbytes for buffer in buffers) < worth:
        return None
    try:
        return Region(buffers)
    except (OSError, AttributeError):
        return None


def _copy(buffer: Any) -> Any:
    """Copy the bytes. NumPy does so without holding the interpreter's lock."""
    flat = np.frombuffer(buffer, np.uint8)
    return memoryview(flat.copy()) if flat.nbytes else bytearray()  # type: ignore[arg-type]


def encode(value: Any, name: str = "it") -> Body:
    """Encode `value`: arrays and tensors by their buffers, definitions of a notebook by value, the
    rest as pickle does.

    Raises
    ------
    SerializationError
        Something in `value`, which is called `name`, cannot be sent; the text says which entry, and
        why.
    """
    if _is_plain(value):
        return Body(pickle.dumps(value, 5))
    try:
        return _encode(value)
    except MemoryError:
        raise
    except Exception as error:  # whatever the pickling of somebody's objects raises
        raise SerializationError(explain(value, name, error, _encode)) from error


def _encode(value: Any) -> Body:
    if not _torch_known:
        _register_torch()
    file = io.BytesIO()
    buffers: list[memoryview] = []

    def in_band(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < OUT_OF_BAND_BYTES:
            return True
        buffers.append(raw)
        return False

    _Pickler(file, 5, buffer_callback=in_band).dump(value)
    return Body(file.getvalue(), buffers)


def own_modules_of(value: Any) -> frozenset[str]:
    """Return the names of the user's own modules that `value` uses, in its classes and functions
    and in its content.
    """
    with collect_own_modules() as names:
        _encode(value)
    return frozenset(names)


def copy_of(value: Any, name: str = "it") -> tuple[Any, int]:
    """Return the value that a receiver would get of `value`, and the bytes that would be sent."""
    if _is_plain(value):
        copy = (dict(value[0]), dict(value[1])) if type(value) is tuple else value
        return copy, len(pickle.dumps(value, 5))
    copying = Copying()
    try:
        copy = copying.copy(value)
    except Unusual:
        body = encode(value, name)
        size = body.nbytes
        return body.snapshot().decode(own=True), size
    layout = tuple(copying.layout)
    beside = _beside.get(layout)
    if beside is None:
        if len(_beside) >= MAX_LAYOUTS:
            _beside.clear()
        beside = _beside[layout] = encode(value).nbytes - copying.nbytes
    return copy, copying.nbytes + beside


_beside: dict[tuple[Any, ...], int] = {}
"""Bytes that values take besides their arrays, by layout."""
MAX_LAYOUTS = 1024
"""Layouts that are remembered at once."""


_PLAIN = {type(None), bool, int, float, str}
_TEXTS = {str}


def _is_plain(value: Any) -> bool:
    """Return True when plain pickle suffices: for a number or a text, or a message of these.

    Looks no deeper, so that it costs little.
    """
    kind = type(value)
    if kind is tuple and len(value) == 2:
        return all(
            type(part) is dict
            and _PLAIN.issuperset(map(type, part.values()))
            and _TEXTS.issuperset(map(type, part))
            for part in value[::-1]
        )  # the large part is more likely to be something else
    return kind in _PLAIN


def _register_torch() -> None:
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
        if kind in (types.FunctionType, type) and obj in _COMMON:
            return NotImplemented
        if kind is types.FunctionType:
            own = reduce_own(obj)
            if own is not None:
                return own
            return (loads_code, (dumps_code(obj),)) if is_dynamic(obj) else NotImplemented
        if issubclass(kind, type):
            own = reduce_own(obj)
            if own is not None:
                return own
            if is_dynamic(obj):
                return resolve_class, class_reference(obj)
            return builtin_reference(obj) or NotImplemented
        return NotImplemented
