"""Recordings: what is written is what is read, whole or not at all."""

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from roleml_nb import Event, Recording, Role, RoleMLError, Service, compare
from roleml_nb.trace import Trace
from roleml_nb.trace.recording import write_recording
from tests.shells import run

ABOUT = {
    "spec": {"nodes": {}},
    "seed": 3,
    "seeds": {"a": 5},
    "roles": [],
    "packages": {},
    "environment": {},
}


class Reporter(Role):
    round_completed = Event()

    @Service(expand=True)
    def report(self, caller, accuracy):
        self.round_completed.emit({"accuracy": accuracy})
        return accuracy


@pytest.fixture
def trace():
    trace = Trace(100.0, lambda: None)
    trace.add(
        [
            (1, "service", "a/x", "b/y", "ask", 10, "direct", 101.0, 101.5, "delivered", "m:3"),
            (2, "event", "a/x", "b/y", "said", 5, "none", 102.0, 102.0, "lost: gone", ""),
        ],
        [
            (101.0 + step, "a", "x", "round-completed", "accuracy", 0.1 * step, step)
            for step in (1, 2, 3)
        ],
    )
    return trace


def test_a_run_is_recorded_with_what_it_was_made_with(bed, tmp_path):
    bed.spawn("recording-a", seed=7)
    bed.spawn("recording-b")
    bed.assign("recording-[ab]", "reporter", Reporter)
    for accuracy in (0.25, 0.5, 0.75):
        bed.call("recording-a/reporter", "report", {"accuracy": accuracy})
    bed.record(tmp_path / "run.parquet")
    recording = Recording.open(tmp_path / "run.parquet")

    whole = bed.trace.messages.to_pandas()
    pd.testing.assert_frame_equal(recording.messages.to_pandas(), whole[: len(recording.messages)])
    pd.testing.assert_frame_equal(recording.metrics.to_pandas(), bed.trace.metrics.to_pandas())
    live, kept = (
        bed.trace.run("r", "recording-a").curve(),
        recording.run("r", "recording-a").curve(),
    )
    pd.testing.assert_frame_equal(live, kept)
    assert list(kept["accuracy"]) == [0.25, 0.5, 0.75]
    assert recording.metrics.plot("accuracy", nodes="recording-a").data[0].y.tolist() == [
        0.25,
        0.5,
        0.75,
    ]
    assert recording.spec == json.loads(json.dumps(bed.spec())) and recording.seed == bed.seed
    assert recording.seeds["recording-a"] == 7 and "recording-b" not in recording.seeds
    [role] = [role for role in recording.roles if role["class"].endswith("Reporter")]
    assert role["version"] == 1 and role["instances"] == [
        "recording-a/reporter",
        "recording-b/reporter",
    ]
    assert role["source"].startswith("class Reporter(Role):\n    round_completed = Event()")
    assert recording.packages["numpy"] and recording.environment["engines"] == len(
        bed.fleet.numbers
    )


def test_tables_are_plain_parquet(trace, tmp_path):
    write_recording(tmp_path / "run", trace, ABOUT)
    assert pd.read_parquet(tmp_path / "run" / "metrics.parquet")["step"].tolist() == [1, 2, 3]


def test_runs_of_several_recordings_are_compared_with_their_seeds(trace, tmp_path):
    for seed in (0, 1):
        write_recording(tmp_path / f"run{seed}", trace, {**ABOUT, "seed": seed})
    runs = [Recording.open(tmp_path / f"run{seed}").run("gossip") for seed in (0, 1)]
    assert compare(runs).summary().loc["gossip", "seeds"] == 2


def test_a_trace_without_rows_is_a_recording(tmp_path):
    write_recording(tmp_path / "run", Trace(1.0, lambda: None), ABOUT)
    recording = Recording.open(tmp_path / "run")
    assert len(recording.messages) == len(recording.metrics) == 0
    assert recording.messages.to_pandas().empty and recording.metrics.names() == []
    assert repr(recording).endswith("run: 0 messages, 0 metrics, 0 nodes, seed 3>")


