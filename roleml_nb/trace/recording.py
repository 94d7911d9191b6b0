"""Recordings: a trace on disk, with what it was made with."""

from __future__ import annotations

import json
import math
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from roleml_nb.role import RoleMLError
from roleml_nb.role.checks.arguments import checked_methods
from roleml_nb.role.checks.visible import visible
from roleml_nb.trace.analysis.runs import Run

from .flows import Flow, Totals
from .trace import Trace

__all__ = ["Recording", "RecordingError", "write_recording"]

FORMAT, COMPLETE_FORMAT = 2, 1
"""Of a recording, and of one of which nothing was let go, which older versions can read."""
FORMAT_KEY = "roleml_nb_recording"
"""The key of recording.json that holds the format."""
ABOUT_FILE = "recording.json"
MAX_ABOUT_BYTES = 256_000_000
"""Of recording.json."""
NUMBER_COLUMNS = (
    "call",
    "bytes",
    "sent",
    "received",
    "value",
    "step",
    *Totals.NAMES,
    "first",
    "last",
)
NUMBER_TYPES = (int, float)
"""Columns that hold numbers; the others hold text."""
FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "start": ("a time", lambda value: _is(value, int, float) and 0 <= value < 1e11),
    "rows": (
        "numbers by name",
        lambda value: _maps(value, int) and min(value.values(), default=0) >= 0,
    ),
    "spec": (
        "a spec",
        lambda value: isinstance(value, dict) and isinstance(value.get("nodes"), dict),
    ),
    "seed": ("a whole number", lambda value: _is(value, int)),
    "seeds": ("whole numbers by node", lambda value: _maps(value, int)),
    "roles": (
        "a list of mappings",
        lambda value: isinstance(value, list) and all(isinstance(one, dict) for one in value),
    ),
    "packages": ("versions by name", lambda value: _maps(value, str)),
    "environment": ("a mapping", lambda value: isinstance(value, dict)),
}
"""{key of recording.json: what it holds, and whether something is that}."""
PAST_TABLE = "past"
"""The table of totals of messages that are not in the recording one by one."""


class RecordingError(RoleMLError):
    """A recording cannot be written or read; what was there before is as it was."""


