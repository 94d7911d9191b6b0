"""Rules for nbval that rewrite outputs before they are compared, in a file of the package.

``python -m roleml_nb.nbval_sanitize`` prints the file, with a name as argument it writes a copy:

    python -m roleml_nb.nbval_sanitize sanitize.cfg
    pytest --nbval --nbval-sanitize-with sanitize.cfg my.ipynb
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

__all__ = ["main", "text"]


def text() -> str:
    """Return the content of the file."""
    return Path(__file__).with_name("sanitize.cfg").read_text(encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """Print the file or write a copy; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m roleml_nb.nbval_sanitize",
        description="Print what nbval is to rewrite in outputs of notebooks that use roleml_nb.",
    )
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="write it there, for pytest --nbval-sanitize-with FILE",
    )
    given = parser.parse_args(argv)
    if given.file is None:
        sys.stdout.write(text())
        return 0
    try:
        Path(given.file).write_text(text(), encoding="utf-8")
    except OSError as error:
        print(f"cannot write {given.file}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"wrote {given.file}; use it with: pytest --nbval --nbval-sanitize-with {given.file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
