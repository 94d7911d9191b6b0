"""Two versions side by side: is one slower?

    python benchmarks/compare.py BEFORE AFTER               # two commits
    python benchmarks/compare.py v0.1.0 . --pairs 20        # a commit and the working tree

Each version gets a checkout and a process with a testbed of its own. Every row is measured in both
by turns, one resting while the other works, so that whatever disturbs the machine disturbs both;
the order changes from pair to pair. Prints, for each row, the median of the ratios after/before and
its 95 % interval, by order statistics (scipy.stats.quantile_test), which suit any distribution.
A row is slower when the median is above the limit. `import` is a Python that imports the package.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compare_rows import NAMES
from peers import machine
from scipy.stats import quantile_test

HERE = Path(__file__).resolve().parent
LIMIT = 1.05
START_TIMEOUT_S = 120


class Version:
    """A version of the package at work, in a process of its own."""

    def __init__(self, name: str, folder: Path, engines: int):
        self.name = name
        self.environment = {**os.environ, "PYTHONPATH": str(folder)}
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "compare_rows.py"), str(engines)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
            cwd=folder,
        )
        answer = self._process.stdout.readline()
        if answer.strip() != "ready":
            raise SystemExit(f"{name} does not start: see above")

    def measure(self, row: str) -> float:
        """Return the seconds that a row takes."""
        if row == "import":
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", "import roleml_nb"], env=self.environment, check=True
            )
            return time.perf_counter() - start
        self._process.stdin.write(f"{row}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.name} has failed at {row}: see above")
        return float(answer)

    def end(self) -> None:
        self._process.stdin.close()
        self._process.wait(START_TIMEOUT_S)


def check_out(version: str, folder: Path) -> Path:
    """Return a folder with the package of a commit; the working tree for a folder."""
    if Path(version).is_dir():
        return Path(version).resolve()
    target = folder / version.replace("/", "-")
    target.mkdir()
    archive = subprocess.run(
        ["git", "archive", version, "roleml_nb"], cwd=HERE.parent, capture_output=True, check=True
    )
    subprocess.run(["tar", "-x", "-C", str(target)], input=archive.stdout, check=True)
    return target


def compare(before: Version, after: Version, row: str, pairs: int) -> list[float]:
    """Return the ratios after/before of a row, after one pair to warm up."""
    ratios = []
    for pair in range(pairs + 1):
        order = (before, after) if pair % 2 else (after, before)
        taken = {version.name: version.measure(row) for version in order}
        ratios.append(taken[after.name] / taken[before.name])
    return ratios[1:]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("before")
    options.add_argument("after")
    options.add_argument("--pairs", type=int, default=10)
    options.add_argument("--engines", type=int, default=2)
    options.add_argument("--rows", nargs="+", choices=["import", *NAMES], metavar="ROW")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        before, after = (
            Version(name, check_out(version, Path(folder)), given.engines)
            for name, version in (("before", given.before), ("after", given.after))
        )
        print(f"{given.before} against {given.after}, {given.pairs} pairs; {machine()}\n")
        print("| row | after / before | 95 % interval | at most 1.05 |")
        print("|---|---|---|---|")
        medians = []
        for row in given.rows or ["import", *NAMES]:
            ratios = compare(before, after, row, given.pairs)
            median = statistics.median(ratios)
            medians.append(median)
            interval = quantile_test(ratios, q=1, p=0.5).confidence_interval(0.95)
            print(
                f"| {row.replace('_', ' ')} | {median:.3f} | {interval.low:.3f} to"
                f" {interval.high:.3f} | {'yes' if median <= LIMIT else 'no'} |",
                flush=True,
            )
        print(f"\nmedian of all rows: {statistics.median(medians):.3f}")
        before.end()
        after.end()


if __name__ == "__main__":
    main()
