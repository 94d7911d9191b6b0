"""One notebook, run by papermill with other parameters, side by side in one pool of processes."""

import base64
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import nbformat
import papermill
import pytest

from roleml_nb.testbed.cluster.runtime_files import folder, read_all
from tests.habits.runners import write

CELLS = [
    "clients, architecture, seed = 2, 'federated', 0",
    "%load_ext roleml_nb\n%rml start --engines 2 --seed {seed}",
    "from roleml_nb.workload import digits, digits_test, mlp",
    "%rml spawn client{1..clients}\n"
    "%rml assign client* trainer=EpochTrainer --element model=mlp(64, 10) "
    "--element dataset=digits(part=i, parts=n) --element dataset_test=digits_test()",
    "if architecture == 'federated':\n"
    "    %rml spawn server\n"
    "    %rml assign server aggregator=FedAvgAggregator coordinator=FederatedCoordinator\n"
    "    %rml assign server evaluator=EpochTrainer --element model=mlp(64, 10) "
    "--element dataset=digits() --element dataset_test=digits_test()\n"
    "    %rml relate server trainer=client*/trainer\n"
    "else:\n"
    "    %rml spawn server\n"
    "    %rml assign client* mixer=DPsgdMixer\n"
    "    %rml assign server coordinator=DecentralisedCoordinator\n"
    "    %rml wire ring client*/mixer\n"
    "    %rml relate server mixer=client*/mixer",
    "%rml board",
    "%rml call server/coordinator run num_rounds=3",
    "accuracy = bed.trace.metrics.to_pandas().query(\"metric == 'accuracy'\").value.iloc[-1]\n"
    "print(architecture, clients, seed, f'{accuracy:.6f}')",
    "bed.trace.metrics.plot('accuracy')",
    "%rml stop",
]
LIMIT = 240


class Parameters(NamedTuple):
    clients: int
    architecture: str
    seed: int


RUNS = [
    Parameters(2, "federated", 0),
    Parameters(3, "federated", 0),
    Parameters(3, "federated", 1),
    Parameters(3, "decentralised", 0),
    Parameters(3, "federated", 0),
]


def execute(source: Path, target: Path, parameters: Parameters) -> Path:
    papermill.execute_notebook(
        source, target, parameters._asdict(), progress_bar=False, execution_timeout=LIMIT
    )
    return target


def _write_records_below(place: Path) -> None:
    """Have this process and its kernels find their records there, not with those of other tests."""
    os.environ["JUPYTER_RUNTIME_DIR"] = str(place)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("papermill")


@pytest.fixture(scope="module")
def notebooks(place):
    source = write(place / "study.ipynb", CELLS, cell0="parameters")
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(3, spawn, _write_records_below, (place / "runtime",)) as pool:
        targets = [place / f"run{number}.ipynb" for number in range(len(RUNS))]
        done = pool.map(execute, [source] * len(RUNS), targets, RUNS, timeout=LIMIT)
        return [nbformat.read(target, as_version=4) for target in done]


def printed(notebook):
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    text = "".join(output.text for output in outputs if output.output_type == "stream")
    (line,) = [line for line in text.splitlines() if line.startswith(("federated ", "decentral"))]
    return line.rpartition(" ")


def test_each_has_its_own_parameters_and_numbers(notebooks):
    found = [printed(notebook) for notebook in notebooks]
    said = [f"{run.architecture} {run.clients} {run.seed}" for run in RUNS]
    assert [before for before, _, _ in found] == said
    numbers = [number for _, _, number in found]
    assert numbers[1] == numbers[4]  # the same parameters
    assert len(set(numbers)) == 4


def test_each_shows_its_pictures_without_a_kernel(notebooks):
    for notebook in notebooks:
        for source in ("%rml board", "bed.trace.metrics.plot('accuracy')"):
            (cell,) = [cell for cell in notebook.cells if cell.source == source]
            data = [output.get("data", {}) for output in cell.outputs]
            pictures = [each["image/png"] for each in data if "image/png" in each]
            assert len(pictures) == 1
            assert base64.b64decode(pictures[0]).startswith(b"\x89PNG")
    boards = {
        cell.outputs[0].data["text/plain"]
        for notebook in notebooks
        for cell in notebook.cells
        if cell.source == "%rml board"
    }
    assert len(boards) == 3  # two or three clients, and an architecture of two


def test_nothing_is_left_behind(notebooks, place, monkeypatch):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(place / "runtime"))
    assert folder().is_dir()
    assert [record for record in read_all() if Path(record.folder) == folder()] == []
