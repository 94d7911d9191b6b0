"""Files that were damaged: each is read, or refused by an error of ours that names it, and nothing
has changed then.
"""

import copy
import json
import random
import shutil
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roleml_nb import Recording, RoleMLError, Testbed
from roleml_nb.host.process import Process
from roleml_nb.testbed.cluster.runtime_files import RuntimeFile, read_all
from roleml_nb.testbed.operations.checkpoint_file import describe_checkpoint
from roleml_nb.testbed.operations.reattach import _written
from roleml_nb.workload.cifar_10 import load_array_from_files, unpickle
from roleml_nb.workload.idx import read_idx
from tests.fuzz.effort import effort, within
from tests.spec.examples import Keeper

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([1e400, 10**30, -1, "", "a", "x" * 1000, "\x00", "../x", "/"])
    | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "nodes", "b"]), inner, max_size=3)
    ),
    max_leaves=5,
)
harm = st.tuples(
    st.sampled_from(["flip", "cut", "zero", "insert", "empty"]),
    st.floats(0, 1),
    st.integers(0, 255),
)


def damage(content: bytes, kind: str, where: float, how: int) -> bytes:
    at = int(where * max(0, len(content) - 1))
    if kind == "flip" and content:
        return content[:at] + bytes([content[at] ^ (1 << how % 8)]) + content[at + 1 :]
    if kind == "zero":
        return content[:at] + bytes(how) + content[at + how :]
    if kind == "insert":
        return content[:at] + random.Random(how).randbytes(how % 9 + 1) + content[at:]
    return content[:at] if kind == "cut" else b""


def places(data, path=()):
    yield path
    for key, item in (
        data.items()
        if isinstance(data, dict)
        else enumerate(data)
        if isinstance(data, list)
        else ()
    ):
        yield from places(item, (*path, key))


