"""``%rml record``: what happened, kept on disk."""

from __future__ import annotations

from typing import Any

from roleml_nb.magics.parsing import file_name

OVERVIEW = (
    "%rml record run.parquet                               write down what happened, for"
    ' Recording.open("run.parquet")'
)


def add(add: Any) -> None:
    record = add(
        "record",
        "Write the trace so far into a folder, with the spec, seeds and versions; see"
        " Recording.open.",
    )
    record.add_argument(
        "file", metavar="FILE", help="run.parquet; a recording of that name is replaced"
    )


def run(magics: Any, given: Any) -> None:
    bed, name = magics.running(), file_name(given.file)
    bed.record(name)
    gone = bed.trace.describe_gone()
    print(f"recorded {name}" + (f"; {gone}" if gone else ""))
