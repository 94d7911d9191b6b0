"""Checkpoints: write the state of all roles into a file, and restore it into a testbed."""

from __future__ import annotations

import os
import uuid
import zipfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import count, repeat
from pathlib import Path
from typing import Any

from roleml_nb.actor import Invocation
from roleml_nb.actor.state_requests import StateRequests
from roleml_nb.host.quiesce import resume
from roleml_nb.messaging.requests import NodeRequest
from roleml_nb.role import (
    NOTEBOOK,
    CallerError,
    HandlerError,
    InternalError,
    RoleInstanceID,
    RoleMLError,
    natural_key,
)
from roleml_nb.role.checks.visible import visible
from roleml_nb.testbed.cluster.quiesce import Quiesced, quiesced
from roleml_nb.testbed.cluster.startup import share_paths
from roleml_nb.testbed.registry.shared_modules import Shared, known_versions, share

from .checkpoint_file import (
    CheckpointError,
    check_free,
    check_parts,
    opened,
    read_frames,
    read_testbed,
    write_frames,
    write_header,
    write_testbed,
)
from .deployment import Deployment

__all__ = ["CheckpointError", "restore", "save"]

MAX_CONCURRENT = 16
"""Nodes that are asked at the same time: their states are in memory together."""
STEP_TIMEOUT_S = 300.0
"""Seconds that a node gets to hand out its state, or to take it."""


def save(deployment: Deployment, path: str | os.PathLike[str], timeout: float) -> None:
    """See `Testbed.save`."""
    target = Path(path)
    check_free(target)
    _check_all_alive(deployment)
    fleet = deployment.fleet
    nodes = sorted(deployment.registry.places, key=natural_key)
    beside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        with quiesced(fleet, timeout) as resting, zipfile.ZipFile(beside, "w") as file:
            write_testbed(file, _state(deployment, resting))
            seeds = []
            for number, (seed, frames) in enumerate(
                _step(deployment, StateRequests.capture, nodes)
            ):
                write_frames(file, str(number), frames)
                seeds.append(seed)
            header = {
                "seed": deployment.seed,
                "engines": len(fleet.numbers),
                "nodes": nodes,
                "seeds": seeds,
            }
            write_header(file, header)
        beside.replace(target)
    except (OSError, ValueError) as error:  # of the latter kind: a name with a NUL
        raise CheckpointError(
            f"cannot write {visible(str(target))}: {getattr(error, 'strerror', None) or error}"
        ) from None
    finally:
        with suppress(ValueError):
            beside.unlink(missing_ok=True)


def _check_all_alive(deployment: Deployment) -> None:
    lost = deployment.fleet.lost
    for node, place in deployment.registry.places.items():
        if place in lost:
            raise CheckpointError(
                f"cannot save: node '{node}' is lost with {place} ({lost[place]}); its state is"
                " gone"
            )


def _state(deployment: Deployment, resting: Quiesced) -> dict[str, Any]:
    """Return the notebook's knowledge: plain data, and the classes, options and elements that were
    given.
    """
    registry, versions = deployment.registry, deployment.versions
    given = {}
    for instance, cls in versions.classes.items():
        given[tuple(instance)] = (cls, *versions.given.get(instance, (None, None)))
    contents = {tuple(instance): content for instance, content in versions.contents.items()}
    return {
        "places": registry.places,
        "roles": registry.copy_roles(),
        "relationships": registry.relationships,
        "links": registry.links,
        "positions": registry.positions,
        "drawn": registry.board_layout,
        "contexts": registry.contexts,
        "given": given,
        "contents": contents,
        "modules": known_versions(deployment.fleet),
        **resting._asdict(),
    }


def _step(
    deployment: Deployment,
    request: NodeRequest[...],
    nodes: Iterable[str],
    arguments: Iterable[Mapping[str, Any]] = repeat({}),
) -> Iterator[Any]:
    """Ask nodes, some at the same time; yield their answers, in order."""
    actor = deployment.fleet.home.actors[NOTEBOOK]
    asked: deque[Invocation] = deque()
    for node, given in zip(nodes, arguments, strict=False):
        asked.append(actor.ask_node(request, node, **given))
        if len(asked) >= MAX_CONCURRENT:
            yield asked.popleft().result(STEP_TIMEOUT_S)
    while asked:
        yield asked.popleft().result(STEP_TIMEOUT_S)


