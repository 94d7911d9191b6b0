"""The ES module of a view: `common.js`, the view's own script, and its style, in one file that imports nothing."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

__all__ = ["script"]

COMMON = Path(__file__).with_name("common")


@cache
def script(source: str) -> str:
    """The module of the view that the Python file `source` defines, out of the .js and .css beside it.

    A module that anywidget loads from a blob cannot import its neighbours, so `common.js` stands in it; its style, for
    the shadow root, is in the constant STYLE.
    """
    parts = COMMON, Path(source)
    style, code = ("".join(part.with_suffix(suffix).read_text(encoding="utf-8") for part in parts) for suffix in (".css", ".js"))
    return f"const STYLE = {json.dumps(style)};\n{code}"
