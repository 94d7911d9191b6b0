"""``%rml export``: the session as a Python program, or the deployment as a spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import roleml_nb
import roleml_nb.library as library
import roleml_nb.workload as workload
from roleml_nb.magics.export import to_script
from roleml_nb.magics.parsing import BadLine, file_name

OVERVIEW = (
    "%rml export script.py                                 this session as a Python program;"
    " run.yaml: what is deployed"
)


def add(add: Any) -> None:
    export = add(
        "export",
        "Write this session as a Python program (script.py), or what is deployed as a spec"
        " (run.yaml).",
    )
    export.add_argument("file", metavar="FILE", help="script.py, run.yaml or run.json")


def run(magics: Any, given: Any) -> None:
    name = file_name(given.file)
    if name.endswith((".yaml", ".yml", ".json")):
        magics.running().save_spec(name)
        print(f"exported {name}: what is deployed")
        return
    if not name.endswith(".py"):
        raise BadLine(
            f"cannot export {name!r}: name it script.py for a program, or run.yaml for what is"
            " deployed"
        )
    homes = {"display": "IPython.display"}
    homes |= {
        name: module.__name__
        for module in (workload, library, roleml_nb)
        for name in module.__all__
    }
    cells = magics.history.cells
    try:
        Path(name).write_text(
            to_script(cells, magics.parsers, homes), encoding="utf-8", errors="backslashreplace"
        )
    except OSError as error:
        raise BadLine(f"cannot write {name}: {error.strerror}") from None
    failed = sum(not cell.succeeded for cell in cells)
    print(
        f"exported {name}: {len(cells) - failed} cells"
        + (f"; {failed} that failed are left out" if failed else "")
    )
