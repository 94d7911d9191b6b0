"""``python -m roleml_nb``: sub-commands for the terminal."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from roleml_nb.role import RoleMLError

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run a sub-command, and return the exit code.

    0: nothing found; 1: problems found; 2: the sub-command cannot be carried out.
    """
    parser = argparse.ArgumentParser(prog="python -m roleml_nb", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser(
        "check", help="run all notebooks of a folder twice, and say what is wrong"
    )
    _add_check(check)
    doctor = commands.add_parser(
        "doctor", help="what is installed, where it runs, and what is wrong with that"
    )
    doctor.set_defaults(run=_doctor)
    given = parser.parse_args(argv)
    try:
        return given.run(given)
    except RoleMLError as error:
        print(f"python -m roleml_nb: {error}", file=sys.stderr)
        return 2


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run notebooks through nbval, against the installed version: cells that fail, that print"
        " something else than is stored, that depend on chance, that failed although nbval passes"
        " them, and names of ours that will go."
    )
    parser.add_argument(
        "folders",
        nargs="+",
        metavar="FOLDER",
        help="with notebooks, also in folders below; or a notebook",
    )
    parser.add_argument(
        "--lax", action="store_true", help="compare only cells marked with NBVAL_CHECK_OUTPUT"
    )
    parser.add_argument(
        "--once",
        action="store_true",
        help="run each notebook once: what depends on chance is not found",
    )
    parser.add_argument(
        "--jobs", type=_count, metavar="N", help="notebooks at the same time (one for each core)"
    )
    parser.add_argument(
        "--cell-timeout", type=float, default=300.0, metavar="S", help="seconds for a cell (300)"
    )
    parser.add_argument(
        "--sanitize",
        type=Path,
        metavar="FILE",
        help="what nbval is to rewrite, besides our own file",
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the report there")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML there")
    parser.set_defaults(run=_check)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"1 or more, not {text}")
    return number


def _check(given: argparse.Namespace) -> int:
    from roleml_nb.check import check

    for path in (given.markdown, given.junit):
        if path is not None and not path.resolve().parent.is_dir():
            raise RoleMLError(f"there is no folder for {str(path)!r}")
    report = check(
        *given.folders,
        lax=given.lax,
        twice=not given.once,
        jobs=given.jobs,
        cell_timeout=given.cell_timeout,
        sanitize=given.sanitize,
        progress=lambda notebook: print(notebook, flush=True),
    )
    print(str(report).splitlines()[-1])
    if given.markdown is not None:
        given.markdown.write_text(report.to_markdown(), encoding="utf-8")
    if given.junit is not None:
        given.junit.write_text(report.to_junit(), encoding="utf-8")
    return 0 if report.ok else 1


def _doctor(given: argparse.Namespace) -> int:
    from roleml_nb.doctor import examine

    report = examine()
    print(report)
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())
