"""Runtime files: one for each cluster that was started on this machine, so that the remains of a
kernel can be found.

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
from operator import attrgetter
from pathlib import Path
from typing import Any

import psutil
from jupyter_core.paths import jupyter_runtime_dir

from roleml_nb.host.process import Process, process_from
from roleml_nb.host.socket_folder import temporary_folders
from roleml_nb.role import TestbedError

from .watchdog import is_alive, processes_of, still_alive

__all__ = ["RuntimeFile", "create", "clean", "folder", "folders", "left_behind", "read_all"]

logger = logging.getLogger(__name__)

FORMAT = 3
"""Version of the file: 1 named the owner by a time of the system clock, and 2 the testbed's data by
`FORMER_KEYS`.
"""
FORMER_KEYS = {"way_back": "attach_info", "form": "format"}
"""{key in files of format 2: key now}."""
MAX_SWEEPS = 5
"""Number of searches for processes that others have started while they were ended."""
END_TIMEOUT_S = 2.0
"""Seconds that processes get to end when they are asked to."""


@dataclass(eq=False)
class RuntimeFile:
    """A cluster that a testbed has started, as the file about it says."""

    testbed_id: str
    """The testbed's name. All that was started for it carries it in its environment."""
    owner: Process
    """The kernel."""
    directory: str
    """Of its sockets and logs."""
    started: float
    """Seconds since the epoch."""
    engines: int
    detached: bool = False
    """True when it is to outlive its owner."""
    attach_info: dict[str, Any] = field(default_factory=dict)
    """Data that another kernel needs to attach to it."""

    folder: str = field(default_factory=lambda: str(folder()))
    """Where this is written."""
    format: int = FORMAT
    """See `FORMAT`."""

    @property
    def path(self) -> Path:
        return Path(self.folder) / f"{self.testbed_id}.json"

    def write(self) -> None:
        """Write all of the file or nothing; it is readable by this user alone."""
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

    def delete(self) -> None:
        try:
            self.path.unlink(missing_ok=True)
        # the folder cannot be written to any more; nothing that runs is left there
        except OSError as error:
            logger.info("the runtime file %s stays: %s", self.path, error)

    @property
    def abandoned(self) -> bool:
        """True when the owner has ended and did not mark it to go on, or could not."""
        return self.owner.ended and (not self.detached or not self.attach_info)

    def end_processes(self) -> list[str]:
        """End all processes, and those that they start meanwhile; return a line for each."""
        ended = []
        for _ in range(MAX_SWEEPS):
            processes = self.processes()
            if not processes:
                break
            for process in processes:
                what = _describe(process)
                ended.append(f"ended process {process.pid} ({what}) of testbed {self.testbed_id}")
            _end(processes)
        return list(dict.fromkeys(ended))

    def processes(self) -> list[psutil.Process]:
        """Return the processes that still run on this machine."""
        return list(filter(is_alive, processes_of(self.testbed_id)))


def folder() -> Path:
    return Path(jupyter_runtime_dir()) / "roleml_nb"


def folders() -> list[Path]:
    """Return the folders that files may lie in, the preferred one first."""
    return [folder(), *(Path(base) / f"roleml_nb-{os.getuid()}" for base in temporary_folders())]


def create(
    testbed_id: str, owner: Process, directory: str, engines: int, *, detached: bool
) -> RuntimeFile:
    """Write the runtime file of a new cluster, in the first folder that takes it.

    TestbedError when none does.
    """
    refused = []
    for place in folders():
        runtime_file = RuntimeFile(
            testbed_id, owner, directory, time.time(), engines, detached, folder=str(place)
        )
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _is_ours(place):
                runtime_file.write()
                return runtime_file
            refused.append(f"{place} (belongs to another user, or others can write to it)")
        except OSError as error:
            refused.append(f"{place} ({error.strerror})")
    raise TestbedError(
        "engines cannot start here: no folder for the file by which %rml clean and %rml attach"
        f" find them: {', '.join(refused)}; set HOME, JUPYTER_RUNTIME_DIR or TMPDIR to a writable"
        " folder with free space, or use Testbed(engines=0), which needs none"
    )


def _is_ours(place: Path) -> bool:
    """Return True if others could not have put files there: in Jupyter's own folder, or in one that
    is this user's alone.
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


def read_all() -> list[RuntimeFile]:
    """Read all runtime files, the oldest first; a file that cannot be read is not ours."""
    found = []
    for place in filter(_is_ours, folders()):
        for path in place.glob("*.json"):
            runtime_file = _read(path)
            if runtime_file is not None and _is_sound(runtime_file):
                found.append(runtime_file)
    return sorted(found, key=attrgetter("started"))


def _read(path: Path) -> RuntimeFile | None:
    """Read one file, of this format or an earlier one; None when it is no such file."""
    try:
        given: dict[str, Any] = {"format": 1}
        for key, value in json.loads(path.read_text(encoding="utf-8")).items():
            given[FORMER_KEYS.get(key, key)] = value
        given.pop("mark", None)
        given["owner"] = process_from(given["owner"])
        given["folder"] = str(path.parent)
        given["testbed_id"] = path.stem
        return RuntimeFile(**given)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _is_sound(runtime_file: RuntimeFile) -> bool:
    """Return True if all fields have the right types, and the folder may be removed."""
    kinds: dict[str, Any] = {
        "started": (int, float),
        "engines": int,
        "detached": bool,
        "attach_info": dict,
        "format": int,
        "directory": str,
    }
    for name, kind in kinds.items():
        if not isinstance(getattr(runtime_file, name), kind):
            return False
    if not os.path.isabs(runtime_file.directory):
        return False
    directory = os.path.realpath(runtime_file.directory).rstrip("/")
    for path in (os.path.expanduser("~"), *temporary_folders(), os.getcwd(), sys.prefix):
        if f"{os.path.realpath(path)}/".startswith(f"{directory}/"):
            return False
    return True


def left_behind() -> dict[RuntimeFile, list[psutil.Process]]:
    """Return the clusters whose kernel has ended, with their processes that still run."""
    found = {}
    for runtime_file in read_all():
        if runtime_file.abandoned:
            processes = runtime_file.processes()
            if processes:
                found[runtime_file] = processes
    return found


def clean(*, detached: bool = False) -> list[str]:
    """End clusters whose kernel has ended; return a line for each process.

    With `detached`, also those that were to outlive their kernel. Testbeds whose kernel is alive
    are left alone.
    """
    ended = []
    for runtime_file in read_all():
        if not runtime_file.owner.ended or not runtime_file.abandoned and not detached:
            continue
        ended += runtime_file.end_processes()
        shutil.rmtree(runtime_file.directory, ignore_errors=True)
        runtime_file.delete()
    return ended


def _describe(process: psutil.Process) -> str:
    try:
        line = " ".join(process.cmdline())
    except psutil.Error:
        return "gone meanwhile"
    for word in ("engine", "controller"):
        if f"ipyparallel.{word}" in line:
            return word
    return line[:40]


def _end(processes: list[psutil.Process]) -> None:
    """End processes; psutil leaves alone those whose number another process has by now."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            try:
                process.send_signal(sign)
            except psutil.Error:
                continue
        processes = still_alive(processes, END_TIMEOUT_S)
