"""What cannot be sent is named: which entry of what, why, and what to send instead.

Tensors of any type and layout travel, or are named.
"""

import functools
import sys
import threading
import types

import numpy as np
import pytest
import torch

from roleml_nb.messaging.serialization.codec import MESSAGE, Body, copy_of, encode
from roleml_nb.role import SerializationError

LOCK = threading.Lock()
KEPT_OUT = "leave it out in __getstate__, and make it anew where it arrives"


class Holder:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)


class Slots:
    __slots__ = ("held",)


def with_slots():
    made = Slots()
    made.held = LOCK
    return made


def numbers():
    yield 1


def closure():
    held = LOCK
    return lambda: held


def nested():
    value = []
    for _ in range(100_000):
        value = [value]
    return value


def in_cell(text, name, **values):
    """What a cell defines."""
    names = {"__name__": "__main__", **values}
    exec(text, names)
    return names[name]


def coroutine():
    async def f():
        pass

    made = f()
    made.close()  # so that nobody warns that it was not awaited
    return made


class Refusing:
    def __reduce__(self):
        raise KeyError("on purpose")


NAMED = {
    "generator": (
        numbers,
        (
            "the result is a generator, which cannot be sent (cannot pickle 'generator' object);"
            " send a list of what it gives"
        ),
    ),
    "entry": (
        lambda: {"a": [1, LOCK]},
        (
            "the result['a'][1] is a _thread.lock, which cannot be sent (cannot pickle"
            f" '_thread.lock' object); {KEPT_OUT}"
        ),
    ),
    "attribute": (
        lambda: [Holder(inner=Holder(lock=LOCK))],
        "the result[0].inner.lock is a _thread.lock",
    ),
    "slot": (with_slots, "the result.held is a _thread.lock"),
    "set": (lambda: {(1, LOCK)}, "the result{…}[1] is a _thread.lock"),
    "key": (lambda: {numbers: 1, (LOCK,): 2}, "the result key (<unlocked _thread.lock object at"),
    "partial": (
        lambda: functools.partial(print, LOCK),
        "the result (its state)[0] is a _thread.lock",
    ),
    "method": (lambda: Holder(lock=LOCK).__init__, "the result.__self__.lock is a _thread.lock"),
    "closure": (closure, "the result (its variable 'held') is a _thread.lock"),
    "global": (
        lambda: in_cell("def f(): return lock", "f", lock=LOCK),
        "the result (its global 'lock') is a _thread.lock",
    ),
    "default": (
        lambda: in_cell("def f(x=lock): return x", "f", lock=LOCK),
        "the result (its default) is a _thread.lock",
    ),
    "class": (
        lambda: in_cell("class C:\n    held = lock", "C", lock=LOCK),
        "the result (its attribute 'held') is a _thread.lock",
    ),
    "coroutine": (
        coroutine,
        (
            "the result is a coroutine, which cannot be sent (cannot pickle 'coroutine' object);"
            " await it"
        ),
    ),
    "frame": (
        lambda: sys._getframe(),
        (
            "the result is a frame, which cannot be sent (cannot pickle 'frame' object); send"
            " numbers, texts, arrays"
        ),
    ),
    "file": (
        lambda: open(__file__, "rb"),
        (
            "the result is a _io.BufferedReader, which cannot be sent (cannot pickle"
            " '_io.BufferedReader' object); send its content"
        ),
    ),
    "thread": (lambda: threading.Thread(), "the result._started._cond._lock is a _thread.lock"),
    "nested": (nested, "the result is a list, which cannot be sent (it is nested too deep)"),
    "refusing": (
        Refusing,
        (
            "the result is a tests.messaging.serialization.test_unsendable.Refusing, which cannot"
            " be sent (KeyError: 'on purpose')"
        ),
    ),
    "array": (lambda: np.array([1, LOCK], object), "the result[1] is a _thread.lock"),
    "tensor": (
        lambda: {"w": torch.eye(4).to_mkldnn()},
        (
            "the result['w'] is a torch.Tensor of torch._mkldnn, torch.float32, cpu, which cannot"
            " be sent (NotImplementedError: Cannot access storage of OpaqueTensorImpl); send"
            " tensor.to_dense()"
        ),
    ),
    "graph": (
        lambda: (torch.ones(3, requires_grad=True) * 2).grad_fn,
        "the result is a MulBackward0, which cannot be sent",
    ),
}


@pytest.mark.parametrize("way", [encode, copy_of], ids=["encode", "copy"])
@pytest.mark.parametrize("name", NAMED)
def test_what_cannot_be_sent_is_named(name, way):
    make, text = NAMED[name]
    with pytest.raises(SerializationError) as caught:
        way(make(), "the result")
    assert str(caught.value).startswith(text), str(caught.value)
    assert isinstance(caught.value.__cause__, Exception)


