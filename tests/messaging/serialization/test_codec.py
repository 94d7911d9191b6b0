"""The codec: what arrives equals what was sent, is writable, and is shared with nobody; code from
cells travels by value.
"""

import dataclasses
import enum
import inspect
import linecache
import pickle
import subprocess
import sys
import threading
import types
from importlib.abc import MetaPathFinder
from importlib.machinery import SourceFileLoader
from importlib.util import spec_from_file_location

import cloudpickle
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from roleml_nb.messaging.serialization.code import (
    class_reference,
    dumps_code,
    is_dynamic,
    loads_code,
    resolve_class,
)
from roleml_nb.messaging.serialization.codec import OUT_OF_BAND_BYTES, Body, encode
from roleml_nb.role.errors import RoleMLError
from tests.waiting import until

CELL = """
import dataclasses, enum
class Colour(enum.Enum):
    RED = 1
class Base:
    count = 0
    def who(self):
        return type(self).__name__, helper()
class Child(Base):
    def peer(self):
        return Base()
    def fail(self):
        raise ValueError("here")
@dataclasses.dataclass
class Point:
    x: int
    colour: Colour = Colour.RED
def helper():
    return 42
"""


@pytest.fixture
def cell(request):
    """The names of a cell: its module is ``__main__``, its lines are in linecache only."""
    filename = f"<cell of {request.node.name}>"
    linecache.cache[filename] = (len(CELL), None, CELL.splitlines(True), filename)
    names = {"__name__": "__main__"}
    exec(compile(CELL, filename, "exec"), names)
    yield names
    linecache.cache.pop(filename, None)


def again(value):
    return encode(value).decode()


IN_A_NEW_PROCESS = """
import sys, pickle, linecache, traceback
from roleml_nb.messaging.serialization.codec import Body, encode
first, second = pickle.load(sys.stdin.buffer)
a = Body.of_frames(first).decode()
type(a["child"]).count = 5
b = Body.of_frames(second).decode()
linecache.checkcache()
try:
    b["child"].fail()
except ValueError:
    text = traceback.format_exc()
same = type(a["child"]) is type(b["child"]) and type(a["child"].peer()) is type(b["base"])
back = encode({"same": same, "enum": a["point"].colour is b["point"].colour,
    "count": type(b["child"]).count, "who": b["child"].who(),
    "function": b["function"](), "text": text, "point": b["point"]})
pickle.dump([bytes(f) for f in back.frames()], sys.stdout.buffer)
"""


