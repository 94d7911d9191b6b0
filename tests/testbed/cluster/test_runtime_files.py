"""What earlier kernels leave behind is found by its mark, and ended; nothing else is."""

import json
import os
import platform
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from roleml_nb import RoleMLError
from roleml_nb.host import process
from roleml_nb.host.process import Process, _read_state
from roleml_nb.testbed.cluster.runtime_files import (
    RuntimeFile,
    clean,
    folder,
    left_behind,
    read_all,
)
from roleml_nb.testbed.cluster.watchdog import ENV_VAR, still_alive
from tests.shells import run
from tests.waiting import until


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Starts processes that carry a mark, and ends them in the end."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    started = []

    def start(mark):
        process = subprocess.Popen(
            [sys.executable, "-c", "print(flush=True); import time; time.sleep(300)"],
            stdout=subprocess.PIPE,
            env={**os.environ, ENV_VAR: mark},
        )
        started.append(process)
        process.stdout.readline()
        return process

    yield start
    for child in started:
        child.kill()
        child.communicate()


@pytest.fixture
def ended():
    """A process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    born = Process(Process.here().machine, process.pid, "1")
    process.wait()
    return born


@pytest.fixture
def stepped(monkeypatch):
    """Moves the system clock, as far as psutil reads it: Linux moves the time of the start of the
    machine with it.
    """
    from psutil import _pslinux

    before = _pslinux.boot_time

    def step(seconds):
        monkeypatch.setattr(_pslinux, "boot_time", lambda: before() + seconds)

    return step


def record(tmp_path, mark, owner, **more):
    made = RuntimeFile(mark, owner, str(tmp_path / mark), time.time(), 2, **more)
    os.mkdir(made.directory)
    made.write()
    return made


def test_only_what_an_ended_kernel_left_behind_is_ended(start, ended, tmp_path):
    mine, left, kept, other = start("mine"), start("left"), start("kept"), start("stranger")
    record(tmp_path, "mine", Process.here())
    record(tmp_path, "left", ended)
    record(tmp_path, "kept", ended, detached=True, attach_info={"numbers": {}})
    assert [
        (found.testbed_id, [each.pid for each in processes])
        for found, processes in left_behind().items()
    ] == [("left", [left.pid])]
    assert clean() == [
        f"ended process {left.pid} ("
        + f"{sys.executable} -c print(flush=True); import time; time.sleep(300)"[:40]
        + ") of testbed left"
    ]
    until(lambda: left.poll() is not None, "its end")
    assert [mine.poll(), kept.poll(), other.poll()] == [None, None, None]
    assert [found.testbed_id for found in read_all()] == ["mine", "kept"] and not (
        tmp_path / "left"
    ).exists()
    assert len(clean(detached=True)) == 1 and clean() == []
    until(lambda: kept.poll() is not None, "its end")
    assert mine.poll() is None


def test_a_file_of_the_format_before_is_read(ended, tmp_path):
    made = record(tmp_path, "former", ended, detached=True, attach_info={"numbers": {}})
    content = json.loads(made.path.read_text())
    del content["testbed_id"]
    content |= {"mark": "former", "form": 2, "way_back": content.pop("attach_info")}
    del content["format"]
    made.path.write_text(json.dumps(content))
    (found,) = (each for each in read_all() if each.testbed_id == "former")
    assert (found.format, found.attach_info) == (2, {"numbers": {}})
    found.delete()
    assert not made.path.exists()


@pytest.mark.parametrize("seconds", [-3600.0, -1.0, 1.0, 5.0, 86400.0])
def test_a_step_of_the_clock_ends_no_testbed_whose_kernel_lives(start, stepped, seconds, tmp_path):
    kernel, engine = start("no testbed"), start("mine")
    born = _read_state(kernel.pid).born
    record(tmp_path, "mine", Process(Process.here().machine, kernel.pid, born))
    before = psutil.Process(kernel.pid).create_time()
    stepped(seconds)
    # what the system says has moved
    assert psutil.Process(kernel.pid).create_time() == before + seconds
    assert not Process.here().ended and not read_all()[0].owner.ended
    assert left_behind() == {} and clean() == [] and engine.poll() is None
    kernel.kill()
    kernel.wait()
    assert read_all()[0].owner.ended
    assert [line.split(" (")[0] for line in clean()] == [f"ended process {engine.pid}"]


def fake(proc, pid, name, ticks, state="S"):
    """What /proc says of a process."""
    (proc / str(pid)).mkdir(parents=True, exist_ok=True)
    fields = [state, *(["0"] * 18), str(ticks), "0"]
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")


class ProcOfThisThread:
    """A /proc for the test alone: the threads that watch other tests' engines see the real one."""

    def __init__(self, place):
        self.place, self.thread = place, threading.get_ident()

    def __truediv__(self, part):
        place = self.place if threading.get_ident() == self.thread else Path("/proc")
        return place / part