@checked_methods
class Recording(Trace):
    """A trace that `Testbed.record` wrote: the same tables and plots as ``bed.trace``, and what the
    run was made with.

    What was beyond the limit of the trace is here as totals, too, and ``repr`` says so. A recording
    itself has no limit.

    Attributes
    ----------
    path : pathlib.Path
    spec : dict
        The deployment when it was written, as `Testbed.spec` gives it; for `Testbed.from_spec`.
    seed : int
        The testbed's.
    seeds : dict
        {node: seed} of nodes that have a seed of their own.
    roles : list of dict
        Each version of each role class that was assigned: class, version, source (its text, ""
        where there is none), and instances, those that had it when this was written.
    packages : dict
        {name: version} of all that was installed where the notebook ran.
    environment : dict
        python, platform, cores, engines and, in ISO 8601, when it was written.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        about = _read_about(self.path)
        super().__init__(about["start"], lambda: None, limit=math.inf)
        self.spec: dict[str, Any] = about["spec"]
        self.seed: int = about["seed"]
        self.seeds: dict[str, int] = about["seeds"]
        self.roles: list[dict[str, Any]] = about["roles"]
        self.packages: dict[str, str] = about["packages"]
        self.environment: dict[str, Any] = about["environment"]
        self._read(about["rows"])
        self._read_gone(about.get("gone", {}))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Recording:
        """Read a recording; RecordingError when there is none at `path`, or a newer roleml_nb has
        written it.
        """
        return cls(path)

    def run(self, name: str, nodes: Any = None, **how: Any) -> Run:
        """As `Trace.run`; its seed is that of the recorded testbed unless given."""
        return super().run(name, nodes, **{"seed": self.seed, **how})

    def _read(self, rows: Mapping[str, int]) -> None:
        for name, table in self.tables().items():
            if name in rows:  # else it was written before there was such a table
                self._add(name, self._columns(name, rows[name], table.columns))

    def _add(self, name: str, values: list[list]) -> None:
        try:
            with self._lock:
                if name == "messages":
                    self.messages.add(values)
                else:
                    getattr(self, name).add(zip(*values, strict=True))
        # numbers that are beyond all that is written
        except (TypeError, ValueError, OverflowError) as error:
            raise RecordingError(
                f"{self.path} is damaged: {name}.parquet cannot be read ({error})"
            ) from None

    def _columns(self, name: str, rows: int, columns: Sequence[str]) -> list[list]:
        """Read the columns of a table; RecordingError when they do not hold what they have to."""
        import pandas as pd
        import pyarrow.parquet as pq

        try:
            file = self.path / f"{name}.parquet"
            there = pq.read_metadata(file).num_rows  # before any of them is read
            if there != rows:
                raise RecordingError(
                    f"{self.path} is damaged: {name}.parquet has {there} rows instead of {rows}"
                )
            frame = pd.read_parquet(file)
            if name == "messages" and "line" not in frame:  # written before lines were noted
                frame["line"] = ""
            values = [frame[column].tolist() for column in columns]
        except RecordingError:
            raise
        except Exception as error:  # whatever a file that is missing, cut or of another make raises
            raise RecordingError(
                f"{self.path} is damaged: {name}.parquet cannot be read ({error})"
            ) from None
        for column, items in zip(columns, values, strict=True):
            odd = next(
                (
                    item
                    for item in items
                    if not isinstance(item, NUMBER_TYPES if column in NUMBER_COLUMNS else str)
                ),
                None,
            )
            if odd is not None:
                raise RecordingError(
                    f"{self.path} is damaged: {name}.parquet has {odd!r:.60} as {column}"
                )
        return values

    def _read_gone(self, gone: Mapping[str, Any]) -> None:
        """Read what was let go before this was written."""
        import pandas as pd

        if not gone:
            return
        try:
            columns = (*Flow._fields, *Totals.NAMES, "first", "last")
            values = self._columns(PAST_TABLE, gone[PAST_TABLE], columns)
            self.messages.restore_past(
                pd.DataFrame(dict(zip(columns, values, strict=True)), columns=list(columns))
            )
            for name in ("metrics", "contributions"):
                getattr(self, name).restore_past(gone[name])
            self.logs.gone = int(gone["logs"])
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise RecordingError(
                f"{self.path} is damaged: {ABOUT_FILE} says in no known way what was let go"
                f" ({error!r})"
            ) from None

    def __repr__(self) -> str:
        gone = f"; {text}" if (text := self.describe_gone()) else ""
        return (
            f"<Recording {self.path}: {self.messages.count} messages, {self.metrics.count} metrics,"
            f" {len(self.spec['nodes'])} nodes, seed {self.seed}{gone}>"
        )


def write_recording(path: str | os.PathLike[str], trace: Trace, about: Mapping[str, Any]) -> None:
    """Write a folder `path` with a Parquet file per table and recording.json; all of it or nothing.

    `about` holds the attributes of `Recording` as plain data. A recording that is there already is
    replaced. RecordingError for anything else that is there, and when the folder cannot be written.
    """
    target = Path(path)
    if target.exists() and not (target / ABOUT_FILE).is_file():
        raise RecordingError(
            f"{target} exists and is no recording; choose another name, such as"
            f" {target.stem}-recording"
        )
    beside = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}"
    try:
        beside.mkdir()
        with trace.untrimmed():
            rows = {
                name: _write(beside / f"{name}.parquet", table.raw())
                for name, table in trace.tables().items()
            }
            gone = _write_gone(beside, trace)
        content = {
            FORMAT_KEY: FORMAT if gone else COMPLETE_FORMAT,
            "start": trace.start,
            "rows": rows,
            **gone,
            **about,
        }
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        # as JSON does it
        (beside / ABOUT_FILE).write_text(text, encoding="utf-8", errors="backslashreplace")
        _replace(target, beside)
    except (OSError, ValueError) as error:  # of the latter kind: a name with a NUL
        raise RecordingError(
            f"cannot write {visible(str(target))}: {getattr(error, 'strerror', None) or error}"
        ) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write(path: Path, frame: Any) -> int:
    frame.to_parquet(path, engine="pyarrow", index=False)
    return len(frame)


def _write_gone(folder: Path, trace: Trace) -> dict[str, Any]:
    """Write the totals of what is not there one by one; nothing when all is."""
    if not trace.describe_gone():
        return {}
    return {
        "gone": {
            PAST_TABLE: _write(folder / f"{PAST_TABLE}.parquet", trace.messages.past_table()),
            "logs": trace.logs.gone,
            "metrics": trace.metrics.past_table(),
            "contributions": trace.contributions.past_table(),
        }
    }


def _replace(target: Path, new: Path) -> None:
    """Put the folder `new` in the place of `target`, which is put back when that fails."""
    if not target.exists():
        new.rename(target)
        return
    old = new.with_name(f"{new.name}.old")
    target.rename(old)
    try:
        new.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _is(value: Any, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _maps(value: Any, kind: type) -> bool:
    return isinstance(value, dict) and all(_is(item, kind) for item in value.values())


def _read_about(path: Path) -> dict[str, Any]:
    try:
        status = os.stat(path / ABOUT_FILE)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_ABOUT_BYTES:
            raise ValueError(f"it is no file of at most {MAX_ABOUT_BYTES:,} bytes")
        content = json.loads((path / ABOUT_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        what = "does not exist" if not path.exists() else f"is no recording: it has no {ABOUT_FILE}"
        raise RecordingError(f"{path} {what}; record one with bed.record({str(path)!r})") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RecordingError(f"{path} is damaged: {ABOUT_FILE} cannot be read ({error})") from None
    version = content.get(FORMAT_KEY) if isinstance(content, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise RecordingError(f"{path} is no recording: its {ABOUT_FILE} is of another program")
    if version > FORMAT:
        raise RecordingError(
            f"{path} is a recording of format {version}, and this roleml_nb reads up to {FORMAT}; "
            "install the roleml_nb that wrote it, or a newer one"
        )
    for key, (what, fits) in FIELDS.items():
        if key not in content:
            raise RecordingError(f"{path} is damaged: {ABOUT_FILE} has no {key!r}, which is {what}")
        if not fits(content[key]):
            raise RecordingError(
                f"{path} is damaged: {key!r} in {ABOUT_FILE} must be {what},"
                f" not {content[key]!r:.60}"
            )
    return content
