"""Files that users have kept: what earlier versions have written is read."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from roleml_nb import Recording, Testbed
from roleml_nb.library import EpochTrainer, ModelMaintainer, RingAggregator, RingCoordinator
from roleml_nb.library.federated.oort import ObservedUtility

DATA = Path(__file__).with_name("data")
VERSIONS = sorted(folder.name for folder in DATA.iterdir() if folder.is_dir())
"""Commits, each with the files that `make_files.py` has made with it."""
MESSAGES = {"420837d": 50, "ae556b8": 46, "4167c67": 46}
"""In the recordings: since the latter, a coordinator asks clients for the sizes of data once."""
LIMIT = 60


@pytest.fixture(params=VERSIONS)
def folder(request):
    return DATA / request.param


def accuracies(trace):
    return trace.metrics.to_pandas().query("metric == 'accuracy'").value.tolist()


def test_a_spec_begins_the_same_deployment(folder):
    with Testbed.from_spec(folder / "deployment.yml", timeout=LIMIT) as bed:
        assert bed.seed == 3 and [node.name for node in bed.status().nodes] == [
            "client1",
            "client2",
            "server",
        ]
        assert bed.call("server/coordinator", "run", {"num_rounds": 2})["rounds"] == 2


def test_a_recording_is_opened(folder):
    recording = Recording.open(folder / "run.parquet")
    assert len(recording.messages.to_pandas()) == MESSAGES[folder.name]
    assert len(accuracies(recording)) == 8


def test_an_exported_program_runs(folder, tmp_path):
    done = subprocess.run(
        [sys.executable, folder / "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0 and done.stdout.startswith("{'rounds': 2, 'accuracy': 0."), done


@pytest.mark.parametrize("engines", [0, 2])
def test_a_checkpoint_goes_on(folder, engines):
    with Testbed.from_checkpoint(folder / "run.checkpoint", engines=engines, timeout=LIMIT) as bed:
        before = accuracies(bed.trace)
        assert bed.call("server/coordinator", "run", {"num_rounds": 1})["rounds"] == 1
        steps = bed.trace.metrics.to_pandas().query("metric == 'accuracy'").step
        assert before == [] and set(steps) == {3}  # the third round, after the two that were kept


@pytest.mark.filterwarnings("ignore:roleml_nb:DeprecationWarning")
@pytest.mark.parametrize(
    "former, present",
    [
        ("library.ring RingCoordinator", RingCoordinator),
        ("library.ring RingAggregator", RingAggregator),
        ("library.trainer ModelMaintainer", ModelMaintainer),
        ("library.trainer EpochTrainer", EpochTrainer),
        ("library.oort Known", ObservedUtility),
    ],
)
def test_classes_that_have_moved_out_of_their_module_are_found(former, present):
    module, name = former.split()
    assert pickle.loads(f"croleml_nb.{module}\n{name}\n.".encode()) is present
