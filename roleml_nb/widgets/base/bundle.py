"""The ES module of a view: `common.js`, the view's own scripts, and its style, in one file that
imports nothing.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from rcssmin import cssmin
from rjsmin import jsmin

__all__ = ["script"]

EXPORT = "export default "
COMMON = Path(__file__).with_name("common")


@cache
def script(source: str) -> str:
    """The module of the view that the Python file `source` defines, out of the .js and .css beside
    it.

    Of ``board.py`` these are `board.css`, `board.js`, and before it the scripts of its folder that
    have no style of their own.
    A module that anywidget loads from a blob cannot import its neighbours, so `common.js` stands in
    it; its style, for the shadow root, is in the constant STYLE. What the view's own script exports
    goes through `live` of `common.js`. Comments and spaces stay behind.
    """
    own = Path(source)
    styles = COMMON.with_suffix(".css"), own.with_suffix(".css")
    scripts = (
        COMMON.with_suffix(".js"),
        *sorted(part for part in own.parent.glob("*.js") if not part.with_suffix(".css").exists()),
        own.with_suffix(".js"),
    )
    style, code = (
        "\n".join(part.read_text(encoding="utf-8") for part in parts) for parts in (styles, scripts)
    )
    code = re.sub(f"^{EXPORT}", "const exported = ", code, flags=re.MULTILINE)
    return f"const STYLE = {json.dumps(cssmin(style))};\n{jsmin(code)}\n{EXPORT}live(exported);\n"
