"""The text of a module of Python source: read from its file, hashed, and the modules it imports."""

from __future__ import annotations

import ast
import hashlib
import marshal
import os
from collections.abc import Iterable
from importlib.util import cache_from_source, decode_source
from typing import NamedTuple

__all__ = ["ModuleText", "Stamp", "differs_from_compiled", "hash_text", "read_module", "stamp"]

Stamp = tuple[int, int, int]
"""Time at which a file was written, its size in bytes, and the time of any change to it."""


class ModuleText(NamedTuple):
    """A text of a module, and the file that it is from."""

    name: str
    filename: str
    package: bool
    text: str
    digest: str
    imports: frozenset[str]
    """Names of modules that it may import."""


def stamp(filename: str) -> Stamp | None:
    """Return the stamp of a file; None if there is no such file."""
    try:
        status = os.stat(filename)
    except OSError:
        return None
    # the third one changes even where the time of the file was put back
    return status.st_mtime_ns, status.st_size, status.st_ctime_ns


def read_module(name: str, filename: str, package: bool) -> ModuleText | None:
    """Return the text of the file now; None if it cannot be read."""
    try:
        with open(filename, "rb") as file:
            text = decode_source(file.read())
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return ModuleText(name, filename, package, text, hash_text(text), frozenset())
    return ModuleText(
        name,
        filename,
        package,
        text,
        hash_text(ast.dump(tree)),
        frozenset(_imports(tree, name, package)),
    )


def differs_from_compiled(filename: str, text: str) -> bool:
    """Return True if Python would execute the code that it has compiled before, and not `text`.

    It compares time (in seconds) and size of the file alone.
    """
    try:
        with open(cache_from_source(filename), "rb") as file:
            head, code = file.read(16), file.read()
        status = os.stat(filename)
        known = int.from_bytes(head[8:12], "little"), int.from_bytes(head[12:16], "little")
        if head[4:8] != bytes(4) or known != (
            int(status.st_mtime) & 0xFFFFFFFF,
            status.st_size & 0xFFFFFFFF,
        ):
            return False
        compiled = compile(text, filename, "exec", dont_inherit=True)
        return bool(marshal.loads(code) != compiled)
    except (OSError, NotImplementedError, EOFError, ValueError, SyntaxError, TypeError):
        return False


def _imports(tree: ast.AST, name: str, package: bool) -> Iterable[str]:
    """Yield the names of all modules that imports of the text may mean."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = name.split(".")
                above = parts[: len(parts) - node.level + package]
                base = ".".join([*above, *([base] if base else [])])
            yield from _with_parents(base)
            yield from (f"{base}.{alias.name}" for alias in node.names if base)


def _with_parents(name: str) -> Iterable[str]:
    """Yield the packages that a module lies in, outermost first, and the module."""
    parts = name.split(".")
    if parts[0]:
        for count in range(1, len(parts) + 1):
            yield ".".join(parts[:count])


def hash_text(text: str) -> str:
    """Return a short hash of a text."""
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).hexdigest()