def test_a_recording_is_replaced_whole_and_nothing_is_left_beside_it(trace, tmp_path):
    write_recording(tmp_path / "run", Trace(1.0, lambda: None), ABOUT)
    write_recording(tmp_path / "run", trace, ABOUT)
    assert len(Recording.open(tmp_path / "run").messages) == 2
    with pytest.raises(TypeError):
        # fails at the very end
        write_recording(tmp_path / "run", trace, {**ABOUT, "seed": object()})
    assert len(Recording.open(tmp_path / "run").messages) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_what_is_no_recording_is_refused(trace, tmp_path):
    with pytest.raises(RoleMLError, match=r"run does not exist; record one with bed.record\("):
        Recording.open(tmp_path / "run")
    (tmp_path / "file").write_text("x")
    with pytest.raises(
        RoleMLError, match="file is no recording: it has no recording.json; record one with"
    ):
        Recording.open(tmp_path / "file")
    with pytest.raises(
        RoleMLError,
        match="file exists and is no recording; choose another name, such as file-recording",
    ):
        write_recording(tmp_path / "file", trace, ABOUT)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "recording.json").write_text("[]")
    with pytest.raises(
        RoleMLError, match="folder is no recording: its recording.json is of another program"
    ):
        Recording.open(tmp_path / "folder")
    with pytest.raises(RoleMLError, match="cannot write .*run: No such file or directory"):
        write_recording(tmp_path / "missing" / "run", trace, ABOUT)


def test_a_newer_or_damaged_recording_is_refused(trace, tmp_path):
    write_recording(tmp_path / "run", trace, ABOUT)
    about = tmp_path / "run" / "recording.json"
    content = json.loads(about.read_text())
    about.write_text(json.dumps({**content, "roleml_nb_recording": 3}))
    with pytest.raises(
        RoleMLError, match="is a recording of format 3, and this roleml_nb reads up to 2; install"
    ):
        Recording.open(tmp_path / "run")
    about.write_text(json.dumps({**content, "rows": {"messages": 9, "metrics": 3}}))
    with pytest.raises(RoleMLError, match="is damaged: messages.parquet has 2 rows instead of 9"):
        Recording.open(tmp_path / "run")
    about.write_text(json.dumps(content)[:-9])
    with pytest.raises(RoleMLError, match="is damaged: recording.json cannot be read"):
        Recording.open(tmp_path / "run")
    about.write_text(json.dumps(content))
    shutil.copy(about, tmp_path / "run" / "metrics.parquet")
    with pytest.raises(RoleMLError, match="is damaged: metrics.parquet cannot be read"):
        Recording.open(tmp_path / "run")


def test_a_recording_with_texts_that_are_none_is_refused(trace, tmp_path):
    write_recording(tmp_path / "run", trace, ABOUT)
    path = tmp_path / "run" / "messages.parquet"
    rows = pq.read_table(path)
    lengths, bad = np.arange(len(rows) + 1, dtype=np.int32), pa.py_buffer(b"\xff" * len(rows))
    sources = pa.StringArray.from_buffers(len(rows), pa.py_buffer(lengths), bad)
    pq.write_table(rows.set_column(rows.column_names.index("source"), "source", sources), path)
    with pytest.raises(RoleMLError, match="is damaged: messages.parquet cannot be read"):
        Recording.open(tmp_path / "run")


def test_tables_that_a_recording_does_not_have_yet_are_empty(trace, tmp_path):
    write_recording(tmp_path / "run", trace, ABOUT)
    about = tmp_path / "run" / "recording.json"
    content = json.loads(about.read_text())
    del content["rows"]["metrics"]
    about.write_text(json.dumps(content))
    assert len(Recording.open(tmp_path / "run").metrics) == 0


def test_a_recording_without_lines_is_read(trace, tmp_path):
    write_recording(tmp_path / "run", trace, ABOUT)
    assert list(Recording.open(tmp_path / "run").messages.to_pandas().line) == ["m:3", ""]
    path = tmp_path / "run" / "messages.parquet"
    pd.read_parquet(path).drop(columns="line").to_parquet(path)
    assert list(Recording.open(tmp_path / "run").messages.to_pandas().line) == ["", ""]


def test_the_magic_keeps_the_text_of_each_version_of_a_cell(shell, capsys, tmp_path):
    cell = (
        "from roleml_nb import Role, Service\nclass {0}(Role):\n    def value(self):\n       "
        " return {1}\n"
    )
    run(shell, capsys, "start --engines 0")
    run(shell, capsys, "spawn a")
    shell.run_cell(cell.format("Valued", 1))
    shell.run_cell("class Bare(Valued):\n    extra = 2\n")
    run(shell, capsys, "assign a valued=Valued bare=Bare")
    shell.run_cell(cell.format("Valued", 2))
    run(shell, capsys, "update Valued")
    assert run(shell, capsys, f"record {tmp_path / 'run'}") == f"recorded {tmp_path / 'run'}\n"
    texts = {
        (role["class"], role["version"]): role["source"]
        for role in Recording.open(tmp_path / "run").roles
    }
    assert (
        texts["__main__.Valued", 1]
        == "class Valued(Role):\n    def value(self):\n        return 1\n"
    )
    assert texts["__main__.Valued", 2].endswith("return 2\n")
    assert texts["__main__.Bare", 1] == "class Bare(Valued):\n    extra = 2\n"
