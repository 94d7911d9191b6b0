"""Files of checkpoints: archives of a header, the notebook's part, and one part for each node."""

from __future__ import annotations

import json
import os
import pickle
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from roleml_nb.messaging.serialization.codec import Body, encode
from roleml_nb.role import TestbedError
from roleml_nb.role.checks.visible import visible
from roleml_nb.spec.board_layout import BoardLayout

__all__ = [
    "CheckpointError",
    "check_free",
    "check_parts",
    "describe_checkpoint",
    "opened",
    "read_frames",
    "read_testbed",
    "write_frames",
    "write_header",
    "write_testbed",
]

FORMAT = 1
MAGIC_KEY = "roleml_nb_checkpoint"
HEADER_FILE, TESTBED_FILE = "checkpoint.json", "testbed"
MAPPINGS = (
    "places",
    "roles",
    "relationships",
    "links",
    "positions",
    "contexts",
    "given",
    "ready",
    "running",
)
"""Entries of the notebook's part, beside the board's layout."""
MAX_BYTES = 64_000_000
"""Of checkpoint.json."""


class CheckpointError(TestbedError):
    """A checkpoint cannot be written or read, or does not fit the testbed."""


def describe_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the seed, the engines and the nodes of a checkpoint, as plain data.

    CheckpointError when it is none.
    """
    with opened(path) as (_, header):
        return header


# writing


def check_free(target: Path) -> None:
    """Check that a file is not there, or is a checkpoint, which may be replaced."""
    if target.exists():
        try:
            describe_checkpoint(target)
        except CheckpointError:
            raise CheckpointError(
                f"{target} exists and is no checkpoint; choose another name, such as "
                f"{target.stem}.checkpoint"
            ) from None


def write_header(file: zipfile.ZipFile, content: Mapping[str, Any]) -> None:
    header = {MAGIC_KEY: FORMAT, "version": _own_version(), **content}
    file.writestr(HEADER_FILE, json.dumps(header, indent=1))


def write_testbed(file: zipfile.ZipFile, state: Mapping[str, Any]) -> None:
    """Write the notebook's part."""
    write_frames(file, TESTBED_FILE, list(map(bytes, encode(state).frames())))


def write_frames(file: zipfile.ZipFile, name: str, frames: list[bytes]) -> None:
    with file.open(name, "w", force_zip64=True) as member:
        pickle.dump(frames, member, 5)


def _own_version() -> str:
    """Return the version of the package, which imports this module and is not imported here."""
    return str(sys.modules["roleml_nb"].__version__)


# reading


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[tuple[zipfile.ZipFile, dict[str, Any]]]:
    """Open a checkpoint, and give its archive and its header; CheckpointError when it is none."""
    try:
        file = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise CheckpointError(
            f"{os.fspath(path)} does not exist; write one with bed.save({os.fspath(path)!r})"
        ) from None
    except Exception as error:  # whatever a damaged file makes zipfile raise
        raise CheckpointError(f"{os.fspath(path)} is no checkpoint, or damaged: {error}") from None
    with file:
        try:
            if file.getinfo(HEADER_FILE).file_size > MAX_BYTES:
                raise ValueError("too long")
            header = json.loads(file.read(HEADER_FILE))
            version = header[MAGIC_KEY]
        except Exception:  # likewise
            raise CheckpointError(
                f"{os.fspath(path)} is no checkpoint of roleml_nb, or damaged"
            ) from None
        if not _is_whole(version):
            raise CheckpointError(f"{os.fspath(path)} is no checkpoint of roleml_nb, or damaged")
        if version > FORMAT:
            raise CheckpointError(
                f"{os.fspath(path)} is a checkpoint of format {version}, and this roleml_nb reads"
                f" up to {FORMAT}; install the roleml_nb that wrote it, or a newer one"
            )
        _check_header(header, os.fspath(path))
        yield file, header


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_header(header: Mapping[str, Any], path: str) -> None:
    nodes: Any = header.get("nodes")
    engines: Any = header.get("engines")
    fits = {
        "seed": _is_whole(header.get("seed")),
        "engines": _is_whole(engines) and engines >= 0,
        "nodes": _are_names(nodes),
        "seeds": _are_seeds(header.get("seeds"), nodes),
    }
    for key, fit in fits.items():
        if not fit:
            raise CheckpointError(
                f"{path} is damaged: {key!r} in {HEADER_FILE} cannot be {header.get(key)!r:.60}"
            )


def _are_names(nodes: Any) -> bool:
    return (
        isinstance(nodes, list)
        and all(isinstance(node, str) for node in nodes)
        and len(set(nodes)) == len(nodes)
    )


def _are_seeds(seeds: Any, nodes: Any) -> bool:
    """Return True if there is a seed for each node."""
    return (
        isinstance(seeds, list)
        and all(map(_is_whole, seeds))
        and isinstance(nodes, list)
        and len(seeds) == len(nodes)
    )


def check_parts(file: zipfile.ZipFile, header: Mapping[str, Any], path: str) -> None:
    """Check that a file is complete and undamaged, before any of it is unpickled or changes
    anything.
    """
    missing = {TESTBED_FILE, *map(str, range(len(header["nodes"])))} - set(file.namelist())
    if missing:
        raise CheckpointError(f"{path} is damaged: it has no {min(missing)}")
    try:
        damaged = file.testzip()
    except Exception as error:  # whatever damage makes zipfile raise
        raise CheckpointError(f"{path} is damaged: {error}") from None
    if damaged is not None:
        raise CheckpointError(f"{path} is damaged: {damaged} is not what was written")


def read_testbed(file: zipfile.ZipFile, header: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return the notebook's part."""
    try:
        state = Body.of_frames(read_frames(file, TESTBED_FILE)).decode()
    except CheckpointError:
        raise
    except Exception as error:  # whatever unpickling raises, such as an import that fails here
        advice = ""
        if "'roleml_nb." in str(error):
            version = header.get("version")
            which = version if isinstance(version, str) else "before 0.1.0"
            advice = f"; roleml_nb {visible(which)[:40]} has written it, and reads it"
        raise CheckpointError(
            f"cannot restore {path}: {type(error).__name__}: {error}{advice}"
        ) from None
    for key in MAPPINGS:
        if not isinstance(state, dict) or not isinstance(state.get(key), dict):
            raise _damaged(path, key)
    if not isinstance(state.get("drawn"), BoardLayout | None):
        raise _damaged(path, "drawn")
    return state


def _damaged(path: str, key: str) -> CheckpointError:
    return CheckpointError(f"{path} is damaged: {key!r} in {TESTBED_FILE} is not what it was")


def read_frames(file: zipfile.ZipFile, name: str) -> list[bytes]:
    try:
        with file.open(name) as member:
            frames = pickle.load(member)
    except Exception as error:  # whatever unpickling raises
        raise CheckpointError(
            f"{file.filename} is damaged: {name} cannot be read ({type(error).__name__}: {error})"
        ) from None
    if (
        not isinstance(frames, list)
        or not frames
        or not all(isinstance(frame, bytes) for frame in frames)
    ):
        raise CheckpointError(f"{file.filename} is damaged: {name} holds no frames")
    return frames
