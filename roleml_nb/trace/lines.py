"""Lines: where in the code messages were sent, in words."""

from __future__ import annotations

import linecache
import os
import sys

from roleml_nb.role.errors import cell_name

__all__ = ["Lines"]

MAX_CODE_LENGTH = 90
"""Characters of code that are shown."""


class Lines(dict[str, str]):
    """{origin as a host notes it: in words}, made when first asked for.

    ``Cell In[7], line 4: self.call_task("trainer", "train")`` for a cell of this notebook,
    ``module:line: code`` for a module. What is in words already, as in a recording, stays as it is.
    """

    def __missing__(self, origin: str) -> str:
        words = self[origin] = _describe(origin)
        return words


def _describe(origin: str) -> str:
    where, _, line = origin.rpartition(":")
    if not where or not line.isdigit():
        return origin
    cell = cell_name(where)
    if (
        cell is None
        and os.path.basename(os.path.dirname(where)).startswith("ipykernel_")
        and not os.path.exists(where)
    ):
        return f"a cell of another kernel, line {line}"
    file = getattr(sys.modules.get(where), "__file__", None) or where
    text = linecache.getline(file, int(line)).strip()
    text = text if len(text) <= MAX_CODE_LENGTH else f"{text[: MAX_CODE_LENGTH - 1]}…"
    return (f"{cell}, line {line}" if cell else origin) + (f": {text}" if text else "")
