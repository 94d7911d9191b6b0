"""``%rml checkpoint`` and ``%rml restore``: the state of all roles, into a file and back."""

from __future__ import annotations

from typing import Any

from roleml_nb.magics.parsing import BadLine, file_name, seconds
from roleml_nb.testbed import Testbed

OVERVIEW = """\
%rml checkpoint run.checkpoint                        keep the state of all roles in a file
%rml restore    run.checkpoint                        go on from there, also after a new start"""


def add(add: Any) -> None:
    checkpoint = add(
        "checkpoint",
        "Write the state of all roles into a file. Handlers that are at work end first.",
    )
    checkpoint.add_argument(
        "file", metavar="FILE", help="run.checkpoint; a checkpoint of that name is replaced"
    )
    checkpoint.add_argument(
        "--timeout", type=seconds, default=60.0, metavar="SECONDS", help="for handlers to end (60)"
    )
    restore = add(
        "restore",
        "Have all nodes be what they were at a checkpoint. Starts a testbed unless one is running.",
    )
    restore.add_argument(
        "file",
        metavar="FILE",
        help="run.checkpoint; it holds code: open none that you do not trust",
    )
    restore.add_argument(
        "--engines",
        type=int,
        default=None,
        metavar="N",
        help=(
            "engines to start (default: as many as there were); 0 keeps everything in this process"
        ),
    )


def run(magics: Any, given: Any) -> None:
    name = file_name(given.file)
    if given.command == "checkpoint":
        magics.running().save(name, timeout=given.timeout)
        print(f"checkpoint {name} is written")
        return
    if magics.bed is not None and magics.bed.running:
        if given.engines not in (None, magics.bed.engines):
            raise BadLine(
                "a testbed with another number of engines is running; end it first with %rml stop"
            )
        magics.bed.restore(name)
    else:
        options = {} if given.engines is None else {"engines": given.engines}
        magics.use(Testbed.from_checkpoint(name, **options))
        print(f"testbed ready: {magics.where()}")
    print(f"restored {name}")
