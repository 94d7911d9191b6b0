"""The benchmarks run, at a small size: every row is there. What they measure is not judged here."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"


@pytest.mark.parametrize(
    "program, options, rows",
    [
        ("messages.py", ["--calls", "20", "--no-peers"], 10),
        ("memory.py", ["--rounds", "6", "--megabytes", "0.1"], 4),
        ("trace_memory.py", ["--messages", "200000", "--megabytes", "2", "--starts", "1"], 5),
    ],
)
def test_a_benchmark_prints_its_table(program, options, rows):
    run = subprocess.run(
        [sys.executable, str(BENCHMARKS / program), *options],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert run.returncode == 0, run.stderr
    table = [line for line in run.stdout.splitlines() if re.fullmatch(r"\|.*\| (yes|no) \|", line)]
    assert len(table) >= rows


@pytest.mark.parametrize(
    "program, options, text",
    [
        ("fedavg_round.py", ["--engines", "0", "--rounds", "2"], "× the bare loop"),
        (
            "gossip.py",
            ["--nodes", "4", "--degree", "2", "--rounds", "2", "--engines", "0"],
            "× gossipy",
        ),
        (
            "memory_of_models.py",
            [
                "--megabytes",
                "1",
                "--clients",
                "2",
                "--rounds",
                "1",
                "--engines",
                "1",
                "--idle",
                "2",
            ],
            "| 2 idle nodes |",
        ),
        (
            "edit_and_see.py",
            ["--nodes", "4", "--engines", "0", "--times", "1"],
            "| %rml stop --run ends busy handlers",
        ),
        ("version_check.py", ["--modules", "5", "--times", "5"], "| nothing has changed | 0."),
        ("node_lost.py", ["--kills", "1"], "| on another engine |"),
        ("stop_run.py", ["--busy", "5", "--pauses", "0.3", "--times", "1"], "| relay | 0.3 s |"),
        ("strangers.py", ["--connections", "400"], "| tcp | 200 |"),
        ("chaos.py", ["--architectures", "FedAvg", "--chaos", "none", "stop"], "0 faults"),
        ("observed.py", ["--minutes", "0.1"], "| 2 engines, relay | 0.03 |"),
        (
            "compare.py",
            [str(ROOT), str(ROOT), "--pairs", "6", "--engines", "0", "--rows", "spec"],
            "median of all rows: ",
        ),
        ("mnist1d_accuracy.py", ["--steps", "40"], "CNN, 25 channels"),
    ],
)
def test_a_benchmark_of_learning_says_what_it_measured(program, options, text):
    run = subprocess.run(
        [sys.executable, str(BENCHMARKS / program), *options],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert text in run.stdout, run.stdout + run.stderr
