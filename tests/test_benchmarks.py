"""The benchmarks of messages run, at a small size: every row is there. What they measure is not judged here."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize("program, options, rows", [
    ("messages.py", ["--calls", "20", "--no-peers"], 10),
    ("memory.py", ["--rounds", "6", "--megabytes", "0.1"], 4),
])
def test_a_benchmark_prints_its_table(program, options, rows):
    run = subprocess.run([sys.executable, str(BENCHMARKS / program), *options], capture_output=True, text=True, timeout=110)
    assert run.returncode == 0, run.stderr
    table = [line for line in run.stdout.splitlines() if re.fullmatch(r"\|.*\| (yes|no) \|", line)]
    assert len(table) >= rows
