"""What it costs before each run to look whether own modules were edited or reloaded.

    python benchmarks/version_check.py [--modules 50] [--times 200]

Makes a folder with so many modules, each of which imports the next, and a role that uses them all;
then measures the look that `Testbed.call` and `Testbed.run` make first, when nothing has changed,
the one after a helper was reloaded, and those while a helper was edited and is not loaded.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from peers import machine

from roleml_nb import Testbed
from roleml_nb.messaging.modules.source_modules import source_modules

BAR_MS = 5.0
ROLE = """
from roleml_nb import Role, Service
import helper0

class Worker(Role):
    @Service(expand=True)
    def ask(self, caller):
        return helper0.f0()
"""


def write(folder: Path, number: int, modules: int, value: str) -> None:
    following = f"import helper{number + 1}\n" if number + 1 < modules else ""
    functions = "".join(f"\ndef f{each}():\n    return {value!r}, {each}\n" for each in range(20))
    (folder / f"helper{number}.py").write_text(following + functions)


def milliseconds(bed: Testbed) -> float:
    began = time.perf_counter()
    bed.code_changes.unreported()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modules", type=int, default=50)
    parser.add_argument("--times", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Testbed(engines=0) as bed:
        folder = Path(name)
        os.chdir(folder)
        sys.path.insert(0, name)
        for number in range(given.modules - 1):
            write(folder, number, given.modules - 1, "first")
        (folder / "roles.py").write_text(ROLE)
        bed.spawn("n{1..8}").assign("worker", importlib.import_module("roles").Worker)
        milliseconds(bed)
        same = [milliseconds(bed) for _ in range(given.times)]
        last, changed = given.modules - 2, []
        for turn in range(5):
            write(folder, last, given.modules - 1, f"changed {'x' * turn}")
            importlib.reload(sys.modules[f"helper{last}"])
            changed.append(milliseconds(bed))
        write(folder, last, given.modules - 1, "not loaded")
        milliseconds(bed)
        edited = [milliseconds(bed) for _ in range(given.times)]
        if len(bed.versions.behind()) != 8 or not source_modules.behind:
            raise RuntimeError("the edit was not seen")
        os.chdir("/")
    print(f"{machine()}; {given.modules} modules, 8 roles\n")
    print("| milliseconds of a look | median | worst | bar | met |\n|---|---|---|---|---|")
    for what, times in {
        "nothing has changed": same,
        "a helper was edited, and not loaded": edited,
        "a helper was reloaded, once for each edit": changed,
    }.items():
        median = statistics.median(times)
        print(
            f"| {what} | {median:.3f} | {max(times):.3f} | ≤ {BAR_MS:g} |"
            f" {'yes' if median <= BAR_MS else 'no'} |"
        )


if __name__ == "__main__":
    main()
