"""Values drawn as recipes, so that each receiver builds, compares and changes one of its own."""

import threading
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

__all__ = ["RECIPES", "SENDABLE", "Point", "build", "change", "fingerprint"]


class Colour(Enum):
    RED = 1


class Tagged(np.ndarray):
    """A subclass of arrays."""


@dataclass
class Point:
    x: Any
    y: Any


Pair = namedtuple("Pair", "first second")

TORCH_DTYPES = ["float32", "float64", "bfloat16", "int64", "bool", "complex64", "uint8"]
NUMPY_DTYPES = [
    "float64",
    "float32",
    ">f8",
    ">i2",
    "int8",
    "bool",
    "complex128",
    "U3",
    "S2",
    "O",
    "M8[s]",
    "m8[ms]",
    "float16",
    [("a", "<i4"), ("b", ">f8")],
]
SHAPES = [(), (0,), (3,), (2, 3), (1, 0, 2), (2, 1, 2), (30_000,)]
ODD = {
    "cycle": lambda: _cycle(),
    "range": lambda: range(3),
    "class": lambda: Point,
    "enum": lambda: Colour.RED,
    "lambda": lambda: lambda: 1,
    "decimal": lambda: Decimal("sNaN"),
    "pair": lambda: Pair(1, [2]),
    "time": lambda: datetime(2020, 1, 1, tzinfo=UTC),
    "counter": lambda: Counter("aab"),
    "ordered": lambda: OrderedDict(b=1, a=2),
    "default": lambda: defaultdict(list, a=[1]),
    "deque": lambda: deque([1, 2], 3),
    "scalar": lambda: np.float32(1.5),
    "big-endian scalar": lambda: np.dtype(">i4").type(3),
    "masked": lambda: np.ma.masked_array([1, 2], [True, False]),
    "tagged": lambda: np.arange(3).view(Tagged),
    "slice": lambda: slice(1, None),
    "ellipsis": lambda: ...,
    "not implemented": lambda: NotImplemented,
    "dtype": lambda: np.dtype(">f4"),
    "torch dtype": lambda: torch.float16,
    "size": lambda: torch.Size([2, 3]),
    "error": lambda: KeyError("a", 1),
    "bytearray": lambda: bytearray(b"ab"),
    "function": lambda: build,
    "parameter": lambda: torch.nn.Parameter(torch.ones(2)),
    "batch norm": lambda: torch.nn.BatchNorm1d(2),
    "type": lambda: int,
    "module": lambda: np,
    "built-in": lambda: len,
}
UNSENDABLE = {
    "generator": lambda: (i for i in range(3)),
    "lock": lambda: threading.Lock(),
    "thread": lambda: threading.Thread(),
    "memoryview": lambda: memoryview(b"ab"),
    "local class": lambda: _local(),
    "computed": lambda: torch.ones(2, requires_grad=True) * 2,
    "sparse": lambda: torch.eye(2).to_sparse(),
    "meta": lambda: torch.empty(2, device="meta"),
    "iterator": lambda: iter([1]),
    "quantized": lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
    "file": lambda: open("/dev/null"),
}


def _cycle() -> list:
    inner: list = [1]
    inner.append(inner)
    return inner


def _local() -> Any:
    class Local:
        __slots__ = ("lock",)

    made = Local()
    made.lock = threading.Lock()
    return made


TEXTS = (
    st.text(max_size=4)
    | st.text(st.characters(), max_size=3)
    | st.sampled_from(["\ud800", "\0", "é", "x" * 70_000])
)
PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    TEXTS,
    st.binary(max_size=4),
    st.sampled_from([10**400, -(2**63), 2**64, float("nan"), float("inf"), -0.0, b"\0" * 70_000]),
).map(lambda value: ("plain", value))
ARRAYS = st.tuples(
    st.just("array"),
    st.sampled_from(range(len(NUMPY_DTYPES))),
    st.sampled_from(SHAPES),
    st.sampled_from(["C", "F", "strided", "reversed", "read-only", "broadcast"]),
)
TENSORS = st.tuples(
    st.just("tensor"),
    st.sampled_from(TORCH_DTYPES),
    st.sampled_from(SHAPES),
    st.sampled_from(["C", "transposed", "strided", "expanded"]),
)
ODDITIES = st.tuples(st.just("odd"), st.sampled_from(sorted(ODD)))
LEAVES = PLAIN | ARRAYS | TENSORS | ODDITIES


def _nested(inner: st.SearchStrategy) -> st.SearchStrategy:
    several = st.lists(inner, max_size=3).map(tuple)
    keys = st.one_of(
        st.integers(), TEXTS, st.none(), st.binary(max_size=2), st.tuples(st.integers())
    )
    return st.one_of(
        st.tuples(st.sampled_from(["list", "tuple"]), several),
        st.tuples(
            st.just("dict"),
            st.dictionaries(keys, inner, max_size=3).map(lambda made: tuple(made.items())),
        ),
        st.tuples(
            st.sampled_from(["set", "frozenset"]),
            st.frozensets(keys, max_size=3).map(lambda s: tuple(sorted(s, key=repr))),
        ),
        st.tuples(st.just("point"), inner, inner),
        st.tuples(st.just("twice"), inner),
        st.tuples(st.just("views"), ARRAYS),
    )


SENDABLE = st.recursive(LEAVES, _nested, max_leaves=5)
RECIPES = st.recursive(
    LEAVES | st.tuples(st.just("unsendable"), st.sampled_from(sorted(UNSENDABLE))),
    _nested,
    max_leaves=5,
)


