"""Which clusters were started on this machine, by whom: a file each, so that what a kernel leaves behind can be found.

The files lie in a folder of mode 0700 in Jupyter's runtime folder (JUPYTER_RUNTIME_DIR).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from jupyter_core.paths import jupyter_runtime_dir

from .processes import Process, process_from
from .watchdog import is_alive, marked, still_alive

__all__ = ["Record", "clean", "folder", "left_behind", "records"]

FORM = 2
"""How a record is written; 1 named the owner by a time of the system clock, and had no such number."""
SWEEPS = 5
"""How often it is looked for what a process has started while it was ended."""
PATIENCE = 2.0
"""Seconds that processes get to end when they are asked to."""


@dataclass(eq=False)
class Record:
    """A cluster that a testbed has started."""

    mark: str
    """The testbed's name. All that was started for it carries it in its environment."""
    owner: Process
    """The kernel."""
    directory: str
    """Of its sockets and logs."""
    started: float
    """Seconds since the epoch."""
    engines: int
    detached: bool = False
    """Whether it is to outlive its owner."""
    way_back: dict[str, Any] = field(default_factory=dict)
    """What another kernel needs to attach to it."""

    folder: str = field(default_factory=lambda: str(folder()))
    """Where this is written."""
    form: int = FORM
    """See `FORM`."""

    @property
    def path(self) -> Path:
        return Path(self.folder) / f"{self.mark}.json"

    def write(self) -> None:
        """All of it or nothing; readable by this user alone."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self.path.with_suffix(".new")
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(self) | {"owner": list(self.owner)}, file)
        beside.replace(self.path)

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)

    @property
    def abandoned(self) -> bool:
        """Whether the owner has ended, without a word that it should go on, or before it could."""
        return self.owner.ended and (not self.detached or not self.way_back)

    def end(self) -> list[str]:
        """End what still runs of it, and what that has started meanwhile; says what it ended."""
        told = []
        for _ in range(SWEEPS):
            processes = self.processes()
            if not processes:
                break
            told += [f"ended process {process.pid} ({_what(process)}) of testbed {self.mark}" for process in processes]
            _end(processes)
        return list(dict.fromkeys(told))

    def processes(self) -> list[psutil.Process]:
        """What still runs of it on this machine."""
        return [process for process in marked(self.mark) if is_alive(process)]


def folder() -> Path:
    return Path(jupyter_runtime_dir()) / "roleml_nb"


def records() -> list[Record]:
    """All of them, the oldest first. What cannot be read is not ours."""
    found = []
    for path in folder().glob("*.json") if folder().is_dir() else ():
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            place = {"folder": str(path.parent), "mark": path.stem}
            record = Record(**{"form": 1, **content, "owner": process_from(content["owner"]), **place})
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            continue
        if _is_sound(record):
            found.append(record)
    return sorted(found, key=lambda record: record.started)


def _is_sound(record: Record) -> bool:
    """Whether what was read is of the right types, and names a folder that may be removed."""
    kinds: dict[str, Any] = {
        "started": (int, float), "engines": int, "detached": bool, "way_back": dict, "form": int, "directory": str,
    }
    if not all(isinstance(getattr(record, name), kind) for name, kind in kinds.items()):
        return False
    directory = os.path.realpath(record.directory)
    held = [os.path.realpath(path) for path in (Path.home(), tempfile.gettempdir(), os.getcwd(), sys.prefix)]
    return os.path.isabs(record.directory) and not any(f"{path}/".startswith(f"{directory.rstrip('/')}/") for path in held)


def left_behind() -> dict[Record, list[psutil.Process]]:
    """Clusters whose kernel has ended, with what still runs of them."""
    return {record: processes for record in records() if record.abandoned and (processes := record.processes())}


def clean(*, detached: bool = False) -> list[str]:
    """End what kernels that have ended have left behind, and with `detached` also what was to outlive them; says what it ended.

    Testbeds whose kernel is alive are left alone.
    """
    told = []
    for record in records():
        if not record.owner.ended or not record.abandoned and not detached:
            continue
        told += record.end()
        shutil.rmtree(record.directory, ignore_errors=True)
        record.forget()
    return told


def _what(process: psutil.Process) -> str:
    try:
        line = " ".join(process.cmdline())
    except psutil.Error:
        return "gone meanwhile"
    return next((word for word in ("engine", "controller") if f"ipyparallel.{word}" in line), line[:40])


def _end(processes: list[psutil.Process]) -> None:
    """psutil makes sure that a number that was given to another process since is left alone."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            try:
                process.send_signal(sign)
            except psutil.Error:
                continue
        processes = still_alive(processes, PATIENCE)
