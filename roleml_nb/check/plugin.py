"""A plugin of pytest that records the outcome of each cell as nbval sees it.

The processes that run notebooks load it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbval.plugin import IPyNbCell

__all__ = ["pytest_addoption", "pytest_runtest_makereport"]

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record-cells", type=Path, help="write each cell's outcome there, a line of JSON each"
    )
    parser.addoption(
        "--compare-cells",
        type=Path,
        help="a file of --record-cells: the same outputs are to come again",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report: Any = yield
    if isinstance(item, IPyNbCell) and (report.when == "call" or report.outcome == "failed"):
        outputs = item.test_outputs or []
        record = {
            "number": item.cell_num,
            "source": item.cell.source,
            "outcome": report.outcome,
            "text": COLOURS.sub("", str(report.longrepr)) if report.failed else "",
            "seconds": report.duration,
            "outputs": outputs,
            "differs": _compare(item, outputs),
        }
        with item.config.option.record_cells.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
    return report


def _compare(item: IPyNbCell, outputs: list[Any]) -> str:
    """Compare the outputs with those of the run before, as nbval does; return the difference.

    The text is empty where outputs are equal, or need not be.
    """
    before: Path | None = item.config.option.compare_cells
    if before is None or not item.options["check"]:
        return ""
    for record in map(json.loads, before.read_text(encoding="utf-8").splitlines()):
        if record["number"] == item.cell_num:
            if item.compare_outputs(outputs, nbformat.from_dict(record["outputs"])):
                return ""
            return COLOURS.sub("", "\n".join(item.comparison_traceback)).strip()
    return ""