def replaced(data, path, value, remove):
    data = copy.deepcopy(data)
    if not path:
        return value
    inner = data
    for step in path[:-1]:
        inner = inner[step]
    if remove:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return data


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A recording and a checkpoint of the same testbed."""
    folder = tmp_path_factory.mktemp("written")
    with Testbed(engines=0, seed=3) as bed:
        bed.spawn("a", "b")
        bed.assign("*", "keeper", Keeper, options={"start": 4})
        bed.relate("a", "keeper", "b/keeper")
        bed.call("*/keeper", "get")
        bed.record(folder / "recording")
        bed.save(folder / "checkpoint")
    return folder


@pytest.fixture
def files(written, tmp_path):
    """A copy, and what puts it there anew."""

    def anew():
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(written, tmp_path / "copy")
        return tmp_path / "copy"

    return anew


def use(recording):
    """What is done with a recording."""
    repr(recording)
    for table in recording.tables().values():
        table.to_pandas()
    recording.messages.totals()
    str(recording.logs.all())


def read_recording(path):
    with within(60, path):
        try:
            use(Recording.open(path))
        except RoleMLError as error:
            assert str(path) in str(error)
            return False
    return True


@effort(60)
@given(
    name=st.sampled_from(
        [
            "recording.json",
            "messages.parquet",
            "metrics.parquet",
            "logs.parquet",
            "contributions.parquet",
        ]
    ),
    harm=harm,
)
def test_a_recording_with_damaged_bytes(files, name, harm):
    file = files() / "recording" / name
    file.write_bytes(damage(file.read_bytes(), *harm))
    read_recording(file.parent)


@effort(50)
@given(draw=st.data())
def test_a_recording_whose_json_says_something_else(files, draw):
    file = files() / "recording" / "recording.json"
    about = json.loads(file.read_text())
    about["packages"] = {}  # many, and alike
    file.write_text(
        json.dumps(
            replaced(
                about,
                draw.draw(st.sampled_from(list(places(about)))),
                draw.draw(anything),
                draw.draw(st.booleans()),
            )
        )
    )
    read_recording(file.parent)


@pytest.mark.parametrize("name", ["recording.json", "messages.parquet", "metrics.parquet"])
def test_a_recording_without_one_of_its_files(files, name):
    file = files() / "recording" / name
    file.unlink()
    assert not read_recording(file.parent)
    file.mkdir()
    assert not read_recording(file.parent)


def test_a_recording_that_lacks_a_key_says_which(files):
    file = files() / "recording" / "recording.json"
    about = json.loads(file.read_text())
    for key, text in (
        ("start", "has no 'start', which is a time"),
        ("spec", "has no 'spec', which is a spec"),
        ("rows", "has no 'rows', which is numbers by name"),
    ):
        file.write_text(json.dumps({name: item for name, item in about.items() if name != key}))
        with pytest.raises(RoleMLError) as caught:
            Recording.open(file.parent)
        assert str(caught.value) == f"{file.parent} is damaged: recording.json {text}"
    for key, value, text in (
        ("seed", "3", "'seed' in recording.json must be a whole number, not '3'"),
        ("rows", {"messages": -1}, "'rows' in recording.json must be"),
        ("start", float("nan"), "'start' in recording.json must be a time, not nan"),
    ):
        file.write_text(json.dumps({**about, key: value}))
        with pytest.raises(RoleMLError) as caught:
            Recording.open(file.parent)
        assert text in str(caught.value)


def restore(file, bed):
    before = bed.spec()
    with within(120, file):
        try:
            describe_checkpoint(file)
            bed.restore(file)
        except RoleMLError as error:
            assert str(file) in str(error)
            assert {
                node: known for node, known in bed.spec()["nodes"].items() if known["roles"]
            } == before["nodes"]
            return False
    assert bed.call("a/keeper", "get")["start"] == 4
    return True


@effort(25)
@given(harm=harm)
def test_a_checkpoint_with_damaged_bytes(files, harm):
    file = files() / "checkpoint"
    file.write_bytes(damage(file.read_bytes(), *harm))
    with Testbed(engines=0, seed=3) as bed:
        restore(file, bed)


def rewrite(file, change):
    """Write a checkpoint anew, with members that `change` gives; its check sums are right."""
    with zipfile.ZipFile(file) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(file, "w") as new:
        for name, content in change(members).items():
            new.writestr(name, content)


@effort(25)
@given(draw=st.data())
def test_a_checkpoint_that_says_something_else(files, draw):
    file = files() / "checkpoint"

    def change(members):
        about = json.loads(members["checkpoint.json"])
        said = replaced(
            about,
            draw.draw(st.sampled_from(list(places(about)))),
            draw.draw(anything),
            draw.draw(st.booleans()),
        )
        return {**members, "checkpoint.json": json.dumps(said)}

    rewrite(file, change)
    with Testbed(engines=0, seed=3) as bed:
        restore(file, bed)


@pytest.mark.parametrize("name", ["testbed", "0", "1"])
def test_a_checkpoint_whose_parts_are_something_else(files, name):
    import pickle

    for content in (
        b"",
        b"\x80\x05]",
        pickle.dumps(3, 5),
        pickle.dumps([], 5),
        pickle.dumps([b"x"], 5),
        pickle.dumps([pickle.dumps({"places": 3})], 5),
    ):
        file = files() / "checkpoint"
        rewrite(file, lambda members, content=content: {**members, name: content})
        with Testbed(engines=0, seed=3) as bed:
            assert not restore(file, bed)
    file = files() / "checkpoint"
    rewrite(file, lambda members: {key: item for key, item in members.items() if key != name})
    with (
        Testbed(engines=0, seed=3) as bed,
        pytest.raises(RoleMLError, match=f"checkpoint is damaged: it has no {name}$"),
    ):
        bed.restore(file)


@effort(80)
@given(draw=st.data())
def test_records_of_testbeds(tmp_path, monkeypatch, draw):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    record = RuntimeFile("m", Process.here(), str(tmp_path / "rml-m"), 1.0, 2)
    record.write()
    content = json.loads(record.path.read_text())
    said = replaced(
        content,
        draw.draw(st.sampled_from(list(places(content)))),
        draw.draw(anything),
        draw.draw(st.booleans()),
    )
    record.path.write_text(json.dumps(said))
    for found in read_all():
        assert (
            found.path == record.path
            and found.directory not in ("/", str(tmp_path))
            and isinstance(found.owner.ended, bool)
        )
    record.path.write_bytes(damage(json.dumps(content).encode(), *draw.draw(harm)))
    read_all()


@effort(80)
@given(draw=st.data())
def test_rosters_of_detached_testbeds(tmp_path, draw):
    content = {
        "places": {"a": "engine0"},
        "roles": {"a": {"r": {"class": "x.Y", "options": {}, "elements": {}, "turn": 1}}},
        "relationships": {},
        "links": {},
        "contexts": {"a": {"seed": 1}},
        "positions": {"a": [1, 2]},
        "drawn": {"by": "engine", "roles": ["r"], "places": {"a": [1, 2]}, "loose": []},
    }
    said = replaced(
        content,
        draw.draw(st.sampled_from(list(places(content)))),
        draw.draw(anything),
        draw.draw(st.booleans()),
    )
    (tmp_path / "registry.json").write_text(json.dumps(said))
    kept = _written(tmp_path / "registry.json")
    assert all(
        isinstance(one["turn"], int) for roles in kept["roles"].values() for one in roles.values()
    )
    assert all(len(at) == 2 for at in kept["positions"].values())


def idx(array):
    return (
        struct.pack(">BBBB", 0, 0, 8, array.ndim)
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


@effort(80)
@given(harm=harm, kind=st.sampled_from(["idx", "idx.gz", "npy", "batch"]))
def test_files_of_data_sets(tmp_path, harm, kind):
    import gzip
    import io
    import pickle

    array = np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072)
    buffer = io.BytesIO()
    np.save(buffer, array)
    content = {
        "idx": idx(array),
        "idx.gz": gzip.compress(idx(array)),
        "npy": buffer.getvalue(),
        "batch": pickle.dumps({b"data": array, b"labels": [1, 2]}, 2),
    }[kind]
    file = tmp_path / f"data.{kind}"
    file.write_bytes(damage(content, *harm))
    reader = {"idx": read_idx, "idx.gz": read_idx, "npy": load_array_from_files, "batch": unpickle}[
        kind
    ]
    with within(30, (kind, harm)):
        try:
            reader(file)
        except (ValueError, OSError) as error:
            assert "data." in str(error)
