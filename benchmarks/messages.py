"""What messages cost, beside a bare ZeroMQ round trip and, where installed, beside RoleML's calls
and Ray's.

    python benchmarks/messages.py [--calls 500]

Everything is measured in one run, in turns, and told as medians. RoleML and Ray are taken from this
Python, or from that named by PEER_PYTHON (pip install 'roleml-nb[benchmarks]').
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

import psutil
from message_roles import Client, Server
from peers import BareZeroMQ, machine, python_with

from roleml_nb import Testbed

TURNS = 9
MEGABYTE = 1_000_000
HERE = Path(__file__).parent


def in_turns(ways: dict[str, object], turns: int = TURNS) -> dict[str, float]:
    """The median of what each way returns, asked in turns, so that whatever disturbs one disturbs
    all.
    """
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, way in ways.items():
            taken[name].append(way())  # type: ignore[operator]
    return {name: statistics.median(values) for name, values in taken.items()}


def deploy(bed: Testbed) -> None:
    bed.spawn("a", "beside", on=0)
    bed.spawn("b", on=1)
    bed.assign(["a", "beside"], "server", Server)
    bed.assign(["a", "b"], "client", Client)
    bed.relate("b", "server", "a/server")
    bed.relate("a", "server", "beside/server")


def peer(script: str, module: str, *arguments: object) -> list[float] | None:
    """The numbers that a peer's script prints; None where the peer is not installed."""
    python = python_with(module)
    if python is None:
        return None
    answer = subprocess.run(
        [python, str(HERE / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    if answer.returncode:
        print(answer.stderr[-2000:])
        return None
    return json.loads(answer.stdout.splitlines()[-1])


def broadcast(bed: Testbed, calls: int) -> dict[str, float]:
    """Milliseconds for 10 MB to one actor and to 100, half of them on each engine."""
    bed.spawn("one{1..50}", on=0)
    bed.spawn("two{1..50}", on=1)
    bed.assign(["one*", "two*"], "server", Server)
    bed.relate("b", "all", ["one*/server", "two*/server"])
    bed.relate("b", "single", "one1/server")
    times = max(3, calls // 50)
    return in_turns(
        {
            name: lambda name=name: bed.call(
                "b/client",
                "broadcast",
                {"relationship": name, "times": times, "size": 10 * MEGABYTE},
            )
            for name in ("all", "single")
        }
    )


def thousand(number: int) -> tuple[float, float]:
    """Seconds to spawn and assign so many actors, and kB of memory that each takes on the
    engines.
    """
    with Testbed(engines=2, preload=()) as bed:
        bed.spawn("first").assign("server", Server)
        engines = [psutil.Process(process.pid) for process in bed.fleet._processes.values()]
        before = sum(process.memory_info().rss for process in engines)
        start = time.perf_counter()
        bed.spawn(f"n{{1..{number}}}").assign("server", Server)
        taken = time.perf_counter() - start
        return (
            taken,
            (sum(process.memory_info().rss for process in engines) - before) / number / 1000,
        )


def row(what: str, own: str, beside: str, ratio: float, bar: str, met: bool) -> str:
    return f"| {what} | {own} | {beside} | {ratio:.2f} | {bar} | {'yes' if met else 'no'} |"


def measure(calls: int, peers: bool) -> list[str]:
    rows = []
    with (
        BareZeroMQ() as bare,
        Testbed(engines=2, preload=()) as bed,
        Testbed(engines=2, preload=(), trace=False) as silent,
    ):
        for each in (bed, silent):
            deploy(each)

        def ask(each: Testbed, node: str, channel: str, **args: int) -> float:
            return each.call(f"{node}/client", channel, args, timeout=300)

        small = in_turns(
            {
                "bare": lambda: bare.round_trip(calls),
                "own": lambda: ask(bed, "b", "measure", calls=calls),
                "silent": lambda: ask(silent, "b", "measure", calls=calls),
            }
        )
        large = {
            size: in_turns(
                {
                    "bare": lambda size=size: bare.round_trip(max(5, calls // 25), size * MEGABYTE),
                    "own": lambda size=size: ask(
                        bed, "b", "measure", calls=max(5, calls // 25), size=size * MEGABYTE
                    ),
                },
                3,
            )
            for size in (10, 50)
        }
        rate = in_turns(
            {
                "own": lambda: ask(bed, "b", "flood", calls=10 * calls),
                "silent": lambda: ask(silent, "b", "flood", calls=10 * calls),
            }
        )
        local = in_turns({"own": lambda: ask(bed, "a", "measure", calls=calls) * 1000})["own"]
        spread = broadcast(bed, calls)
    taken, memory = thousand(2 * calls)
    roleml = peer("roleml_latency.py", "roleml", calls, 10, 50) if peers else None
    ray = peer("ray_rate.py", "ray", 10 * calls) if peers else None
    own, bare_small = small["own"], small["bare"]
    rows.append(
        row(
            "service call, engine to engine",
            f"{own:.3f} ms",
            f"bare ZeroMQ {bare_small:.3f} ms",
            own / bare_small,
            "≤ 2.5",
            own <= 2.5 * bare_small,
        )
    )
    for size, found in large.items():
        speed, beside = size / found["own"], size / found["bare"]
        rows.append(
            row(
                f"{size} MB array, one way, small answer",
                f"{speed:.2f} GB/s",
                f"bare ZeroMQ {beside:.2f} GB/s",
                speed / beside,
                "≥ 0.6",
                speed >= 0.6 * beside,
            )
        )
    rows.append(
        row(
            "asynchronous task calls",
            f"{rate['own']:.0f} /s",
            "",
            rate["own"] / 15000,
            "≥ 15,000 /s",
            rate["own"] >= 15000,
        )
    )
    rows.append(
        row(
            "service call within a host, no payload",
            f"{local:.1f} µs",
            "",
            local / 24,
            "≤ 24 µs",
            local <= 24,
        )
    )
    if roleml is not None:
        remote_ms, here_us, *large_ms = roleml
        rows.append(
            row(
                "service call, engine to engine",
                f"{own:.3f} ms",
                f"RoleML gRPC {remote_ms:.3f} ms",
                own / remote_ms,
                "≤ 0.25",
                own <= 0.25 * remote_ms,
            )
        )
        for size, taken_ms in zip(large, large_ms, strict=True):
            ratio = taken_ms / large[size]["own"]
            rows.append(
                row(
                    f"{size} MB array, one way, small answer",
                    f"{size / large[size]['own']:.2f} GB/s",
                    f"RoleML gRPC {size / taken_ms:.2f} GB/s",
                    ratio,
                    "≥ 5",
                    ratio >= 5,
                )
            )
        rows.append(
            row(
                "service call within a host, no payload",
                f"{local:.1f} µs",
                f"RoleML {here_us:.1f} µs",
                local / here_us,
                "≤ 2",
                local <= 2 * here_us,
            )
        )
    if ray is not None:
        rows.append(
            row(
                "asynchronous task calls",
                f"{rate['own']:.0f} /s",
                f"Ray {ray[0]:.0f} /s",
                rate["own"] / ray[0],
                "≥ 5",
                rate["own"] >= 5 * ray[0],
            )
        )
    rows.append(
        row(
            "10 MB to 100 actors on 2 engines",
            f"{spread['all']:.1f} ms",
            f"to one {spread['single']:.1f} ms",
            spread["all"] / spread["single"],
            "≤ 3",
            spread["all"] <= 3 * spread["single"],
        )
    )
    rows.append(
        row(
            f"spawn and assign {2 * calls} actors",
            f"{taken:.2f} s",
            "",
            taken / (2 * calls) * 1000 / 3,
            "≤ 3 s per 1,000",
            taken <= 3 * 2 * calls / 1000,
        )
    )
    rows.append(
        row(
            "memory of an actor with a role",
            f"{memory:.0f} kB",
            "",
            memory / 50,
            "≤ 50 kB",
            memory <= 50,
        )
    )
    for what, on, off in (
        ("service call", own, small["silent"]),
        ("asynchronous task calls", rate["silent"], rate["own"]),
    ):
        rows.append(row(f"trace on / off: {what}", "", "", on / off, "≤ 1.05", on <= 1.05 * off))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--no-peers", action="store_true", help="leave out RoleML and Ray")
    given = parser.parse_args()
    rows = measure(given.calls, not given.no_peers)
    print(f"{machine()}\n")
    print("| what | roleml_nb | beside | ratio | bar | met |\n|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
