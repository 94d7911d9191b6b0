"""The folder of a testbed's sockets."""

from __future__ import annotations

import os
import tempfile

__all__ = ["make_socket_folder"]

LONGEST = 75
"""Bytes of the path that it is made in: the system allows 107 for that of a socket, 103 on macOS."""
SHORT = ("/tmp", "/var/tmp", "/dev/shm")


def make_socket_folder() -> str:
    """Make a folder that only this user can enter, in TMPDIR, or in a shorter one where paths of sockets would be too long."""
    given = tempfile.gettempdir()
    fitting = [base for base in (given, *SHORT) if len(os.fsencode(base)) <= LONGEST and os.access(base, os.W_OK | os.X_OK)]
    return tempfile.mkdtemp(prefix="rml-", dir=fitting[0] if fitting else given)
