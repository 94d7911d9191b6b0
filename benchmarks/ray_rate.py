"""Ray's asynchronous actor calls per second, between two processes; prints JSON.

See messages.py.
"""

from __future__ import annotations

import json
import sys
import time


def main(calls: int) -> None:
    import ray

    ray.init(num_cpus=2, include_dashboard=False, logging_level="error")

    @ray.remote
    class Server:
        def work(self) -> None:
            return None

    @ray.remote
    class Client:
        def flood(self, server, calls: int) -> float:
            start = time.perf_counter()
            ray.get([server.work.remote() for _ in range(calls)])
            return calls / (time.perf_counter() - start)

    server, client = Server.remote(), Client.remote()
    ray.get(client.flood.remote(server, 100))
    rates = sorted(ray.get(client.flood.remote(server, calls)) for _ in range(3))
    ray.shutdown()
    print(json.dumps([rates[1]]), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