def _array(dtype: Any, shape: tuple[int, ...], layout: str) -> np.ndarray:
    dtype, size = np.dtype(dtype), int(np.prod(shape))
    if dtype.kind in "US":
        made = np.array([str(i % 10) for i in range(size)], dtype).reshape(shape)
    elif dtype.names:
        made = np.zeros(shape, dtype)
    else:
        made = (
            (np.arange(size) % 100)
            .astype("i8" if dtype.kind in "Mm" else dtype)
            .astype(dtype)
            .reshape(shape)
        )
    if layout == "F":
        made = np.asfortranarray(made)
    elif layout == "strided" and shape:
        made = np.concatenate([made, made], axis=-1)[..., ::2]
    elif layout == "reversed" and shape:
        made = made[::-1]
    elif layout == "broadcast":
        made = np.broadcast_to(made, (2, *shape))
    elif layout == "read-only":
        made.flags.writeable = False
    return made


def _tensor(dtype: str, shape: tuple[int, ...], layout: str) -> torch.Tensor:
    made = (torch.arange(int(np.prod(shape))) % 100).reshape(shape).to(getattr(torch, dtype))
    if layout == "transposed" and len(shape) > 1:
        made = made.transpose(0, 1)
    elif layout == "strided" and shape:
        made = torch.cat([made, made], -1)[..., ::2]
    elif layout == "expanded":
        made = made.expand(2, *shape)
    return made


def build(recipe: tuple) -> Any:
    """Return a new value of a recipe."""
    kind, *rest = recipe
    if kind == "plain":
        return rest[0]
    if kind in ("list", "tuple"):
        return {"list": list, "tuple": tuple}[kind](build(item) for item in rest[0])
    if kind == "dict":
        return {key: build(item) for key, item in rest[0]}
    if kind in ("set", "frozenset"):
        return {"set": set, "frozenset": frozenset}[kind](rest[0])
    if kind == "point":
        return Point(build(rest[0]), build(rest[1]))
    if kind == "twice":
        made = build(rest[0])
        return [made, made]
    if kind == "views":
        made = build(rest[0])
        return [made, made[...], made.T]
    if kind == "array":
        return _array(NUMPY_DTYPES[rest[0]], *rest[1:])
    if kind == "tensor":
        return _tensor(*rest)
    return (ODD if kind == "odd" else UNSENDABLE)[rest[0]]()


def fingerprint(value: Any, seen: dict[int, int] | None = None) -> Any:
    """Return what tells two values apart: types, numbers bit for bit, layouts, and which parts are
    one object.
    """
    seen = {} if seen is None else seen
    name = type(value).__qualname__
    if isinstance(
        value, (str, bytes, int, float, complex, type(None), Decimal, Enum, datetime, range, slice)
    ) or (isinstance(value, np.generic)):
        text = ascii(value)
        return name, text if len(text) < 200 else (len(text), text[:50])
    if id(value) in seen:
        return "the same as", seen[id(value)]
    if not isinstance(value, (tuple, frozenset)):
        seen[id(value)] = len(seen)
    if isinstance(value, np.ma.MaskedArray):
        return name, value.dtype.str, ascii(value.tolist())
    if isinstance(value, np.ndarray):
        content = ascii(value.tolist()) if value.dtype.hasobject else value.tobytes().hex()
        flags = value.flags.c_contiguous, value.flags.f_contiguous, value.flags.writeable
        return name, ascii(value.dtype.descr), value.shape, flags, content[:300]
    if isinstance(value, torch.Tensor) and (
        value.is_meta or value.is_quantized or value.layout != torch.strided
    ):
        return name, ascii(value)  # has no list of its numbers
    if isinstance(value, torch.Tensor):
        return (
            name,
            str(value.dtype),
            tuple(value.shape),
            value.requires_grad,
            ascii(value.detach().tolist())[:300],
        )
    if isinstance(value, torch.nn.Module):
        return name, [(key, fingerprint(item, seen)) for key, item in value.state_dict().items()]
    if isinstance(value, dict):
        return name, [
            (fingerprint(key, seen), fingerprint(item, seen)) for key, item in value.items()
        ]
    if isinstance(value, (set, frozenset)):
        return name, sorted(ascii(item) for item in value)
    if isinstance(value, (list, tuple, deque)):
        return name, [fingerprint(item, seen) for item in value]
    if isinstance(value, bytearray):
        return name, value.hex()
    if is_dataclass(value) and not isinstance(value, type):
        return name, [fingerprint(getattr(value, field.name), seen) for field in fields(value)]
    if isinstance(value, BaseException):
        return name, fingerprint(value.args, seen)
    if callable(value):
        return name, getattr(value, "__qualname__", "")
    return name, ascii(value) if type(value).__repr__ is not object.__repr__ else ""


def change(value: Any, depth: int = 0) -> Any:
    """Change all of a value that can be changed, in place; return what could not be, and why."""
    refused: list[Any] = []
    if depth > 8:
        return refused
    try:
        if isinstance(value, np.ndarray):
            if value.dtype.kind not in "OUSV":
                value[...] = 0
        elif isinstance(value, torch.Tensor):
            with torch.no_grad():
                value.zero_()
        elif isinstance(value, (list, deque)):
            refused += [change(item, depth + 1) for item in list(value) if item is not value]
            value.append("changed")
        elif isinstance(value, tuple):
            refused += [change(item, depth + 1) for item in value]
        elif isinstance(value, dict):
            refused += [change(item, depth + 1) for item in value.values()]
            value["changed"] = 1
        elif isinstance(value, set):
            value.add("changed")
        elif isinstance(value, bytearray):
            value += b"changed"
        elif isinstance(value, Point):
            refused += [change(value.x, depth + 1), change(value.y, depth + 1)]
            value.x = "changed"
    except Exception as error:
        refused.append(f"{type(error).__name__}: {str(error)[:60]}")
    return [item for item in refused if item]
