"""``%rml export``: the session as a Python program, or the deployment as a spec."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

import roleml_nb
import roleml_nb.library as library
import roleml_nb.workload as workload

from ..context import Context
from ..export import to_script
from ..parsing import BadLine, file_name
from .subcommand import Subcommand

__all__ = ["Export"]


class Export(Subcommand):
    """Write this session as a Python program (script.py), or what is deployed as a spec
    (run.yaml).
    """

    name = "export"
    overview = {"export script.py": "this session as Python; run.yaml: as a spec"}

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="script.py, run.yaml or run.json")

    def run(self, context: Context, arguments: Namespace) -> None:
        name = file_name(arguments.file)
        if name.endswith((".yaml", ".yml", ".json")):
            context.running().save_spec(name)
            print(f"exported {name}: what is deployed")
            return
        if not name.endswith(".py"):
            raise BadLine(
                f"cannot export {name!r}: name it script.py for a program, or run.yaml for what is"
                " deployed"
            )
        cells = context.history.cells
        program = to_script(cells, _importable())
        try:
            Path(name).write_text(program, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise BadLine(f"cannot write {name}: {error.strerror}") from None
        failed = sum(not cell.succeeded for cell in cells)
        left_out = f"; {failed} that failed are left out" if failed else ""
        print(f"exported {name}: {len(cells) - failed} cells{left_out}")


def _importable() -> dict[str, str]:
    """Return {name that a program may import: its module}."""
    modules = {"display": "IPython.display"}
    for module in (workload, library, roleml_nb):
        modules |= dict.fromkeys(module.__all__, module.__name__)
    return modules
