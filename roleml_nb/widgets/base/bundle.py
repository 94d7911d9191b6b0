"""The bundler joins a view's scripts, which are ES modules, and its styles to one module.

anywidget loads a module from a blob, which cannot import its neighbours. So the modules that a view
imports, directly or not, are put into one, each before those that import it, without their imports,
exports and comments. Users need no Node and no build step; browsers get one small text.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from rcssmin import cssmin

from .minify import minify

__all__ = ["BundleError", "bundle", "script"]

BASE = Path(__file__).resolve().parent
COMMON = BASE / "common.js"
"""The module that wraps the default export of every view by `defineView`: in every bundle."""
_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.[^"]*)";\n', re.MULTILINE)
_ANY_IMPORT = re.compile(r"^import\b.*", re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)
_DEFAULT = re.compile(r"^export default ", re.MULTILINE)
_DEFINED = re.compile(
    r"^(export )?(?:async )?(?:function\*?|const|let|class) ([A-Za-z_$][\w$]*)", re.MULTILINE
)


class BundleError(Exception):
    """Scripts do not fit together; the message names the file."""


@cache
def script(source: str) -> str:
    """Return the ES module of the view that the Python file `source` defines.

    It is bundled from the .js and .css of the same name beside it; `base/common.css` comes first.
    The style, for the shadow root, is in the constant STYLE. What the view's own script exports
    goes through `defineView` of `common.js`. Comments and spaces are left out, and names are short.
    """
    own = Path(source)
    styles = [COMMON.with_suffix(".css"), own.with_suffix(".css")]
    style = "\n".join(path.read_text(encoding="utf-8") for path in styles)
    code = bundle(own.with_suffix(".js"))
    text = json.dumps(cssmin(style), ensure_ascii=False)
    return minify(f"const STYLE = {text};\n{code}\nexport default defineView(definition);\n")


def bundle(entry: Path) -> str:
    """Return one script of a module and all that it imports.

    Its default export becomes the constant `definition`. Modules may import each other in circles,
    as long as nothing is used before it is defined.

    Raises
    ------
    BundleError
        A file is missing, does not export what is imported from it, imports in another way than
        by `import { names } from "./file.js";`, or defines a name that another one defines.
    """
    texts: dict[Path, str] = {}
    _collect(COMMON, texts)
    _collect(entry.resolve(), texts)
    defined: dict[str, Path] = {}
    for path, text in texts.items():
        for _, name in _DEFINED.findall(text):
            if name in defined:
                raise BundleError(f"{path.name} and {defined[name].name} both define {name}")
            defined[name] = path
    if not _DEFAULT.search(texts[entry.resolve()]):
        raise BundleError(f"{entry.name} has no export default")
    joined = "\n".join(texts.values())
    return _DEFAULT.sub("const definition = ", _EXPORT.sub("", _IMPORT.sub("", joined)))


def _collect(path: Path, texts: dict[Path, str], within: tuple[Path, ...] = ()) -> None:
    """Add a module's text to `texts`, after those of the modules that it imports."""
    if path in texts or path in within:
        return
    text = path.read_text(encoding="utf-8")
    imports = _IMPORT.findall(text)
    if len(imports) < len(_ANY_IMPORT.findall(text)):
        raise BundleError(f'{path.name} must import by: import {{ names }} from "./file.js";')
    for names, name_of_file in imports:
        imported = (path.parent / name_of_file).resolve()
        if not imported.is_file():
            raise BundleError(f"{path.name} imports {name_of_file}, which is not there")
        _check_exports(path, names, imported)
        _collect(imported, texts, (*within, path))
    texts[path] = text


def _check_exports(path: Path, names: str, imported: Path) -> None:
    """Raise BundleError if a module does not export the names that `path` imports from it."""
    exported = set()
    for is_exported, name in _DEFINED.findall(imported.read_text(encoding="utf-8")):
        if is_exported:
            exported.add(name)
    for name in map(str.strip, names.strip().strip(",").split(",")):
        if name not in exported:
            raise BundleError(f"{path.name} imports {name}, which {imported.name} does not export")
