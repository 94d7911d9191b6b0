"""A real run of federated learning, written as RoleML's files are, deploys and trains."""

import pytest

from roleml_nb import Testbed

FILES = {
    "run": """\
<<: !include topology/star.yaml
profiles: !include nodes/small.yaml profiles
roles: !include roles/federated.yaml
""",
    "nodes__small": "profiles:\n"
    + "".join(
        f"  - {{name: {name}, address: '127.0.0.1:{5000 + number}'}}\n"
        for number, name in enumerate(["server", "client1", "client2", "client3", "client4"])
    ),
    "topology__star": """\
connection_rules:
  - client.* server
  - server client.*
relationship_rules:
  server: {client: client.*/trainer}
  conductor: {coordinator: server}
relationship_links:
  server: {trainer: client}
deployment_order: [client.*, server]
""",
    "roles__federated": """\
client.*:
  trainer:
    class: roleml_nb.library.EpochTrainer
    impl:
      <<: !include workload.yaml common
      dataset:
        constructor: roleml_nb.workload.digits
        constructor_args: {part: '$c[0-3]', parts: 4}
        construct_strategy: once_eager
server:
  aggregator:
    class: roleml_nb.library.FedAvgAggregator
  coordinator:
    class: roleml_nb.library.FederatedCoordinator
  client-selector:
    class: roleml_nb.library.ClientSelector
    options: {fraction: 0.5, seed: 1}
  evaluator:
    class: roleml_nb.library.ModelMaintainer
    impl:
      <<: !include workload.yaml common
      dataset_test: {constructor: roleml_nb.workload.digits_test}
""",
    "roles__workload": """\
common:
  model:
    constructor: roleml_nb.workload.mlp
    constructor_args: {inputs: 64, classes: 10, seed: 0}
""",
}


@pytest.mark.parametrize("engines", [0, 2], ids=["one process", "engines"])
def test_it_trains(write, engines):
    name = write(**FILES)
    with pytest.warns(UserWarning, match="not used, since nodes live on ipyparallel engines"):
        bed = Testbed.from_spec(name, engines=engines)
    with bed:
        assert bed.engines == engines
        result = bed.call("server/coordinator", "run", {"num_rounds": 8}, timeout=120)
        assert result["accuracy"] > 0.7
        rounds = bed.trace.metrics.to_pandas().query(
            "channel == 'round-completed' and metric == 'clients'"
        )
        assert list(rounds.value) == [2.0] * 8  # half of the clients, as the selector was told
        bed.save_spec("saved.yaml")
        spec = bed.spec()
    with Testbed.from_spec("saved.yaml", engines=0) as again:
        assert again.spec()["nodes"]["client4"]["roles"] == spec["nodes"]["client4"]["roles"]
        assert again.call("server/coordinator", "run", {"num_rounds": 8}, timeout=120)[
            "accuracy"
        ] == pytest.approx(result["accuracy"], abs=0.02)
