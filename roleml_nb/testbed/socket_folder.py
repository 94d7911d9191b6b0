"""The folder of a testbed's sockets."""

from __future__ import annotations

import os
import tempfile

from roleml_nb.role import TestbedError

from .preflight import why_unwritable

__all__ = ["make_socket_folder", "temporary_folders", "why_unfit"]

LONGEST = 75
"""Bytes of the path that it is made in: the system allows 107 for that of a socket, 103 on macOS.
"""
SHORT = ("/tmp", "/var/tmp", "/dev/shm")


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
        f" writable one with a path of at most {LONGEST} bytes, or use Testbed(engines=0), which"
        " needs none"
    )


def temporary_folders() -> list[str]:
    """Return the folders for temporary files, the preferred one first."""
    try:
        given = [tempfile.gettempdir()]
    except OSError:  # Python has tried TMPDIR and these
        given = [os.path.abspath(os.environ["TMPDIR"])] if os.environ.get("TMPDIR") else []
    return list(dict.fromkeys([*given, *SHORT]))


def why_unfit(base: str) -> str:
    """Return why sockets cannot lie in a folder; empty if they can."""
    if len(os.fsencode(base)) > LONGEST:
        return f"its path is longer than {LONGEST} bytes"
    return why_unwritable(base)
