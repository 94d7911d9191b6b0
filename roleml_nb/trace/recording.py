"""Recordings: a trace on disk, with what it was made with."""

from __future__ import annotations

import json
import os
import shutil
import stat
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from roleml_nb.role import RoleMLError

from .logs import LINES
from .run import Run
from .trace import Trace

__all__ = ["Recording", "RecordingError", "write_recording"]

FORMAT = 1
MARK = "roleml_nb_recording"
"""The key of recording.json that holds the format."""
ABOUT = "recording.json"
MOST_BYTES = 256_000_000
"""Of recording.json."""
NUMERIC, NUMBERS = ("call", "bytes", "sent", "received", "value", "step"), (int, float)
"""Columns that hold numbers; the others hold text."""
KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "start": ("a time", lambda value: _is(value, int, float) and 0 <= value < 1e11),
    "rows": ("numbers by name", lambda value: _maps(value, int) and min(value.values(), default=0) >= 0),
    "spec": ("a spec", lambda value: isinstance(value, dict) and isinstance(value.get("nodes"), dict)),
    "seed": ("a whole number", lambda value: _is(value, int)),
    "seeds": ("whole numbers by node", lambda value: _maps(value, int)),
    "roles": ("a list of mappings", lambda value: isinstance(value, list) and all(isinstance(one, dict) for one in value)),
    "packages": ("versions by name", lambda value: _maps(value, str)),
    "environment": ("a mapping", lambda value: isinstance(value, dict)),
}
"""{key of recording.json: what it holds, and whether something is that}."""


class RecordingError(RoleMLError):
    """A recording cannot be written or read; what was there before is as it was."""


class Recording(Trace):
    """A trace that `Testbed.record` wrote: the same tables and plots as ``bed.trace``, and what the run was made with.

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
        Each version of each role class that was assigned: class, version, source (its text, "" where there is none), and
        instances, those that had it when this was written.
    packages : dict
        {name: version} of all that was installed where the notebook ran.
    environment : dict
        python, platform, cores, engines and, in ISO 8601, when it was written.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        about = _about(self.path)
        super().__init__(about["start"], lambda: None)
        self.spec: dict[str, Any] = about["spec"]
        self.seed: int = about["seed"]
        self.seeds: dict[str, int] = about["seeds"]
        self.roles: list[dict[str, Any]] = about["roles"]
        self.packages: dict[str, str] = about["packages"]
        self.environment: dict[str, Any] = about["environment"]
        self._read(about["rows"])
        self.logs.rows, rows = deque(maxlen=LINES), self.logs.rows  # type: ignore[assignment]
        self.logs.add(rows)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Recording:
        """Read a recording; RecordingError when there is none at `path`, or a newer roleml_nb has written it."""
        return cls(path)

    def run(self, name: str, nodes: Any = None, **how: Any) -> Run:
        """As `Trace.run`; its seed is that of the recorded testbed unless given."""
        return super().run(name, nodes, **{"seed": self.seed, **how})

    def _read(self, rows: Mapping[str, int]) -> None:
        import pandas as pd
        import pyarrow.parquet as pq

        for name, table in self.tables().items():
            if name not in rows:  # written before there was such a table
                continue
            try:
                file = self.path / f"{name}.parquet"
                there = pq.read_metadata(file).num_rows  # before any of them is read
                if there != rows[name]:
                    raise RecordingError(f"{self.path} is damaged: {name}.parquet has {there} rows instead of {rows[name]}")
                frame = pd.read_parquet(file)
                if table is self.messages and "line" not in frame:  # written before lines were noted
                    frame["line"] = ""
                frame = frame[list(table.columns)]
            except RecordingError:
                raise
            except Exception as error:  # whatever a file that is missing, cut or of another make raises
                raise RecordingError(f"{self.path} is damaged: {name}.parquet cannot be read ({error})") from None
            values = [frame[column].tolist() for column in table.columns]
            for column, items in zip(table.columns, values, strict=True):
                odd = next((item for item in items if not isinstance(item, NUMBERS if column in NUMERIC else str)), None)
                if odd is not None:
                    raise RecordingError(f"{self.path} is damaged: {name}.parquet has {odd!r:.60} as {column}")
            table.rows = list(zip(*values, strict=True))

    def __repr__(self) -> str:
        return (f"<Recording {self.path}: {len(self.messages)} messages, {len(self.metrics)} metrics, "
                f"{len(self.spec['nodes'])} nodes, seed {self.seed}>")


def write_recording(path: str | os.PathLike[str], trace: Trace, about: Mapping[str, Any]) -> None:
    """Write a folder `path` with a Parquet file per table and recording.json; all of it or nothing.

    `about` holds the attributes of `Recording` as plain data. A recording that is there already is replaced.
    RecordingError for anything else that is there, and when the folder cannot be written.
    """
    target = Path(path)
    if target.exists() and not (target / ABOUT).is_file():
        raise RecordingError(f"{target} exists and is no recording; choose another name, such as {target.stem}-recording")
    beside = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}"
    try:
        beside.mkdir()
        rows = {name: _write_table(beside / f"{name}.parquet", table) for name, table in trace.tables().items()}
        content = {MARK: FORMAT, "start": trace.start, "rows": rows, **about}
        (beside / ABOUT).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        _replace(target, beside)
    except OSError as error:
        raise RecordingError(f"cannot write {target}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write_table(path: Path, table: Any) -> int:
    frame = table.raw()
    frame.to_parquet(path, engine="pyarrow", index=False)
    return len(frame)


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


def _about(path: Path) -> dict[str, Any]:
    try:
        status = os.stat(path / ABOUT)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
            raise ValueError(f"it is no file of at most {MOST_BYTES:,} bytes")
        content = json.loads((path / ABOUT).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        what = "does not exist" if not path.exists() else f"is no recording: it has no {ABOUT}"
        raise RecordingError(f"{path} {what}; record one with bed.record({str(path)!r})") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RecordingError(f"{path} is damaged: {ABOUT} cannot be read ({error})") from None
    version = content.get(MARK) if isinstance(content, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise RecordingError(f"{path} is no recording: its {ABOUT} is of another program")
    if version > FORMAT:
        raise RecordingError(f"{path} is a recording of format {version}, and this roleml_nb reads up to {FORMAT}; "
                             "install the roleml_nb that wrote it, or a newer one")
    for key, (what, fits) in KINDS.items():
        if key not in content:
            raise RecordingError(f"{path} is damaged: {ABOUT} has no {key!r}, which is {what}")
        if not fits(content[key]):
            raise RecordingError(f"{path} is damaged: {key!r} in {ABOUT} must be {what}, not {content[key]!r:.60}")
    return content
