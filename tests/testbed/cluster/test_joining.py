"""A cluster that was started by hand, whose engines come one by one."""

import os
import platform
import subprocess
import sys
import threading

import ipyparallel as ipp
import pytest

from roleml_nb import RoleMLError, Testbed
from tests.shells import run
from tests.waiting import until


@pytest.fixture
def by_hand(tmp_path, monkeypatch):
    """A controller; a function that starts an engine. As on the page about several machines."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    started = []

    def start(what, *words):
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", f"ipyparallel.{what}", "--profile=lab", *words],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )

    start("controller", "--HeartMonitor.period=250")
    until((tmp_path / "profile_lab/security/ipcontroller-client.json").exists, "the controller", 60)
    yield lambda *words: start("engine", *words)
    for process in reversed(started):
        process.terminate()
        process.wait(20)


def come(count):
    """So many engines have come."""
    with ipp.Client(profile="lab") as client:
        until(lambda: len(client.ids) >= count, "they have come", 60)


def test_it_waits_for_as_many_as_asked_and_says_who_has_come(by_hand, shell, tmp_path, capsys):
    with pytest.raises(
        RoleMLError,
        match=(
            r"the cluster has no engines; start some with 'ipcluster engines', or say how many to "
            r"wait for: Testbed\(engines=4, profile=…\)"
        ),
    ):
        Testbed(profile="lab")
    with pytest.raises(
        RoleMLError,
        match="0 of 2 engines have come to the cluster within 1 s; give the others more time",
    ):
        Testbed(2, profile="lab", start_timeout=1)
    by_hand()
    come(1)
    here = platform.node()
    with pytest.raises(
        RoleMLError,
        match=(
            rf"1 of 2 engines have come to the cluster within 1 s: 0 \(on {here}\); give the others"
            r" more "
            r"time with Testbed\(start_timeout=…\), or look into their logs"
        ),
    ):
        Testbed(2, profile="lab", start_timeout=1)
    with Testbed(profile="lab", preload=()) as bed:
        assert bed.machines == {"engine0": here}
    later = threading.Timer(1.0, by_hand)
    later.start()
    with Testbed(2, profile="lab", preload=(), start_timeout=60) as bed:
        assert bed.machines == {"engine0": here, "engine1": here}
        until(lambda: all(": direct" in line for line in bed.links()), "direct links", 60)
    later.join()
    copied = tmp_path / "copied.json"  # as on another machine
    copied.write_bytes((tmp_path / "profile_lab/security/ipcontroller-engine.json").read_bytes())
    by_hand(f"--file={copied}")
    come(3)
    with Testbed(2, profile="lab", preload=()) as bed:
        assert list(bed.machines) == ["engine0", "engine1"]
    with Testbed(profile="lab", preload=()) as bed:
        assert list(bed.machines) == ["engine0", "engine1", "engine2"]
    assert (
        run(shell, capsys, "start --profile lab --engines 2")
        == f"testbed ready: 2 engines (2 on {here})\n"
    )
    run(shell, capsys, "stop")


def test_what_cannot_be(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    with pytest.raises(
        RoleMLError,
        match=(
            "engines=0 keeps all nodes in this process, where no cluster is joined: leave out one"
        ),
    ):
        Testbed(0, profile="lab")
    os.makedirs(tmp_path / "profile_lab" / "security")
    with pytest.raises(
        RoleMLError, match=r"no ipyparallel cluster found \(profile='lab', cluster_id=None\)"
    ):
        Testbed(2, profile="lab", start_timeout=1)
