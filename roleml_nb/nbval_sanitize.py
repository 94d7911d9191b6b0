"""What nbval is to rewrite in outputs before it compares them: the file that ships with the
package.

``python -m roleml_nb.nbval_sanitize`` prints it, ``python -m roleml_nb.nbval_sanitize FILE`` writes
it:

    python -m roleml_nb.nbval_sanitize sanitize.cfg
    pytest --nbval --nbval-sanitize-with sanitize.cfg my.ipynb
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

__all__ = ["main", "text"]


def text() -> str:
    """The file's content."""
    return Path(__file__).with_name("sanitize.cfg").read_text(encoding="utf-8")


def main(words: list[str] | None = None) -> int:
    """Print it, or write it; returns the exit code."""
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
    given = parser.parse_args(words)
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