@pytest.mark.parametrize("name", ["python", "a b", "a) Z (b", "(((", "1 2 3 4 5"])
def test_a_process_is_known_by_the_ticks_since_the_start_of_the_machine(
    name, tmp_path, monkeypatch
):
    monkeypatch.setattr(process, "PROC", ProcOfThisThread(tmp_path))
    fake(tmp_path, "self", "python", 1)
    mine = Process(Process.here().machine, 17, "4711")
    assert mine.ended
    fake(tmp_path, 17, name, 4711)
    assert not mine.ended
    fake(tmp_path, 17, name, 4712)
    assert mine.ended  # the number was given to another one since
    fake(tmp_path, 17, name, 4711, state="Z")
    assert mine.ended
    assert not mine._replace(machine="another").ended and Process.nobody().ended


def test_this_process_and_one_that_is_a_zombie(start):
    assert not Process.here().ended and int(Process.here().born) > 0
    other = start("other")
    it = Process(Process.here().machine, other.pid, _read_state(other.pid).born)
    assert not it.ended
    other.kill()
    until(lambda: psutil.Process(other.pid).status() == psutil.STATUS_ZOMBIE, "its end")
    assert it.ended


def test_where_there_is_no_proc_ps_says_when_a_process_began(start, tmp_path, monkeypatch):
    other = start("other")
    monkeypatch.setattr(process, "PROC", ProcOfThisThread(tmp_path))
    here = Process.here()
    # Mon Nov 30 13:28:01 2026
    assert here.born == _read_state(os.getpid()).born and len(here.born.split()) == 5
    it = here._replace(pid=other.pid, born=_read_state(other.pid).born)
    assert not here.ended and not it.ended and it._replace(born="Mon Nov 30 13:28:01 1970").ended
    other.kill()
    other.wait()
    assert it.ended


def test_records_of_earlier_versions_are_read_and_their_testbeds_cannot_be_attached_to(
    start, tmp_path
):
    """They name the kernel by machine, boot and a time of the system clock, which proves
    nothing.
    """
    from roleml_nb.testbed.operations.reattach import select_detached

    kernel, engine = start("no testbed"), start("old")
    made = record(tmp_path, "old", Process.here(), detached=True, attach_info={"numbers": {}})
    content = json.loads(made.path.read_text())
    del content["format"]

    def written(pid, born, **more):
        machine = f"{platform.node()}/{Process.here().machine}"
        made.path.write_text(json.dumps({**content, "owner": [machine, pid, born], **more}))

    written(kernel.pid, 12345.25)
    assert (
        read_all()[0].owner == Process(Process.here().machine, kernel.pid, "")
        and not read_all()[0].owner.ended
    )
    with pytest.raises(RoleMLError, match=f"testbed old is in use by process {kernel.pid}"):
        select_detached("old")
    written(kernel.pid, 12345.25, detached=False)
    assert left_behind() == {} and clean() == []
    written(0, 0.0)  # it was left by `detach`
    with pytest.raises(
        RoleMLError,
        match=(
            "testbed old was started by another version of roleml_nb, which this one does not "
            "understand; %rml clean --detached ends it"
        ),
    ):
        select_detached("old")
    kernel.kill()
    kernel.wait()
    written(kernel.pid, 12345.25, detached=False)
    assert [found.testbed_id for found in left_behind()] == ["old"]
    assert [line.split(" (")[0] for line in clean()] == [
        f"ended process {engine.pid}"
    ] and read_all() == []


def test_the_files_are_the_users_own_and_strange_ones_are_left(start, tmp_path):
    made = record(tmp_path, "mine", Process.here())
    assert (
        stat.S_IMODE(folder().stat().st_mode) == 0o700
        and stat.S_IMODE(made.path.stat().st_mode) == 0o600
    )
    (folder() / "strange.json").write_text("[]")
    assert [found.testbed_id for found in read_all()] == ["mine"]


def test_a_testbed_is_recorded_while_it_runs(bed):
    if not bed.engines:
        assert bed.fleet.testbed_id not in [found.testbed_id for found in read_all()]
        return
    written = bed.fleet.engines.runtime_file.path
    assert written.name == f"{bed.fleet.testbed_id}.json" and written.is_file()


def test_the_magic(start, ended, tmp_path, shell, capsys):
    assert run(shell, capsys, "clean") == "nothing was left behind\n"
    left = start("left")
    record(tmp_path, "left", ended)
    assert run(shell, capsys, "clean").startswith(f"ended process {left.pid} (")


def test_what_has_ended_is_not_waited_for_though_its_parent_has_not_asked():
    ended, works = (
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
        for code in ("", "input()")
    )
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
