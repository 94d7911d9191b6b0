"""The work of fedavg_round.py in RoleML, a process per actor, over gRPC; prints the median ms of a
round, and the seconds of all.

    python roleml_round.py parts.npz CLIENTS ROUNDS

Clients are RoleML's `EpochTrainer`, with its own model template; the server does what the roles of
its example of federated averaging do, in one role instead of four, and asks for data sizes once
instead of in each round.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import statistics
import sys
import tempfile
import threading
import time

import numpy as np
import torch
from roleml.core.actor.group.util.collections import TaskResultCollector
from roleml.core.role.types import Message
from roleml.essentials import ActorBuilder, Role, RoleInstanceID, Service
from roleml.library.roles.trainer.epoch import EpochTrainer
from roleml.library.workload.models.templates.torch.classification import SimpleTorchXYModel
from roleml.library.workload.util.collections.merger.torch import WeightedTorchStateDictAverager
from roleml_latency import GRPC, free_port

TOGETHER = "roleml.core.actor.group.impl.threaded.ThreadedCollectiveImplementor"


class Perceptron(SimpleTorchXYModel):
    def build_model(self, **options):
        torch.manual_seed(0)
        module = torch.nn.Sequential(
            torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)
        )
        return module, torch.optim.SGD(module.parameters(), lr=0.1), torch.nn.CrossEntropyLoss()


class Batches:
    """32 samples at a time."""

    def __init__(self, x: np.ndarray, y: np.ndarray):
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)

    def __len__(self) -> int:
        return len(self.x)

    def __iter__(self):
        return zip(self.x.split(32), self.y.split(32), strict=True)


class Server(Role):
    @Service(expand=True)
    def run(self, caller, clients, rounds):
        """Milliseconds of each round."""
        group = [RoleInstanceID(client, "trainer") for client in clients]
        update, sizes, taken = Perceptron().get_params(), {}, []
        self.call_group(group, "get-data-size", on_result=sizes.__setitem__)
        for _ in range(rounds):
            start = time.perf_counter()
            self.call_group(group, "apply-update", payloads={"update": update})
            merger = TaskResultCollector(group, merger=WeightedTorchStateDictAverager(sizes))
            self.call_task_group(group, "train", on_result=merger.push)
            update = merger.result()
            taken.append(1000 * (time.perf_counter() - start))
        return taken


def build(name: str, ports: dict[str, int], roles: dict):
    builder = ActorBuilder()
    builder.load_config(
        {
            "name": name,
            "address": f"127.0.0.1:{ports[name]}",
            "messaging_component": GRPC,
            "collective_implementor": TOGETHER,
            "contacts": {
                other: f"127.0.0.1:{port}" for other, port in ports.items() if other != name
            },
            "roles": roles,
            "workdir": tempfile.mkdtemp(),
            "log_console_level": "ERROR",
        }
    )
    return builder.build()


def client(part: int, name: str, ports: dict[str, int], path: str) -> None:
    torch.set_num_threads(1)
    samples = np.load(path)
    build(
        name,
        ports,
        {
            "trainer": {
                "class": EpochTrainer,
                "impl": {
                    "model": {"class": Perceptron},
                    "dataset": {
                        "class": Batches,
                        "constructor_args": {"x": samples[f"x{part}"], "y": samples[f"y{part}"]},
                    },
                },
            }
        },
    ).run()


def listening(port: int, limit: float) -> None:
    """Return when somebody listens at the port; ConnectionError after `limit` seconds."""
    deadline = time.monotonic() + limit
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def main() -> None:
    path, (clients, rounds) = sys.argv[1], map(int, sys.argv[2:])
    torch.set_num_threads(1)
    start = time.perf_counter()
    names = [f"client{part}" for part in range(clients)]
    ports = {name: free_port() for name in ("server", *names)}
    spawn = multiprocessing.get_context("spawn")
    processes = [
        spawn.Process(target=client, args=(part, name, ports, path), daemon=True)
        for part, name in enumerate(names)
    ]
    for process in processes:
        process.start()
    actor = build("server", ports, {"server": {"class": Server}})
    threading.Thread(target=actor.run, daemon=True).start()
    for name in names:
        listening(ports[name], 120)
    taken = actor.call(
        "server",
        RoleInstanceID("server", "server"),
        "run",
        Message({"clients": names, "rounds": rounds}),
    )
    for process in processes:
        process.kill()
    print(statistics.median(taken), time.perf_counter() - start, flush=True)
    os._exit(0)  # its threads go on


if __name__ == "__main__":
    main()