def test_code_in_another_process(cell):
    value = {
        "child": cell["Child"](),
        "base": cell["Base"](),
        "point": cell["Point"](3),
        "function": cell["helper"],
    }
    sent = pickle.dumps([encode(value).frames(), encode(value).frames()])
    done = subprocess.run(
        [sys.executable, "-c", IN_A_NEW_PROCESS],
        input=sent,
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    got = Body.of_frames(pickle.loads(done.stdout)).decode()
    text = got.pop("text")
    assert 'raise ValueError("here")' in text
    point = got.pop("point")
    assert point == cell["Point"](3)
    assert type(point) is cell["Point"]
    assert point.colour is cell["Colour"].RED
    assert got == {"same": True, "enum": True, "count": 5, "who": ("Child", 42), "function": 42}


def test_known_class_is_not_reset(cell):
    child, base = cell["Child"], cell["Base"]
    body = encode([child(), child])
    base.count = child.count = 7
    instance, cls = body.decode()
    assert cls is child
    assert type(instance) is child
    assert (base.count, child.count) == (7, 7)
    assert loads_code(dumps_code(child)) is child
    assert (base.count, child.count) == (7, 7)


def test_class_reference(cell):
    identity, blob = class_reference(cell["Base"])
    assert class_reference(cell["Base"])[1] is blob
    assert resolve_class(identity, b"not looked at") is cell["Base"]


def test_class_that_failed_to_load_is_built_the_next_time():
    sent = pickle.dumps(
        class_reference(type("Late", (), {"__module__": "__main__", "f": lambda self: 0, "ok": 1}))
    )
    code = (
        "import sys, pickle\nfrom roleml_nb.messaging import code\nidentity, blob ="
        " pickle.load(sys.stdin.buffer)\nset_state = code._cloudpickle._class_setstate\ndef"
        " fail(*a): raise ImportError('once')\ncode._cloudpickle._class_setstate = fail\ntry:"
        " code.resolve_class(identity, blob)\nexcept ImportError:"
        " pass\ncode._cloudpickle._class_setstate = set_state\nprint(code.resolve_class(identity,"
        " blob).ok)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=sent, stdout=subprocess.PIPE, check=True, timeout=60
    )
    assert done.stdout == b"1\n"


def test_code_keeps_its_file_name_whatever_cloudpickle_does(cell, monkeypatch):
    """As 3.1.3 does, which is allowed; nested code and code that is sent on keep theirs, too."""
    reduce_code = cloudpickle.Pickler.dispatch_table[types.CodeType]

    def forgetful(code):
        return reduce_code(code.replace(co_filename="<dynamic-code>"))

    monkeypatch.setitem(cloudpickle.Pickler._dispatch_table, types.CodeType, forgetful)
    filename = cell["helper"].__code__.co_filename
    exec(
        compile("def outer():\n    inner = lambda: 1 / 0\n    return inner", filename, "exec"), cell
    )
    sent_on = loads_code(dumps_code(loads_code(dumps_code(cell["outer"]))))
    assert sent_on is not cell["outer"]
    assert sent_on.__code__.co_filename == filename
    assert sent_on().__code__.co_filename == filename
    assert loads_code(dumps_code(sent_on.__code__)).co_filename == filename


class Importable:
    pass


def test_private_parts_of_cloudpickle_are_as_expected():
    private = cloudpickle.cloudpickle
    cls = type("C", (), {"__module__": "__main__"})
    identity = private._get_or_create_tracker_id(cls)
    assert private._DYNAMIC_CLASS_TRACKER_BY_ID[identity] is cls
    assert private._DYNAMIC_CLASS_TRACKER_BY_CLASS[cls] == identity
    for kind in (cls, enum.Enum("E", "A", module="__main__")):
        make, arguments, _, _, _, set_state = private._dynamic_class_reduce(kind)
        assert arguments[-2] == private._get_or_create_tracker_id(kind)
        assert set_state is private._class_setstate
    assert private._should_pickle_by_reference(dict)
    assert private._BUILTIN_TYPE_NAMES
    assert private.Pickler._dispatch_table


def test_is_dynamic(cell):
    assert is_dynamic(cell["Base"])
    assert is_dynamic(cell["helper"])
    assert is_dynamic(lambda: 0)
    for static in (
        dict,
        np.ndarray,
        type(None),
        type(lambda: 0),
        Importable,
        inspect.getsource,
        3,
        cell["Base"](),
    ):
        assert not is_dynamic(static)


def test_functions(cell):
    factor = 3
    assert again(lambda x: x * factor)(2) == 6
    assert again(cell["Base"]().who)() == ("Base", 42)
    assert again(np.sum) is np.sum
    assert again([type(None), type(lambda: 0), int]) == [type(None), type(lambda: 0), int]
    assert again(sys) is sys
    assert inspect.getsource(again(cell["helper"])) == "def helper():\n    return 42\n"


def test_local_dataclass():
    @dataclasses.dataclass
    class Local:
        values: np.ndarray
        name: str = "n"

    got = again(Local(np.arange(3)))
    assert type(got) is Local
    assert got.name == "n"
    assert got.values.tolist() == [0, 1, 2]


LARGE = np.arange(OUT_OF_BAND_BYTES, dtype=np.float32)
READONLY, SMALL_READONLY = LARGE.copy(), np.arange(3)
READONLY.setflags(write=False)
SMALL_READONLY.setflags(write=False)
ARRAYS = {
    "small": np.arange(6).reshape(2, 3),
    "large": LARGE,
    "strided": LARGE.reshape(128, 128)[::2, ::-1],
    "fortran": np.asfortranarray(LARGE.reshape(128, 128)),
    "scalar": np.array(3.5),
    "empty": np.zeros((0, 4), np.int16),
    "readonly": READONLY,
    "small readonly": SMALL_READONLY,
    "object": np.array([1, "a", None], object),
    "structured": np.zeros(3000, [("x", "f8"), ("y", "S3")]),
    "times": np.array(["2026-01-01", "2026-01-02"], "M8[D]"),
    "text": np.array(["ab", "cde"]),
    "nothing": np.zeros(3, "V0"),
    "half": np.ones(5, np.float16),
    "big endian": np.arange(5, dtype=">i4"),
    "bool": np.array([True, False]),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("way", ["plain", "snapshot", "own", "frames"])
def test_arrays(name, way):
    array = ARRAYS[name]
    body = encode({"a": array})
    if way == "frames":
        body = Body.of_frames([bytes(frame) for frame in body.frames()])
    elif way != "plain":
        body = body.snapshot()
    got = body.decode(own=way == "own")["a"]
    assert got.dtype == array.dtype
    assert got.shape == array.shape
    np.testing.assert_array_equal(got, array)
    assert got.flags.writeable
    assert not np.shares_memory(got, array)


def test_no_aliasing():
    array = LARGE.copy()
    body = encode(array)
    assert len(body.buffers) == 1
    assert body.nbytes == len(body.pickled) + array.nbytes
    kept = body.snapshot()
    array[:] = -1
    first, second = kept.decode(), kept.decode()
    first[:] = -2
    last = kept.decode(own=True)
    second[:] = -3
    np.testing.assert_array_equal(last, LARGE)
    with pytest.raises(RoleMLError, match="already taken by its last receiver"):
        kept.decode()


def test_own_without_owning_copies():
    array = LARGE.copy()
    assert not np.shares_memory(encode(array).decode(own=True), array)


def test_shared_arrays_stay_shared_within_a_message():
    array = LARGE.copy()
    body = encode({"a": array, "b": [array, (array,)]})
    assert len(body.buffers) == 1
    got = body.decode()
    assert got["a"] is got["b"][0] is got["b"][1][0]


def test_unsendable():
    with pytest.raises(TypeError, match="cannot pickle"):
        encode({"lock": __import__("threading").Lock()})


import torch  # noqa: E402

DTYPES = (
    "float32 float64 float16 bfloat16 int8 uint8 int16 int32 int64 bool complex64 float8_e4m3fn"
).split()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (200, 100)])
def test_tensors(dtype, shape):
    tensor = torch.ones(shape).to(getattr(torch, dtype))
    body = encode([tensor, tensor.mT if len(shape) == 2 else tensor])
    got, turned = body.snapshot().decode(own=True)
    assert got.dtype == tensor.dtype
    assert torch.equal(got.to(torch.complex128), tensor.to(torch.complex128))
    assert turned.shape == (tensor.mT.shape if len(shape) == 2 else shape)
    got.zero_()
    assert torch.equal(tensor.to(torch.complex128), torch.ones(shape, dtype=torch.complex128))


