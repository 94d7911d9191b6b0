"""What earlier kernels leave behind is found by its mark, and ended; nothing else is."""

import os
import stat
import subprocess
import sys
import time

import psutil
import pytest

from roleml_nb.testbed.processes import Process
from roleml_nb.testbed.records import Record, clean, folder, left_behind, records
from roleml_nb.testbed.watchdog import MARK, still_alive
from tests.magics.test_magics import run, shell  # noqa: F401 - a fixture
from tests.waiting import until


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Starts processes that carry a mark, and ends them in the end."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    started = []

    def start(mark):
        process = subprocess.Popen([sys.executable, "-c", "print(flush=True); import time; time.sleep(300)"], stdout=subprocess.PIPE,
                                   env={**os.environ, MARK: mark})
        started.append(process)
        process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def ended():
    """A process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    born = Process(Process.here().machine, process.pid, 1.0)
    process.wait()
    return born


def record(tmp_path, mark, owner, **more):
    made = Record(mark, owner, str(tmp_path / mark), time.time(), 2, **more)
    os.mkdir(made.directory)
    made.write()
    return made


def test_only_what_an_ended_kernel_left_behind_is_ended(start, ended, tmp_path):
    mine, left, kept, other = start("mine"), start("left"), start("kept"), start("stranger")
    record(tmp_path, "mine", Process.here())
    record(tmp_path, "left", ended)
    record(tmp_path, "kept", ended, detached=True)
    assert [(found.mark, [process.pid for process in processes]) for found, processes in left_behind().items()] == [("left", [left.pid])]
    assert clean() == [f"ended process {left.pid} ({sys.executable} -c print(flush=True); import time; time.sleep(300)"[:len(f"ended process {left.pid} (") + 40]
                       + ") of testbed left"]
    until(lambda: left.poll() is not None, "its end")
    assert [mine.poll(), kept.poll(), other.poll()] == [None, None, None]
    assert [found.mark for found in records()] == ["mine", "kept"] and not (tmp_path / "left").exists()
    assert len(clean(detached=True)) == 1 and clean() == []
    until(lambda: kept.poll() is not None, "its end")
    assert mine.poll() is None


def test_the_files_are_the_users_own_and_strange_ones_are_left(start, tmp_path):
    made = record(tmp_path, "mine", Process.here())
    assert stat.S_IMODE(folder().stat().st_mode) == 0o700 and stat.S_IMODE(made.path.stat().st_mode) == 0o600
    (folder() / "strange.json").write_text("[]")
    assert [found.mark for found in records()] == ["mine"]


def test_a_testbed_is_recorded_while_it_runs(bed):
    if not bed.engines:
        assert bed.fleet.mark not in [found.mark for found in records()]
        return
    written = bed.fleet.engines.record.path
    assert written.name == f"{bed.fleet.mark}.json" and written.is_file()


def test_the_magic(start, ended, tmp_path, shell, capsys):  # noqa: F811
    assert run(shell, capsys, "clean") == "nothing was left behind\n"
    left = start("left")
    record(tmp_path, "left", ended)
    assert run(shell, capsys, "clean").startswith(f"ended process {left.pid} (")


def test_what_has_ended_is_not_waited_for_though_its_parent_has_not_asked():
    ended, works = (subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) for code in ("", "input()"))
    processes = [psutil.Process(each.pid) for each in (ended, works)]
    until(lambda: processes[0].status() == psutil.STATUS_ZOMBIE, "end")
    try:
        assert still_alive(processes[:1], 600) == []
        assert still_alive(processes, 0) == processes[1:]
    finally:
        works.kill()
        for each in (ended, works):
            each.communicate()
    assert still_alive(processes, 600) == []
