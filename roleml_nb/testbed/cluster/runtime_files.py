"""Which clusters were started on this machine, by whom: a file each, so that what a kernel leaves
behind can be found.

The files lie in a folder of mode 0700 in Jupyter's runtime folder (JUPYTER_RUNTIME_DIR), or, where
that cannot be written to, in one in the folder for temporary files, which nobody but this user may
have made.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import stat
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from jupyter_core.paths import jupyter_runtime_dir

from roleml_nb.host.process import Process, process_from
from roleml_nb.host.socket_folder import temporary_folders
from roleml_nb.role import TestbedError

from .watchdog import is_alive, marked, still_alive

__all__ = ["Record", "begin", "clean", "folder", "folders", "left_behind", "records"]

logger = logging.getLogger(__name__)

FORM = 2
"""How a record is written; 1 named the owner by a time of the system clock, and had no such number.
"""
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
        try:
            with open(
                os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
            ) as file:
                json.dump(asdict(self) | {"owner": list(self.owner)}, file)
            beside.replace(self.path)
        except OSError:
            with suppress(OSError):
                beside.unlink()
            raise

    def forget(self) -> None:
        try:
            self.path.unlink(missing_ok=True)
        # the folder cannot be written to any more; nothing that runs is left there
        except OSError as error:
            logger.info("the record %s stays: %s", self.path, error)

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
            told += [
                f"ended process {process.pid} ({_what(process)}) of testbed {self.mark}"
                for process in processes
            ]
            _end(processes)
        return list(dict.fromkeys(told))

    def processes(self) -> list[psutil.Process]:
        """What still runs of it on this machine."""
        return [process for process in marked(self.mark) if is_alive(process)]


def folder() -> Path:
    return Path(jupyter_runtime_dir()) / "roleml_nb"


def folders() -> list[Path]:
    """Return the folders that records may lie in, the preferred one first."""
    return [folder(), *(Path(base) / f"roleml_nb-{os.getuid()}" for base in temporary_folders())]


def begin(mark: str, owner: Process, directory: str, engines: int, *, detached: bool) -> Record:
    """Write the record of a new cluster, in the first folder that takes it; TestbedError when none
    does.
    """
    refused = []
    for place in folders():
        record = Record(mark, owner, directory, time.time(), engines, detached, folder=str(place))
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _is_ours(place):
                record.write()
                return record
            refused.append(f"{place} (belongs to another user, or others can write to it)")
        except OSError as error:
            refused.append(f"{place} ({error.strerror})")
    raise TestbedError(
        "engines cannot start here: no folder for the file by which %rml clean and %rml attach"
        f" find them: {', '.join(refused)}; set HOME, JUPYTER_RUNTIME_DIR or TMPDIR to a writable"
        " folder with free space, or use Testbed(engines=0), which needs none"
    )


def _is_ours(place: Path) -> bool:
    """Whether others could not have put records there: in Jupyter's own folder, or in one that is
    this user's alone.
    """
    if place == folder():
        return place.is_dir()
    try:
        state = place.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(state.st_mode)
        and state.st_uid == os.getuid()
        and not stat.S_IMODE(state.st_mode) & 0o077
    )


def records() -> list[Record]:
    """All of them, the oldest first. What cannot be read is not ours."""
    found = []
    for path in (path for place in folders() if _is_ours(place) for path in place.glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            place = {"folder": str(path.parent), "mark": path.stem}
            record = Record(
                **{"form": 1, **content, "owner": process_from(content["owner"]), **place}
            )
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            continue
        if _is_sound(record):
            found.append(record)
    return sorted(found, key=lambda record: record.started)


def _is_sound(record: Record) -> bool:
    """Whether what was read is of the right types, and names a folder that may be removed."""
    kinds: dict[str, Any] = {
        "started": (int, float),
        "engines": int,
        "detached": bool,
        "way_back": dict,
        "form": int,
        "directory": str,
    }
    if not all(isinstance(getattr(record, name), kind) for name, kind in kinds.items()):
        return False
    directory = os.path.realpath(record.directory)
    held = [
        os.path.realpath(path)
        for path in (os.path.expanduser("~"), *temporary_folders(), os.getcwd(), sys.prefix)
    ]
    return os.path.isabs(record.directory) and not any(
        f"{path}/".startswith(f"{directory.rstrip('/')}/") for path in held
    )


def left_behind() -> dict[Record, list[psutil.Process]]:
    """Clusters whose kernel has ended, with what still runs of them."""
    return {
        record: processes
        for record in records()
        if record.abandoned and (processes := record.processes())
    }


def clean(*, detached: bool = False) -> list[str]:
    """End what kernels that have ended have left behind, and with `detached` also what was to
    outlive them; says what it ended.

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
    return next(
        (word for word in ("engine", "controller") if f"ipyparallel.{word}" in line), line[:40]
    )


def _end(processes: list[psutil.Process]) -> None:
    """psutil makes sure that a number that was given to another process since is left alone."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            try:
                process.send_signal(sign)
            except psutil.Error:
                continue
        processes = still_alive(processes, PATIENCE)