def _run_step(
    deployment: Deployment,
    request: NodeRequest[...],
    nodes: Iterable[str],
    arguments: Iterable[Mapping[str, Any]] = repeat({}),
) -> None:
    """Ask nodes, as `_step` does, and wait until all have answered."""
    deque(_step(deployment, request, nodes, arguments), 0)


def restore(deployment: Deployment, path: str | os.PathLike[str], timeout: float) -> None:
    """See `Testbed.restore`."""
    fleet = deployment.fleet
    with opened(path) as (file, header):
        _check_fits(deployment, header, os.fspath(path))
        check_parts(file, header, os.fspath(path))
        state = read_testbed(file, header, os.fspath(path))
        _spawn(deployment, header, state)
        share_paths(fleet)
        share(fleet, state.get("modules", Shared()))
        with quiesced(fleet, timeout) as resting:
            nodes: list[str] = header["nodes"]
            try:
                _run_step(deployment, StateRequests.prepare, nodes, _contents(file, nodes, state))
            except Exception as error:
                _run_step(deployment, StateRequests.release, nodes)
                if isinstance(error, CallerError | HandlerError | InternalError):
                    raise CheckpointError(f"cannot restore {os.fspath(path)}: {error}") from None
                raise
            try:
                _run_step(deployment, StateRequests.restore, nodes)
            except RoleMLError as error:
                raise CheckpointError(
                    f"not all nodes could be made what they are in {os.fspath(path)}, and the"
                    f" testbed is neither what it was nor that: stop it. {error}"
                ) from error
            for roles in (*resting.ready.values(), *resting.running.values()):
                roles.clear()  # of these, nothing goes on
        _update_registry(deployment, state)
        fleet.on_hosts(resume, state["ready"], state["running"])


def _check_fits(deployment: Deployment, header: Mapping[str, Any], path: str) -> None:
    seed, registry = deployment.seed, deployment.registry
    if seed != header["seed"]:
        raise CheckpointError(
            f"{path} is of a testbed with seed {header['seed']}, and this one has {seed}; start"
            f" one with Testbed(seed={header['seed']}), or use Testbed.from_checkpoint({path!r})"
        )
    for node in registry.nodes():
        if node not in header["nodes"] and registry.roles.get(node):
            raise CheckpointError(
                f"{path} has no node '{node}', which has roles here; restore into a testbed of its"
                f" own, with Testbed.from_checkpoint({path!r})"
            )


def _contents(
    file: zipfile.ZipFile, nodes: list[str], state: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield each node's part of a file, and the options of its roles: {role: options, or None if
    they are not known}.
    """
    for number, node in enumerate(nodes):
        options = {}
        for (place, name), given in state["given"].items():
            if place == node:
                options[name] = given[1]
        yield {"frames": read_frames(file, str(number)), "options": options}


def _spawn(deployment: Deployment, header: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Spawn the nodes that are missing, on their former engines if these are there."""
    fleet, registry = deployment.fleet, deployment.registry
    hosts = fleet.hosts_for(None)
    kept = [*hosts, NOTEBOOK] if header["engines"] else hosts
    for number, (node, seed) in enumerate(zip(header["nodes"], header["seeds"], strict=True)):
        if node not in registry.places:
            context = state["contexts"].get(node, {})
            place = state["places"][node]
            places = {node: place if place in kept else hosts[number % len(hosts)]}
            fleet.spawn(places, {**context, "seed": seed})
            registry.spawned(places, context)


def _update_registry(deployment: Deployment, state: Mapping[str, Any]) -> None:
    """Update the notebook's registry."""
    registry, versions = deployment.registry, deployment.versions
    for name in ("roles", "relationships", "links", "positions"):
        known = getattr(registry, name)
        known.clear()
        known.update(state[name])
    registry.board_layout = state["drawn"]
    registry.revision += 1
    registry.assignment_counter = count(max(registry.assigned_turns(), default=-1) + 1)
    for table in versions.tables:
        table.clear()
    for instance, (cls, options, elements) in state["given"].items():
        if options is None:  # another kernel has assigned it
            versions.updated(RoleInstanceID(*instance), cls)
        else:
            versions.assigned(RoleInstanceID(*instance), cls, options, elements)
    # which may be older than the classes of this kernel
    for instance, content in state.get("contents", {}).items():
        versions.contents[RoleInstanceID(*instance)] = content
