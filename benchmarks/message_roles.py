"""The roles that benchmarks of messages measure with; they travel by value, as those of a notebook
do.
"""

from __future__ import annotations

import sys

import cloudpickle

from roleml_nb import Role, Service, Task

__all__ = ["Client", "Exchange", "Server", "Updater"]


class Server(Role):
    @Service(expand=True)
    def take(self, caller, data=None):
        return None

    @Task(expand=True)
    def work(self, caller):
        return None


class Client(Role):
    @Service(expand=True)
    def measure(self, caller, calls, size=0):
        """Median ms of a service call with an array of so many bytes."""
        import statistics
        import time

        import numpy

        payloads = {"data": numpy.zeros(size // 8)} if size else {}
        taken = []
        for _ in range(calls + 5):
            start = time.perf_counter()
            self.call("server", "take", payloads=payloads)
            taken.append((time.perf_counter() - start) * 1000)
        return statistics.median(taken[5:])

    @Service(expand=True)
    def flood(self, caller, calls):
        """Task calls per second, made without waiting, until all are answered."""
        import time

        start = time.perf_counter()
        invocations = [self.call_task("server", "work") for _ in range(calls)]
        for invocation in invocations:
            invocation.result(120)
        return calls / (time.perf_counter() - start)

    @Service(expand=True)
    def broadcast(self, caller, relationship, times, size):
        """Median ms of a group call."""
        import statistics
        import time

        import numpy

        data, taken = numpy.zeros(size // 8), []
        for _ in range(times + 1):
            start = time.perf_counter()
            self.call_group(relationship, "take", payloads={"data": data})
            taken.append((time.perf_counter() - start) * 1000)
        return statistics.median(taken[1:])


class Exchange(Role):
    @Task(expand=True)
    def run(self, caller, rounds, size):
        """Sends a model of so many floats to all members and averages what comes back."""
        import numpy

        model = numpy.zeros(size, "f4")
        for _ in range(rounds):
            received = [
                model
                for _, model in self.call_group("members", "update", payloads={"model": model})
            ]
            model = sum(received) / len(received)


class Updater(Role):
    @Service(expand=True)
    def update(self, caller, model):
        model += 1
        return model


cloudpickle.register_pickle_by_value(sys.modules[__name__])