def test_entries_of_a_message_are_named_as_its_author_does():
    for message, text in [
        (({"x": LOCK}, {}), "argument 'x' is a _thread.lock"),
        (({}, {"model": {"w": LOCK}}), "payload 'model'['w'] is a"),
        (({LOCK: 1}, {}), "args key <unlocked _thread.lock"),
    ]:
        with pytest.raises(SerializationError) as caught:
            encode(message, MESSAGE)
        assert str(caught.value).startswith(text)


def test_what_cannot_be_built_where_it_arrives_is_an_error_of_ours():
    module = types.ModuleType("module_of_the_sender_alone")
    exec("class Thing: pass", module.__dict__)
    sys.modules[module.__name__] = module
    try:
        body = encode(module.Thing())
    finally:
        del sys.modules[module.__name__]
    with pytest.raises(
        SerializationError,
        match=(
            "cannot be read here: ModuleNotFoundError: No module named 'module_of_the_sender_alone'"
        ),
    ):
        Body.of_frames(body.frames()).decode()


# tensors

DTYPES = sorted(
    name
    for name in dir(torch)
    if isinstance(getattr(torch, name), torch.dtype) and "quint" not in name and "qint" not in name
)
LAYOUTS = {
    "coo": lambda: torch.eye(4).to_sparse(),
    "csr": lambda: torch.eye(4).to_sparse_csr(),
    "csc": lambda: torch.eye(4).to_sparse_csc(),
    "bsr": lambda: torch.eye(4).to_sparse_bsr((2, 2)),
    "bsc": lambda: torch.eye(4).to_sparse_bsc((2, 2)),
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "jagged": lambda: torch.nested.nested_tensor(
        [torch.ones(2), torch.ones(3)], layout=torch.jagged
    ),
    "quantized": lambda: torch.quantize_per_tensor(torch.arange(3.0), 0.5, 2, torch.qint8),
    "quantized by channel": lambda: torch.quantize_per_channel(
        torch.ones(3, 2), torch.full((3,), 0.5), torch.zeros(3), 0, torch.quint8
    ),
    "conjugate": lambda: torch.tensor([1 + 2j]).conj(),
    "negative": lambda: torch.tensor([1 + 2j]).conj().imag,
    "expanded": lambda: torch.ones(1).expand(5),
    "transposed": lambda: torch.arange(6.0).reshape(2, 3).t(),
    "meta": lambda: torch.empty(3, device="meta"),
    "inference": lambda: torch.inference_mode()(lambda: torch.ones(3))(),
    "sparse with gradient": lambda: torch.eye(3).to_sparse().requires_grad_(),
}


def dense(tensor):
    if tensor.is_nested:
        return torch.cat([part.reshape(-1) for part in tensor.unbind()])
    return (
        tensor.dequantize()
        if tensor.is_quantized
        else tensor.to_dense()
        if tensor.layout is not torch.strided
        else tensor
    )


@pytest.mark.parametrize(
    "way",
    [lambda value: encode(value).decode(), lambda value: copy_of(value)[0]],
    ids=["encode", "copy"],
)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.filterwarnings(
    "ignore:a tensor that requires a gradient", "ignore::UserWarning", "ignore::DeprecationWarning"
)
def test_tensors_of_any_layout_travel(layout, way):
    sent = LAYOUTS[layout]()
    got = way({"a": sent})["a"]
    assert (type(got), got.dtype, got.layout, got.device, got.is_nested) == (
        torch.Tensor if layout != "jagged" else type(sent),
        sent.dtype,
        sent.layout,
        sent.device,
        sent.is_nested,
    )
    if layout != "meta":
        assert torch.equal(dense(got).detach(), dense(sent).detach())


@pytest.mark.parametrize("shape", [(), (0,), (3, 4)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.filterwarnings("ignore:ComplexHalf")
def test_tensors_of_any_type_travel(dtype, shape):
    sent = torch.empty(shape, dtype=getattr(torch, dtype))
    got = encode({"a": sent}).decode()["a"]
    assert (got.dtype, got.shape) == (sent.dtype, sent.shape)
    if sent.numel():
        raw = [
            bytes(tensor.contiguous().reshape(-1).view(torch.uint8).numpy())
            for tensor in (sent, got)
        ]
        assert raw[0] == raw[1]


@pytest.mark.parametrize("dtype", ["qint8", "qint32", "quint8"])
def test_quantized_tensors_without_quantizer_are_named(dtype):
    with pytest.raises(
        SerializationError,
        match=(
            f"argument 'x' is a torch.Tensor of torch.strided, torch.{dtype}, cpu, which cannot be"
            " sent"
        ),
    ):
        encode(
            ({"x": torch.ones(3, dtype=torch.uint8).new_empty(3, dtype=getattr(torch, dtype))}, {}),
            MESSAGE,
        )