def test_tensor_kinds():
    weights = torch.randn(100, 100, requires_grad=True)
    with pytest.warns(RuntimeWarning, match="requires a gradient is sent without"):
        got, parameter, frozen, conjugate, sparse, view = again(
            [
                weights,
                torch.nn.Parameter(weights.detach()),
                torch.nn.Parameter(weights.detach(), requires_grad=False),
                torch.tensor([1 + 2j]).conj(),
                torch.eye(3).to_sparse(),
                weights.detach()[::2, 1:50],
            ]
        )
    assert type(got) is torch.Tensor
    assert not got.requires_grad
    assert torch.equal(got, weights)
    assert type(parameter) is torch.nn.Parameter
    assert parameter.requires_grad
    assert not frozen.requires_grad
    assert conjugate.tolist() == [1 - 2j]
    assert torch.equal(sparse.to_dense(), torch.eye(3))
    assert torch.equal(view, weights[::2, 1:50])


def test_module_trains_after_the_journey():
    model = again(torch.nn.Sequential(torch.nn.Linear(100, 100), torch.nn.BatchNorm1d(100)))
    model(torch.randn(8, 100)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert list(again(model.state_dict())) == list(model.state_dict())


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.complex_numbers(allow_nan=False),
)
arrays = hnp.arrays(
    st.sampled_from(["f4", "i8", "?", "u1"]),
    hnp.array_shapes(min_dims=0, min_side=0),
    elements={"allow_nan": False},
)
keys = st.one_of(st.text(), st.integers(), st.tuples(st.integers(), st.text()))
values = st.recursive(
    leaves | arrays | st.frozensets(st.integers()),
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner, inner),
    max_leaves=15,
)


def same(a, b):
    if isinstance(a, np.ndarray):
        return (
            type(b) is np.ndarray
            and a.dtype == b.dtype
            and a.shape == b.shape
            and bool(np.all(a == b))
        )
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


@settings(max_examples=150, deadline=None)
@given(values)
def test_round_trip(value):
    assert same(again(value), value)
    assert same(encode(value).snapshot().decode(own=True), value)


def test_threads_that_import_a_package_and_its_module_both_decode(tmp_path, monkeypatch):
    """Python breaks the deadlock of two such threads by an error in one of them."""
    package = tmp_path / "import_parent"
    package.mkdir()
    (package / "__init__.py").write_text("from import_parent.child import C")
    (package / "child.py").write_text("class C: pass")
    monkeypatch.syspath_prepend(str(tmp_path))
    second, found = threading.Thread(target=lambda: decode("import_parent.child")), []

    def decode(module):
        found.append(Body(f"c{module}\nC\n.".encode(), []).decode())

    def waits_for_an_import():
        names, frame = [], sys._current_frames().get(second.ident)
        while frame is not None:
            names.append(frame.f_code.co_name)
            frame = frame.f_back
        return names[:1] == ["acquire"] and names.count("_find_and_load") == 2

    class Loading(SourceFileLoader):
        """Makes the package when the second thread has begun with its module."""

        def create_module(self, spec):
            if second.ident is None:
                second.start()
                until(waits_for_an_import, "it holds the lock of the module")

    class Finder(MetaPathFinder):
        def find_spec(self, name, path, target=None):
            if name == "import_parent":
                file = str(package / "__init__.py")
                return spec_from_file_location(name, file, loader=Loading(name, file))

    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    decode("import_parent")
    second.join(30)
    assert [cls.__name__ for cls in found] == ["C", "C"] and found[0] is found[1]
    del sys.modules["import_parent"], sys.modules["import_parent.child"]
