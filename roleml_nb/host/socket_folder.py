"""The folder of a testbed's sockets."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

from roleml_nb.role import TestbedError

__all__ = ["make_socket_folder", "temporary_folders", "why_unfit", "why_unwritable"]

MAX_PATH_BYTES = 75
"""Bytes of the parent folder's path: the system allows 107 for a socket's path, 103 on macOS."""
MIN_FREE_BYTES = 1_000_000
"""Free space of a disk that engines write their connection files and logs to."""
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")


def make_socket_folder() -> str:
    """Make a folder that only this user can enter, in TMPDIR, or in another one where that does not
    do.

    Raises
    ------
    TestbedError
        In none of them a file can be written, at a path that is short enough for sockets.
    """
    unfit = []
    for base in temporary_folders():
        why = why_unfit(base)
        if not why:
            try:
                return tempfile.mkdtemp(prefix="rml-", dir=base)
            except OSError as error:
                why = error.strerror or str(error)
        unfit.append(f"{base} ({why})")
    raise TestbedError(
        f"no folder for the sockets and logs of engines: {', '.join(unfit)}; set TMPDIR to a"
        f" writable one with a path of at most {MAX_PATH_BYTES} bytes, or use Testbed(engines=0),"
        " which needs none"
    )


def temporary_folders() -> list[str]:
    """Return the folders for temporary files, the preferred one first."""
    try:
        given = [tempfile.gettempdir()]
    except OSError:  # Python has tried TMPDIR and these
        given = [os.path.abspath(os.environ["TMPDIR"])] if os.environ.get("TMPDIR") else []
    return list(dict.fromkeys([*given, *SHORT_FOLDERS]))


def why_unfit(base: str) -> str:
    """Return why sockets cannot lie in a folder; empty if they can."""
    if len(os.fsencode(base)) > MAX_PATH_BYTES:
        return f"its path is longer than {MAX_PATH_BYTES} bytes"
    return why_unwritable(base)


def why_unwritable(folder: str | Path) -> str:
    """Return why nothing can be written to a folder, which need not be there yet; empty if it can
    be.
    """
    there = Path(os.path.abspath(folder))
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not there.is_dir():
        return os.strerror(errno.ENOTDIR)
    if not os.access(there, os.W_OK | os.X_OK):
        return "not writable"
    if shutil.disk_usage(there).free < MIN_FREE_BYTES:
        return os.strerror(errno.ENOSPC)
    return ""
