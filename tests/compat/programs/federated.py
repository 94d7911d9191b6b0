"""Federated averaging as a program for RoleML: of roleml_nb it knows the testbed only."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import roleml_nb.compat
from roleml_nb import Each, Testbed, impl

roleml_nb.compat.install()

import roleml.core.context as context  # noqa: E402
from roleml.core.actor.group.makers import RoleInstances  # noqa: E402
from roleml.core.actor.group.util.collections import TaskResultCollector  # noqa: E402
from roleml.essentials import *  # noqa: E402, F403
from roleml.shared.collections.merger import DictKeyValueMerger, KeyValueMerger  # noqa: E402


class WeightedMean(KeyValueMerger):
    def __init__(self, weights):
        self.weights = weights
        self.total, self.weight = 0, 0

    def push(self, key, value):
        self.total = self.total + value * self.weights[key]
        self.weight += self.weights[key]

    def merge(self):
        return self.total / self.weight


def samples(number: int):
    return np.full(number, float(number))


class Learner(Role):  # noqa: F405
    data = Element(np.ndarray)  # noqa: F405
    learned = Event()  # noqa: F405

    def __init__(self):
        super().__init__()
        self.weights = np.zeros(2)

    @Service(expand=True)  # noqa: F405
    def get_data_size(self, _):
        return len(self.data())

    @Service("apply-update", expand=True)  # noqa: F405
    def take(self, _, update: Any):
        self.weights[:] = update

    @Task(expand=True)  # noqa: F405
    def train(self, _, num_epochs: int = 1):
        for _ in range(num_epochs):
            self.weights += 0.5 * (self.data().mean() - self.weights)
        self.learned.emit(args={"distance": float(abs(self.weights - self.data().mean()).max())})
        return self.weights


class Collector(Role):  # noqa: F405
    merger = Factory(KeyValueMerger, default_constructor=WeightedMean)  # noqa: F405

    @Task(expand=True)  # noqa: F405
    def aggregate(self, _, sources_and_options: Mapping[tuple[str, str], Mapping[str, Any]]):
        group = RoleInstances(sources_and_options.keys()).targets
        sizes = DictKeyValueMerger()
        self.call_group(group, "get_data_size", on_result=sizes.push)
        collector = TaskResultCollector(group, merger=self.merger(sizes.merge()))
        self.call_task_group(
            group,
            "train",
            on_result=collector.push,
            message_map={
                context.RoleInstanceID(*key): Message(dict(options))  # noqa: F405
                for key, options in sources_and_options.items()
            },
        )
        return collector.result()


class Coordinator(Role):  # noqa: F405
    initial = Element(Callable, default_impl=lambda: np.zeros(2))  # noqa: F405

    def __init__(self, num_rounds: int):
        super().__init__()
        self.num_rounds = num_rounds
        self.near = 0

    @EventHandler("client", "learned", expand=True, conditions={"distance__lt": 1.5})  # noqa: F405
    def on_learned(self, source, **_):
        self.near += 1

    @Task(expand=True)  # noqa: F405
    def run(self, _):
        model = self.initial()()
        for _ in range(self.num_rounds):
            clients = list(self.ctx.relationships.get_relationship("client"))
            self.call_group(clients, "apply-update", payloads={"update": model})
            options = {client: {"num_epochs": 2} for client in clients}
            model = self.call_task(
                "aggregator", "aggregate", payloads={"sources_and_options": options}
            ).result()
        return model.tolist()


if __name__ == "__main__":
    with Testbed(engines=int(sys.argv[1]), preload=(), timeout=60) as bed:
        bed.spawn("server", "client{1..3}")
        bed.assign("client*", "trainer", Learner, elements={"data": impl(samples, Each([1, 2, 3]))})
        bed.assign("server", "aggregator", Collector)
        bed.relate("server", "client", "client*/trainer")
        bed.assign("server", "coordinator", Coordinator, options={"num_rounds": 8})
        print(*bed.call("server/coordinator", "run"), list(bed.errors))
