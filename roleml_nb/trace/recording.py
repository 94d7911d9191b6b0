"""Recordings: a trace on disk, with the spec, seeds, code and packages of its testbed."""

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

FORMAT = 2
"""The format of a recording that has totals of messages."""
COMPLETE_FORMAT = 1
"""The format of a recording with all single rows, which older versions can read."""
FORMAT_KEY = "roleml_nb_recording"
"""The key of recording.json that holds the format."""
ABOUT_FILE = "recording.json"
MAX_ABOUT_BYTES = 256_000_000
NUMBER_COLUMNS = (
    *("call", "bytes", "sent", "received", "value", "step"),
    *Totals.NAMES,
    *("first", "last"),
)
"""Columns that hold numbers; the others hold text."""
NUMBER_TYPES = (int, float)
PAST_TABLE = "past"
"""The table of totals of messages that are not in the recording as single rows."""


def _is(value: Any, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _maps(value: Any, kind: type) -> bool:
    return isinstance(value, dict) and all(_is(item, kind) for item in value.values())


def _is_time(value: Any) -> bool:
    return _is(value, int, float) and 0 <= value < 1e11


def _is_count_by_name(value: Any) -> bool:
    return _maps(value, int) and min(value.values(), default=0) >= 0


def _is_spec(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("nodes"), dict)


def _is_list_of_mappings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


FIELDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "start": ("a time", _is_time),
    "rows": ("numbers by name", _is_count_by_name),
    "spec": ("a spec", _is_spec),
    "seed": ("a whole number", lambda value: _is(value, int)),
    "seeds": ("whole numbers by node", lambda value: _maps(value, int)),
    "roles": ("a list of mappings", _is_list_of_mappings),
    "packages": ("versions by name", lambda value: _maps(value, str)),
    "environment": ("a mapping", lambda value: isinstance(value, dict)),
}
"""{key of recording.json: (its value in words, a check of its value)}."""


class RecordingError(RoleMLError):
    """A recording cannot be written or read; a file that was there before is as it was."""


@checked_methods
class Recording(Trace):
    """A trace that `Testbed.record` wrote: the same tables and plots as ``bed.trace``, with the
    spec, seeds, code and packages of its testbed.

    Messages beyond the limit of the trace are totals here, too, and ``repr`` says so. A recording
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
        where there is none), and instances, the roles that had it when this was written.
    packages : dict
        {name: version} of all packages that were installed where the notebook ran.
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
        """Read a recording; RecordingError for none at `path`, or one of a newer roleml_nb."""
        return cls(path)

    def run(self, name: str, nodes: Any = None, **how: Any) -> Run:
        """Return a run as `Trace.run` does; its usual seed is that of the recorded testbed."""
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
        """Read the columns of a table; RecordingError for a damaged file, or odd values."""
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
            if name == "messages" and "line" not in frame:  # written before lines were recorded
                frame["line"] = ""
            values = []
            for column in columns:
                values.append(frame[column].tolist())
        except RecordingError:
            raise
        except Exception as error:  # any, for a file that is missing, cut or of another make
            raise RecordingError(
                f"{self.path} is damaged: {name}.parquet cannot be read ({error})"
            ) from None
        for column, items in zip(columns, values, strict=True):
            kind = NUMBER_TYPES if column in NUMBER_COLUMNS else str
            for item in items:
                if not isinstance(item, kind):
                    raise RecordingError(
                        f"{self.path} is damaged: {name}.parquet has {item!r:.60} as {column}"
                    )
        return values

    def _read_gone(self, gone: Mapping[str, Any]) -> None:
        """Read the totals of rows that were gone when this was written."""
        import pandas as pd

        if not gone:
            return
        try:
            columns = (*Flow._fields, *Totals.NAMES, "first", "last")
            values = self._columns(PAST_TABLE, gone[PAST_TABLE], columns)
            frame = pd.DataFrame(dict(zip(columns, values, strict=True)), columns=list(columns))
            self.messages.restore_past(frame)
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

    `about` holds the attributes of `Recording` as plain data. A recording at `path` is replaced.
    RecordingError for anything else at `path`, and when the folder cannot be written.
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
            rows = {}
            for name, table in trace.tables().items():
                rows[name] = _write(beside / f"{name}.parquet", table.raw())
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
    """Write the totals of rows that are gone, and return their part of recording.json."""
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
    """Replace the folder `target` by `new`; when that fails, `target` is as it was."""
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
