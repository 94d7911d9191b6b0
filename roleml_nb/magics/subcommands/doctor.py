"""``%rml doctor`` and ``%rml clean``: what is wrong, and what earlier kernels left behind."""

from __future__ import annotations

from typing import Any

OVERVIEW = """\
%rml doctor                                           each problem of the machine, with its fix
%rml clean                                            end what dead kernels left behind"""


def add(add: Any) -> None:
    add(
        "doctor",
        "Look at versions, front end, kernel, engines, links, memory and threads; names each"
        " problem with its fix.",
    )
    clean = add(
        "clean",
        "End engines and controllers whose kernel has ended. Testbeds whose kernel is alive are"
        " left alone.",
    )
    clean.add_argument(
        "--detached", action="store_true", help="also those that were to outlive their kernel"
    )


def run(magics: Any, given: Any) -> None:
    if given.command == "doctor":
        from roleml_nb.doctor import examine

        print(examine(magics.bed, magics.shell))
        return
    from roleml_nb.testbed.cluster.runtime_files import clean

    print("\n".join(clean(detached=given.detached)) or "nothing was left behind")
