"""A project written for RoleML, files and roles, with clients that register at a server: it runs as
it is.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILES = {
    "code/federated/__init__.py": "",
    "code/federated/roles.py": (
        """\
from collections.abc import Callable

from roleml.core.actor.group.makers import Relationship
from roleml.core.actor.group.util.collections import TaskResultCollector
from roleml.essentials import Element, Role, Service, Task
from roleml.library.roles.initiator.server import ServerInitiator
from roleml.library.roles.trainer.base import BaseModelMaintainer


class MyInitiator(ServerInitiator):
    def __init__(self, num_rounds, **options):
        super().__init__(**options)
        self.num_rounds, self.results = num_rounds, None

    def start_impl(self):
        task = self.call_task("coordinator", "run", {"num_rounds": self.num_rounds})
        self.results = task.result()

    @Service(expand=True)
    def get_results(self, caller):
        return self.results


class Aggregator(Role):
    merger = Element(Callable, type_check=False)

    @Task(expand=True)
    def aggregate(self, caller, update):
        group = Relationship("client")
        self.call_group(group, "apply-update", payloads={"update": update})
        collector = TaskResultCollector(group, merger=self.merger())
        self.call_task_group(group, "train", {"num_epochs": 1}, on_result=collector.push)
        return collector.result()


class Coordinator(BaseModelMaintainer):
    @Task(expand=True)
    def run(self, caller, num_rounds):
        for _ in range(num_rounds):
            update = self.model().get_params()
            task = self.call_task("aggregator", "aggregate", payloads={"update": update})
            self.model().set_params(task.result())
        return self.model().test(self.dataset_test())
"""
    ),
    "code/federated/workload.py": (
        '''\
import numpy as np
import torch
from roleml.library.workload.models.templates.torch.classification import SimpleTorchXYModel
from sklearn.datasets import load_digits


class Digits:
    def __init__(self, part, parts):
        data = load_digits()
        self.x, self.y = data.data[part::parts].astype(np.float32) / 16, data.target[part::parts]

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], self.y[index]


def combine(samples):
    x, y = zip(*samples)
    return torch.tensor(np.array(x)), torch.tensor(np.array(y))


class Descent:
    """Plain gradient descent. The first optimizer of torch.optim imports for seconds."""

    def __init__(self, parameters, lr):
        self.parameters, self.lr = list(parameters), lr

    def zero_grad(self):
        for parameter in self.parameters:
            parameter.grad = None

    def step(self):
        with torch.no_grad():
            for parameter in self.parameters:
                parameter -= self.lr * parameter.grad


class Perceptron(SimpleTorchXYModel):
    def build_model(self, lr=0.1, **options):
        torch.manual_seed(0)
        module = torch.nn.Linear(64, 10)
        return module, Descent(module.parameters(), lr), torch.nn.CrossEntropyLoss()
'''
    ),
    "config/shared.yaml": (
        """\
messaging_component: roleml.extensions.messaging.default.comb.DefaultMessagingComponent
collective_implementor: roleml.core.actor.group.impl.threaded.ThreadedCollectiveImplementor
log_file_path: logs/$time
src: code
"""
    ),
    "config/model.yaml": (
        """\
class: federated.workload.Perceptron
constructor_args:
  lr: 0.1
construct_strategy: once_eager
"""
    ),
    "config/server.yaml": (
        """\
<<: !include shared.yaml
name: server
address: 127.0.0.1:5000
relationship_links:
  client: trainer
roles:
  aggregator:
    class: federated.roles.Aggregator
    impl:
      merger:
        class: roleml.library.workload.util.collections.merger.torch.TorchStateDictAverager
        construct_strategy: every_call
  coordinator:
    class: federated.roles.Coordinator
    impl:
      model: !include model.yaml
      dataset_test:
        constructor_args:
          dataset:
            type: federated.workload.Digits
            options: {part: 3, parts: 4}
          sampler: sequential
          combiner: federated.workload.combine
  initiator:
    class: federated.roles.MyInitiator
    options:
      min_clients: 2
      num_rounds: 10
"""
    ),
}
FILES |= {
    f"config/client{number}.yaml": (
        f"""\
<<: !include shared.yaml
name: client{number}
address: 127.0.0.1:{5000 + number}
contacts:
  server: 127.0.0.1:5000
handshakes:
  - server
relationships:
  server: server/initiator
roles:
  trainer:
    class: roleml.library.roles.trainer.epoch.EpochTrainer
    impl:
      model: !include model.yaml
      dataset:
        constructor_args:
          dataset:
            type: federated.workload.Digits
            options: {{part: {number}, parts: 4}}
          sampler: roleml.library.workload.datasets.samplers.RandomOneOffIndexSampler
          batch_size: 16
          combiner: federated.workload.combine
  # the initiator comes last
  initiator:
    class: roleml.library.roles.initiator.client.ClientInitiator
"""
    )
    for number in (1, 2)
}
PROGRAM = """\
import sys
import warnings
from roleml_nb import Testbed
from tests.waiting import until

warnings.simplefilter("ignore")
files = ["config/server.yaml", "config/client1.yaml", "config/client2.yaml"]
results = lambda: bed.call("server/initiator", "get-results")
with Testbed.from_spec(files, engines=int(sys.argv[1])) as bed:
    result = until(results, "the end of the training", limit=120.0)
    print(bed.engines, result["accuracy"] > 0.8, list(bed.errors))
    bed.save_spec("saved.yaml")
with Testbed.from_spec("saved.yaml", engines=0) as bed:
    again = until(results, "the end of the training", limit=120.0)
    print(abs(again["accuracy"] - result["accuracy"]) < 0.1, list(bed.errors))
"""


@pytest.mark.parametrize("engines", [0, 1], ids=["one process", "engine"])
def test_it_runs(engines, tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(engines)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.stdout == f"{engines} True []\nTrue []\n", done.stderr[-3000:]
