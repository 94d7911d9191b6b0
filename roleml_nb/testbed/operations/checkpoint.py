"""Checkpoints: the state of all roles in a file, and back into a testbed."""

from __future__ import annotations

import json
import os
import pickle
import sys
import uuid
import zipfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from roleml_nb.actor import Invocation
from roleml_nb.host.quiesce import resume
from roleml_nb.messaging.serialization.codec import Body, encode
from roleml_nb.role import (
    NATIVE,
    NOTEBOOK,
    CallerError,
    HandlerError,
    InternalError,
    RoleInstanceID,
    RoleMLError,
    TestbedError,
    natural_key,
)
from roleml_nb.role.checks.visible import visible
from roleml_nb.spec.board_layout import BoardLayout
from roleml_nb.testbed.cluster.quiesce import Quiesced, quiesced
from roleml_nb.testbed.cluster.startup import share_paths
from roleml_nb.testbed.registry.shared_modules import Shared, known_versions, share

if TYPE_CHECKING:
    from roleml_nb.testbed.testbed import Testbed

__all__ = ["CheckpointError", "describe_checkpoint", "restore", "save"]

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
"""What is in the testbed's part, beside how it was drawn."""
MAX_BYTES = 64_000_000
"""Of checkpoint.json."""
MAX_CONCURRENT = 16
"""Nodes that are asked at the same time: their states are in memory together."""
STEP_TIMEOUT_S = 300.0
"""Seconds that a node gets to hand out its state, or to take it."""


class CheckpointError(TestbedError):
    """A checkpoint cannot be written or read, or does not fit the testbed."""


# writing


def save(bed: Testbed, path: str | os.PathLike[str], timeout: float) -> None:
    """See `Testbed.save`."""
    target, registry = Path(path), bed.registry
    _check_free(target)
    gone = [node for node, place in registry.places.items() if place in bed.lost]
    if gone:
        raise CheckpointError(
            f"cannot save: node '{gone[0]}' is lost with {registry.places[gone[0]]} "
            f"({bed.lost[registry.places[gone[0]]]}); its state is gone"
        )
    nodes = sorted(registry.places, key=natural_key)
    beside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        with quiesced(bed.fleet, timeout) as resting, zipfile.ZipFile(beside, "w") as file:
            _write(file, TESTBED_FILE, _frames(_rest(bed, resting)))
            seeds = []
            for number, (seed, frames) in enumerate(_step(bed, "capture", nodes)):
                _write(file, str(number), frames)
                seeds.append(seed)
            about = {
                MAGIC_KEY: FORMAT,
                "version": _own_version(),
                "seed": bed.seed,
                "engines": len(bed.fleet.numbers),
                "nodes": nodes,
                "seeds": seeds,
            }
            file.writestr(HEADER_FILE, json.dumps(about, indent=1))
        beside.replace(target)
    except (OSError, ValueError) as error:  # of the latter kind: a name with a NUL
        raise CheckpointError(
            f"cannot write {visible(str(target))}: {getattr(error, 'strerror', None) or error}"
        ) from None
    finally:
        with suppress(ValueError):
            beside.unlink(missing_ok=True)


def _check_free(target: Path) -> None:
    if target.exists():
        try:
            describe_checkpoint(target)
        except CheckpointError:
            raise CheckpointError(
                f"{target} exists and is no checkpoint; choose another name, such as "
                f"{target.stem}.checkpoint"
            ) from None


def _rest(bed: Testbed, resting: Quiesced) -> dict[str, Any]:
    """Return the notebook's knowledge: plain data, and the classes, options and elements that were
    given.
    """
    registry, versions = bed.registry, bed.versions
    given = {
        tuple(instance): (cls, *versions.given.get(instance, (None, None)))
        for instance, cls in versions.classes.items()
    }
    roles = registry.copy_roles()
    return {
        "places": registry.places,
        "roles": roles,
        "relationships": registry.relationships,
        "links": registry.links,
        "positions": registry.positions,
        "drawn": registry.board_layout,
        "contexts": registry.contexts,
        "given": given,
        "contents": {tuple(instance): content for instance, content in versions.contents.items()},
        "modules": known_versions(bed.fleet),
        **resting._asdict(),
    }


