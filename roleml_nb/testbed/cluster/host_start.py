"""Start a host in the process of each engine."""

from __future__ import annotations

import os
from typing import NamedTuple

from roleml_nb.host import engine as remote
from roleml_nb.host.process import Process
from roleml_nb.messaging.links.addresses import Address

from .engines import Engines

__all__ = ["MAX_WORKERS", "HostOptions", "start_hosts"]

MAX_WORKERS = 4
"""Tasks at the same time on a host that has so many cores."""
START_TIMEOUT_S = 60.0


class HostOptions(NamedTuple):
    """Options of `Testbed` that all its hosts share."""

    timeout: float
    workers: int | None
    threads: int | None
    links: tuple[str, ...]
    preload: tuple[str, ...]
    trace: bool
    pin: bool


def start_hosts(
    testbed_id: str, engines: Engines, options: HostOptions
) -> dict[int, tuple[Address, Process]]:
    """Start all hosts at the same time; return the address and the process of each engine."""
    cores = 1 if options.pin else max(1, (os.cpu_count() or 1) // len(engines.ids))
    answers = {}
    for number in engines.ids:
        answers[number] = engines.send(
            number,
            remote.start_host,
            testbed_id,
            f"engine{number}",
            f"engine {number}",
            directory=engines.directory,
            call_timeout=options.timeout,
            threads=options.threads or cores,
            workers=options.workers or min(MAX_WORKERS, cores),
            owned=engines.owned,
            owner=Process.here(),
            preload=options.preload,
            trace=options.trace,
            relay="relay" in options.links,
            stays=engines.detached,
            core=number if options.pin else None,
        )
    return {number: answer.result(START_TIMEOUT_S) for number, answer in answers.items()}
