"""YAML files with ``!include``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from roleml_nb.spec.yaml import dump, read_file

__all__ = ["load_yaml", "save_yaml"]


def load_yaml(filename: str | os.PathLike[str]) -> Any:
    """Read a file as plain data; ConfigError, with file and line, when it cannot be read."""
    return read_file(filename, trust=True).plain()


def save_yaml(filename: str | os.PathLike[str], obj: Any) -> None:
    """Write plain data to a file."""
    Path(filename).write_text(dump(obj), encoding="utf-8")