def _frames(value: Any) -> list[bytes]:
    return [bytes(frame) for frame in encode(value).frames()]


def _write(file: zipfile.ZipFile, name: str, frames: list[bytes]) -> None:
    with file.open(name, "w", force_zip64=True) as member:
        pickle.dump(frames, member, 5)


def _step(
    bed: Testbed, step: str, nodes: Iterable[str], contents: Iterable[Any] = repeat(None)
) -> Iterator[Any]:
    """Ask nodes, some at the same time; their answers, in order."""
    actor, asked = bed.fleet.home.actors[NOTEBOOK], deque[Invocation]()
    for node, content in zip(nodes, contents, strict=False):
        asked.append(
            actor.request(f"checkpoint-{step}", NATIVE, RoleInstanceID(node, NATIVE), step, content)
        )
        if len(asked) >= MAX_CONCURRENT:
            yield asked.popleft().result(STEP_TIMEOUT_S)
    while asked:
        yield asked.popleft().result(STEP_TIMEOUT_S)


# reading


def describe_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the seed, the engines and the nodes of a checkpoint, as plain data.

    CheckpointError when it is none.
    """
    with _opened(path) as (_, about):
        return about


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[tuple[zipfile.ZipFile, dict[str, Any]]]:
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
            about = json.loads(file.read(HEADER_FILE))
            version = about[MAGIC_KEY]
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
        _check_about(about, os.fspath(path))
        yield file, about


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_about(about: Mapping[str, Any], path: str) -> None:
    nodes, seeds = about.get("nodes"), about.get("seeds")
    fits = {
        "seed": _is_whole(about.get("seed")),
        "engines": _is_whole(about.get("engines")) and about["engines"] >= 0,
        "nodes": (
            isinstance(nodes, list)
            and all(isinstance(node, str) for node in nodes)
            and len(set(nodes)) == len(nodes)
        ),
        "seeds": (
            isinstance(seeds, list)
            and all(map(_is_whole, seeds))
            and isinstance(nodes, list)
            and len(seeds) == len(nodes)
        ),
    }
    for key, fit in fits.items():
        if not fit:
            raise CheckpointError(
                f"{path} is damaged: {key!r} in {HEADER_FILE} cannot be {about.get(key)!r:.60}"
            )


def _check_content(file: zipfile.ZipFile, about: Mapping[str, Any], path: str) -> None:
    """Check that a file is complete and undamaged, before any of it is unpickled or changes
    anything.
    """
    missing = {TESTBED_FILE, *map(str, range(len(about["nodes"])))} - set(file.namelist())
    if missing:
        raise CheckpointError(f"{path} is damaged: it has no {min(missing)}")
    try:
        damaged = file.testzip()
    except Exception as error:  # whatever damage makes zipfile raise
        raise CheckpointError(f"{path} is damaged: {error}") from None
    if damaged is not None:
        raise CheckpointError(f"{path} is damaged: {damaged} is not what was written")


def _own_version() -> str:
    """Return the version of the package, which imports this module and is not imported here."""
    return str(sys.modules["roleml_nb"].__version__)


def _decode_rest(file: zipfile.ZipFile, about: Mapping[str, Any], path: str) -> dict[str, Any]:
    try:
        rest = Body.of_frames(_read(file, TESTBED_FILE)).decode()
    except CheckpointError:
        raise
    except Exception as error:  # whatever unpickling raises, such as an import that fails here
        advice = ""
        if "'roleml_nb." in str(error):
            version = about.get("version")
            which = version if isinstance(version, str) else "before 0.1.0"
            advice = f"; roleml_nb {visible(which)[:40]} has written it, and reads it"
        raise CheckpointError(
            f"cannot restore {path}: {type(error).__name__}: {error}{advice}"
        ) from None
    odd = next(
        (
            key
            for key in MAPPINGS
            if not isinstance(rest, dict) or not isinstance(rest.get(key), dict)
        ),
        None,
    )
    if odd is not None or not isinstance(rest.get("drawn"), BoardLayout | None):
        raise CheckpointError(
            f"{path} is damaged: {odd or 'drawn'!r} in {TESTBED_FILE} is not what it was"
        )
    return rest


def restore(bed: Testbed, path: str | os.PathLike[str], timeout: float) -> None:
    """See `Testbed.restore`."""
    with _opened(path) as (file, about):
        _check(bed, about, os.fspath(path))
        _check_content(file, about, os.fspath(path))
        rest = _decode_rest(file, about, os.fspath(path))
        _spawn(bed, about, rest)
        share_paths(bed.fleet)
        share(bed.fleet, rest.get("modules", Shared()))
        with quiesced(bed.fleet, timeout) as resting:
            nodes: list[str] = about["nodes"]
            try:
                states = (
                    (_read(file, str(number)), _options(rest, node))
                    for number, node in enumerate(nodes)
                )
                deque(_step(bed, "prepare", nodes, states), 0)
            except Exception as error:
                deque(_step(bed, "discard", nodes), 0)
                if isinstance(error, CallerError | HandlerError | InternalError):
                    raise CheckpointError(f"cannot restore {os.fspath(path)}: {error}") from None
                raise
            _become(bed, nodes, os.fspath(path))
            for roles in (*resting.ready.values(), *resting.running.values()):
                roles.clear()  # of these, nothing goes on
        _update_registry(bed, rest)
        bed.fleet.on_hosts(resume, rest["ready"], rest["running"])


def _options(rest: Mapping[str, Any], node: str) -> dict[str, Any]:
    """Return what the roles of a node were given as options: {role: options, or None if they are
    not known}.
    """
    return {name: given[1] for (at, name), given in rest["given"].items() if at == node}


def _become(bed: Testbed, nodes: list[str], path: str) -> None:
    for step in ("clear", "restore"):
        try:
            deque(_step(bed, step, nodes), 0)
        except RoleMLError as error:
            raise CheckpointError(
                f"not all nodes could be made what they are in {path}, and the testbed is neither"
                f" what it was nor that: stop it. {error}"
            ) from error


def _read(file: zipfile.ZipFile, name: str) -> list[bytes]:
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


def _check(bed: Testbed, about: Mapping[str, Any], path: str) -> None:
    if bed.seed != about["seed"]:
        raise CheckpointError(
            f"{path} is of a testbed with seed {about['seed']}, and this one has {bed.seed}; start"
            f" one with Testbed(seed={about['seed']}), or use Testbed.from_checkpoint({path!r})"
        )
    other = [
        node
        for node in bed.registry.nodes()
        if node not in about["nodes"] and bed.registry.roles.get(node)
    ]
    if other:
        raise CheckpointError(
            f"{path} has no node '{other[0]}', which has roles here; restore into a testbed of its"
            f" own, with Testbed.from_checkpoint({path!r})"
        )


def _spawn(bed: Testbed, about: Mapping[str, Any], rest: Mapping[str, Any]) -> None:
    """Spawn the nodes that are missing, on their former engines if these are there."""
    hosts = bed.fleet.hosts_for(None)
    kept = [*hosts, NOTEBOOK] if about["engines"] else hosts
    for number, (node, seed) in enumerate(zip(about["nodes"], about["seeds"], strict=True)):
        if node not in bed.registry.places:
            context, place = rest["contexts"].get(node, {}), rest["places"][node]
            places = {node: place if place in kept else hosts[number % len(hosts)]}
            bed.fleet.spawn(places, {**context, "seed": seed})
            bed.registry.spawned(places, context)


def _update_registry(bed: Testbed, rest: Mapping[str, Any]) -> None:
    """Have the notebook know what is there now."""
    registry, versions = bed.registry, bed.versions
    for name in ("roles", "relationships", "links", "positions"):
        known = getattr(registry, name)
        known.clear()
        known.update(rest[name])
    registry.board_layout = rest["drawn"]
    registry.revision += 1
    registry.assignment_counter = count(max(registry.assigned_turns(), default=-1) + 1)
    for table in versions.tables:
        table.clear()
    for instance, (cls, options, elements) in rest["given"].items():
        if options is None:  # another kernel has assigned it
            versions.updated(RoleInstanceID(*instance), cls)
        else:
            versions.assigned(RoleInstanceID(*instance), cls, options, elements)
    # which may be older than what this kernel has
    for instance, content in rest.get("contents", {}).items():
        versions.contents[RoleInstanceID(*instance)] = content
