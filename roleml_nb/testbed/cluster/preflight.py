"""Needs of engines, checked before they start: a loopback interface, enough open files, writable
folders.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import NamedTuple

import psutil

from roleml_nb.role import RoleMLError, TestbedError

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

__all__ = [
    "Lack",
    "check_machine",
    "explain",
    "find_lacks",
    "ipython_folder",
    "is_raw",
    "raise_file_limit",
]

CONNECT_TIMEOUT_S = 2.0
"""For the system itself to answer on 127.0.0.1; no process has a part in it."""
FILES_PER_TESTBED, FILES_PER_ENGINE = 90, 10
"""Open files of the process that has most of them, with a margin: measured 68 with one engine, 78
with three.
"""

HINTS = {
    errno.EMFILE: (
        "too few files may be open at a time: raise the limit with 'ulimit -n 4096' before this"
        " kernel starts"
    ),
    errno.ENOSPC: (
        "a disk is full: free space, or set TMPDIR and JUPYTER_RUNTIME_DIR to folders on"
        " another one"
    ),
    errno.EAGAIN: (
        "too few processes or threads may run at a time: raise the limit with 'ulimit -u', or that"
        " of the container"
    ),
    errno.ENOMEM: "the memory is used up: end other programs, or use fewer engines",
    errno.EROFS: (
        "a folder cannot be written to: set HOME, IPYTHONDIR, JUPYTER_RUNTIME_DIR or TMPDIR to one"
        " that can"
    ),
}
"""Advice, by the error of the system."""
SAME = {
    errno.ENFILE: errno.EMFILE,
    errno.EDQUOT: errno.ENOSPC,
    errno.EACCES: errno.EROFS,
    errno.ENOTDIR: errno.EROFS,
}
IN_WORDS = {
    "can't start new thread": errno.EAGAIN,
    "error return without exception set": errno.EAGAIN,
    **{os.strerror(number): number for number in (*HINTS, *SAME)},
}
"""Errors that come from engines, or without a number, are known by their text."""


class Lack(NamedTuple):
    """A lack of the machine, with advice."""

    what: str
    fix: str


def check_machine(engines: int) -> None:
    """Raise one TestbedError that names all that so many engines would lack; starts and changes
    nothing.
    """
    lacks = find_lacks(engines)
    if lacks:
        texts = [f"{lack.what} ({lack.fix})" for lack in lacks]
        raise TestbedError(
            f"engines cannot start here: {'; '.join(texts)}; Testbed(engines=0) keeps all nodes in"
            " this process and needs none of that"
        )


def find_lacks(engines: int) -> list[Lack]:
    """Return the needs of so many engines of our own that this machine does not meet."""
    found = []
    refused = _loopback_error()
    if refused:
        found.append(
            Lack(
                "ipyparallel needs the loopback interface, and 127.0.0.1 cannot be reached:"
                f" {refused}",
                "run 'ip link set lo up' as root, or ask who runs this container",
            )
        )
    wanted, allowed = _wanted_files(engines), _allowed_files()
    if allowed is not None and allowed < wanted:
        found.append(
            Lack(
                f"a process may have {allowed} files open, and with {engines} engines about"
                f" {wanted} are needed",
                f"run 'ulimit -n {max(1024, wanted)}' before this kernel starts",
            )
        )
    return found


def _loopback_error() -> str:
    """Return why this process cannot connect to itself over 127.0.0.1; empty if it can."""
    try:
        with socket.socket() as listening, socket.socket() as calling:
            listening.bind(("127.0.0.1", 0))
            listening.listen(1)
            calling.settimeout(CONNECT_TIMEOUT_S)
            calling.connect(listening.getsockname())
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return ""  # that is another lack
        return error.strerror or str(error)
    return ""


def _wanted_files(engines: int) -> int:
    return FILES_PER_TESTBED + FILES_PER_ENGINE * engines


def _allowed_files() -> int | None:
    """Return the number of files that a process may have open once its soft limit is raised; None
    for any number.
    """
    if resource is None:
        return None
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return None if hard == resource.RLIM_INFINITY else hard


def raise_file_limit(engines: int) -> None:
    """Raise the soft limit of open files of this process, and so of its children, to the need of so
    many engines.
    """
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _wanted_files(engines) + psutil.Process().num_fds()
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def ipython_folder() -> str:
    """Return the folder that IPython keeps profiles in."""
    return os.environ.get("IPYTHONDIR") or os.path.expanduser("~/.ipython")


def explain(error: BaseException) -> str:
    """Return an error of the system, of ZeroMQ or of ipyparallel in words, with advice."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        number = _number_in(text)
    hint = HINTS.get(
        SAME.get(number, number),
        "%rml doctor looks for what is missing, and Testbed(engines=0) keeps all nodes in this"
        " process",
    )
    return f"{text}; {hint}"


def _number_in(text: str) -> int:
    """Return the number of the system's error that a text speaks of, or 0."""
    for words, number in IN_WORDS.items():
        if words in text:
            return number
    return 0


def is_raw(error: BaseException) -> bool:
    """Return True for an error without advice."""
    return isinstance(error, Exception) and not isinstance(error, RoleMLError)
