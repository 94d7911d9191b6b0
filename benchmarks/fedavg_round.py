"""A round of federated averaging on digits, beside the bare training loop of the same work in one
process, Flower and RoleML.

10 clients, MLP 64-64-10, one local epoch, batch 32, SGD 0.1, 20 rounds.

    python benchmarks/fedavg_round.py [--engines 2] [--rounds 20]

Flower's simulation is measured where `flwr[simulation]` is installed, and RoleML, with a process
per actor, where `roleml-ai[grpc]` is: here, or in the Python that the variable PEER_PYTHON names.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from peers import machine, python_with

from roleml_nb import Each, Testbed, impl
from roleml_nb.library import EpochTrainer, FedAvgAggregator, FederatedCoordinator, average
from roleml_nb.workload import digits, mlp

CLIENTS = 10


def torch_loop(rounds: int) -> float:
    """Median ms a round on one thread, as one would write it: train a module on each part in turn,
    and average.
    """
    import torch
    from torch import nn

    torch.set_num_threads(1)
    parts = [digits(part=part, parts=CLIENTS) for part in range(CLIENTS)]
    batches = [[(torch.from_numpy(x), torch.from_numpy(y)) for x, y in part] for part in parts]
    shares = [len(part) / sum(map(len, parts)) for part in parts]
    modules = [
        nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)) for _ in range(CLIENTS)
    ]
    optimizers = [torch.optim.SGD(module.parameters(), lr=0.1) for module in modules]
    criterion, update, taken = nn.CrossEntropyLoss(), modules[0].state_dict(), []
    for _ in range(rounds):
        start = time.perf_counter()
        for module, optimizer, part in zip(modules, optimizers, batches, strict=True):
            module.load_state_dict(update)
            for x, y in part:
                optimizer.zero_grad()
                criterion(module(x), y).backward()
                optimizer.step()
        states = [module.state_dict() for module in modules]
        update = {
            name: sum(share * state[name] for share, state in zip(shares, states, strict=True))
            for name in states[0]
        }
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def bare_loop(rounds: int) -> float:
    """The same with the library's own model, whose gradients take less time."""
    import torch

    torch.set_num_threads(1)
    models = [mlp(64, 10) for _ in range(CLIENTS)]
    parts = [digits(part=part, parts=CLIENTS) for part in range(CLIENTS)]
    update, taken = models[0].get_params(), []
    for _ in range(rounds):
        start = time.perf_counter()
        updates = []
        for model, part in zip(models, parts, strict=True):
            model.set_params(update)
            model.train(part)
            updates.append(model.get_params())
        update = average(updates, [len(part) for part in parts])
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def federated(engines: int, rounds: int) -> tuple[float, float]:
    """Median ms a round, and seconds from start to stop."""
    begin = time.perf_counter()
    with Testbed(engines=engines) as bed:
        bed.spawn("server")
        clients = bed.spawn(f"client{{1..{CLIENTS}}}")
        clients.assign(
            "trainer",
            EpochTrainer,
            elements={
                "model": impl(mlp, 64, 10),
                "dataset": impl(digits, part=Each(range(CLIENTS)), parts=CLIENTS),
            },
        )
        bed.assign("server", "aggregator", FedAvgAggregator)
        bed.assign("server", "coordinator", FederatedCoordinator)
        bed.relate("server", "trainer", clients.role("trainer"))
        bed.call("server/coordinator", "run", {"num_rounds": rounds})
        metrics = bed.trace.metrics.to_pandas()
    times = metrics[(metrics.channel == "round-completed") & (metrics.metric == "round")].time
    return float(times.diff().median() * 1000), time.perf_counter() - begin


def peer(script: str, modules: str, rounds: int) -> tuple[float, float] | None:
    """Median ms a round, and seconds in all, of the same work in another system; None where that is
    not installed.
    """
    python = python_with(modules)
    if python is None:
        return None
    parts = {part: digits(part=part, parts=CLIENTS) for part in range(CLIENTS)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "parts.npz"
        np.savez(
            path,
            **{
                f"{side}{part}": getattr(data, side)
                for part, data in parts.items()
                for side in "xy"
            },
        )
        command = [
            python,
            str(Path(__file__).with_name(script)),
            str(path),
            str(CLIENTS),
            str(rounds),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    median, whole = done.stdout.split()[-2:]
    return float(median), float(whole)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    plain, bare = torch_loop(given.rounds), bare_loop(given.rounds)
    own, whole = federated(given.engines, given.rounds)
    flower = peer("flower_round.py", "flwr.simulation, ray, torch", given.rounds)
    roleml = peer("roleml_round.py", "roleml, grpc, torch", given.rounds)
    print(f"FedAvg, digits, {CLIENTS} clients, MLP 64-64-10, {given.rounds} rounds; {machine()}")
    print(f"bare loop in torch      {plain:7.1f} ms a round, on one thread")
    print(f"with the same model     {bare:7.1f} ms a round, on one thread")
    print(
        f"roleml_nb, {given.engines} engines    {own:7.1f} ms a round   {own / plain:.2f} × the"
        f" bare loop   bar: 1.5 ×   ({own / bare:.2f} × with the same model)"
    )
    totals = []
    for name, theirs, bar in (
        ("Flower's simulation", flower, 0.1),
        ("RoleML, 11 processes", roleml, 0.5),
    ):
        if theirs is None:
            print(f"{name:<23} not installed")
        else:
            print(
                f"{name:<23} {theirs[0]:7.1f} ms a round   ours is {own / theirs[0]:.2f} × that  "
                f" bar: {bar} ×"
            )
            totals.append(f"   {name}: {theirs[1]:.1f} s")
    print(f"start, {given.rounds} rounds, stop: {whole:.1f} s   bar: 6 s" + "".join(totals))


if __name__ == "__main__":
    main()
