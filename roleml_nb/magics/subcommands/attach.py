"""``%rml attach`` and ``%rml detach``: testbeds that outlive their kernel."""

from __future__ import annotations

from typing import Any

from roleml_nb.magics.parsing import BadLine
from roleml_nb.testbed import Testbed
from roleml_nb.testbed.cluster import runtime_files

OVERVIEW = (
    "%rml attach                                           find what %rml start --detach has"
    " started, in a new kernel"
)


def add(add: Any) -> None:
    attach = add(
        "attach",
        "Find a testbed again that was started with %%rml start --detach. It becomes the variable"
        " `bed`.",
    )
    attach.add_argument("id", nargs="?", help="which one, when there are several")
    add("detach", "Leave such a testbed to itself, for another kernel to attach to. Runs go on.")


def run(magics: Any, given: Any) -> None:
    if given.command == "detach":
        print(f"detached: %rml attach {magics.running().detach()}")
        return
    if magics.bed is not None and magics.bed.running:
        raise BadLine(
            "a testbed is running; end it first with %rml stop, or leave it with %rml detach"
        )
    magics.use(Testbed.attach(given.id))
    print(f"attached: {magics.where()}")
    print(magics.bed.status())


def complete(bed: Any, command: str, words: list[str]) -> list[str]:
    return (
        [record.testbed_id for record in runtime_files.read_all() if record.detached]
        if command == "attach"
        else []
    )
