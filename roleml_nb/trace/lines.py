"""Lines of code that sent messages, in words."""

from __future__ import annotations

import linecache
import os
import sys

from roleml_nb.role.checks.names import shorten
from roleml_nb.role.errors import cell_name

__all__ = ["Lines"]

MAX_CODE_LENGTH = 90
"""Characters of code; the rest becomes an ellipsis."""


class Lines(dict[str, str]):
    """{origin as a host records it: in words}, made when first asked for.

    ``Cell In[7], line 4: self.call_task("trainer", "train")`` for a cell of this notebook,
    ``module:line: code`` for a module. Words, as in a recording, stay as they are.
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
    text = shorten(linecache.getline(file, int(line)).strip(), MAX_CODE_LENGTH)
    place = f"{cell}, line {line}" if cell else origin
    return f"{place}: {text}" if text else place
