"""FedNova with momentum, with a proximal term, with both, and what it is not right for.

Two clients have as many samples, and (w − c)² with c = 0 and 1 as objective, so the optimum is 1/2;
one makes a step in each round, the other twenty.
"""

from functools import partial

import numpy as np
import pytest
import torch

from roleml_nb import Each, HandlerError, Testbed, impl
from roleml_nb.library import EpochTrainer, FedAvg, FedAvgAggregator, FederatedCoordinator, FedNova
from roleml_nb.workload import ArrayDataset, SimpleTorchXYModel, TorchClassifier, mlp

STEPS, CENTRES, LR = (1, 20), (0.0, 1.0), 0.005


class Constant(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor(0.0))

    def forward(self, x):
        return self.w.expand(len(x))


class Point(SimpleTorchXYModel):
    def build_model(self, lr=LR, make=torch.optim.SGD, **options):
        module = Constant()
        return module, make(module.parameters(), lr=lr, **options), torch.nn.MSELoss()


def samples(client):
    return ArrayDataset(
        np.zeros((20, 1), np.float32),
        np.full(20, CENTRES[client], np.float32),
        batch_size=20 // STEPS[client],
    )


def federation(bed, name, strategy, optimizer, **model):
    bed.spawn(f"{name}-client{{1..2}}").assign(
        "trainer",
        EpochTrainer,
        options={"optimizer": optimizer},
        elements={"model": impl(Point, **model), "dataset": impl(samples, Each(range(2)))},
    )
    bed.spawn(f"{name}-server")
    bed.assign(f"{name}-server", "aggregator", FedAvgAggregator, elements={"strategy": strategy})
    bed.assign(f"{name}-server", "coordinator", FederatedCoordinator)
    bed.relate(f"{name}-server", "trainer", f"{name}-client*/trainer")

    def run(num_rounds, **options):
        bed.call(
            f"{name}-server/coordinator", "run", {"num_rounds": num_rounds, "options": options}
        )
        return float(bed.call(f"{name}-server/coordinator", "get-model")["w"])

    return run


def normaliser(steps, rho, alpha):
    """‖a‖₁, where a is what each gradient of constant size has moved w by in the end, as a
    polynomial in ρ and α.
    """
    a = np.zeros(steps)
    for at in range(steps):
        velocity = rho ** np.arange(at, -1, -1.0)  # of the gradients so far
        a[: at + 1] = (1 - alpha) * a[: at + 1] + velocity
    return np.abs(a).sum()


def expected(rounds, rho=0.0, mu=0.0, lrs=(LR, LR)):
    w = 0.0
    for _ in range(rounds):
        steps, norms = [], []
        for count, centre, lr in zip(STEPS, CENTRES, lrs, strict=True):
            y, velocity = w, 0.0
            for _ in range(count):
                velocity = rho * velocity + 2 * (y - centre)
                y = y - lr * velocity - lr * mu * (y - w)
            steps.append(y - w)
            norms.append(lr * normaliser(count, rho, lr * mu))
        w += np.mean(norms) * np.mean(
            [step / norm for step, norm in zip(steps, norms, strict=True)]
        )
    return w


@pytest.mark.parametrize("rho, mu", [(0.0, 0.0), (0.9, 0.0), (0.0, 40.0), (0.5, 20.0)])
def test_fednova_is_its_algorithm_and_ends_at_the_optimum(bed, rho, mu):
    """The algorithm itself ends where gradients change while clients train, the nearer to the
    optimum the smaller the steps.
    """
    run = federation(
        bed, f"nova{rho}x{mu}".replace(".", "-"), impl(FedNova, momentum=rho), "fresh", momentum=rho
    )
    found = run(20, proximal=mu) if mu else run(20)
    assert found == pytest.approx(expected(20, rho, mu), abs=1e-5) and found > 0.05
    assert expected(20_000, rho, mu, (1e-4, 1e-4)) == pytest.approx(0.5, abs=0.01)


def test_the_normaliser_of_a_proximal_term_is_the_papers():
    for steps, alpha in ((1, 0.2), (20, 0.2), (7, 0.01)):
        assert normaliser(steps, 0.0, alpha) == pytest.approx((1 - (1 - alpha) ** steps) / alpha)
        assert normaliser(steps, 0.9, 0.0) == pytest.approx(
            (steps - 0.9 * (1 - 0.9**steps) / 0.1) / 0.1
        )


def test_federated_averaging_ends_where_steps_count(lab):
    """In proportion 1 : 20, nearly."""
    assert federation(lab, "nova-not", impl(FedAvg), "kept", lr=0.02)(60) > 0.9


def test_learning_rates_that_differ_are_normalised_too(lab):
    run = federation(lab, "nova-rates", impl(FedNova), "kept", lr=Each([0.02, 0.002]))
    assert run(20) == pytest.approx(expected(20, lrs=(0.02, 0.002)), abs=1e-5)


def test_fresh_optimizers_forget_and_kept_ones_do_not(bed):
    """Of 1 step each round, a fresh one has the gradient alone; a kept one goes on with 0.9 of its
    velocity.
    """
    for optimizer in ("fresh", "kept"):
        name = f"nova-{optimizer}"
        bed.spawn(name).assign(
            "trainer",
            EpochTrainer,
            options={"optimizer": optimizer},
            elements={"model": impl(Point, lr=0.1, momentum=0.9), "dataset": impl(samples, 0)},
        )
        velocity = 0.0
        for start in (1.0, -0.5, 2.0, 0.25):
            bed.call(f"{name}/trainer", "apply-update", {"update": {"w": torch.tensor(start)}})
            velocity = 2 * start + (0.9 * velocity if optimizer == "kept" else 0.0)
            assert float(bed.call(f"{name}/trainer", "train")["w"]) == pytest.approx(
                start - 0.1 * velocity, rel=1e-5
            )


def test_a_fresh_optimizer_of_the_classifier(bed):
    bed.spawn("nova-classifier").assign(
        "trainer",
        EpochTrainer,
        options={"optimizer": "fresh"},
        elements={
            "model": impl(
                mlp,
                1,
                2,
                hidden=[],
                optimizer=partial(torch.optim.SGD, momentum=0.9),
                lr=0.1,
                seed=1,
            ),
            "dataset": impl(classes),
        },
    )
    start = bed.call("nova-classifier/trainer", "get-model")
    ends = []
    for _ in range(2):
        bed.call("nova-classifier/trainer", "apply-update", {"update": start})
        ends.append(
            bed.call(
                "nova-classifier/trainer",
                "train2",
                {"num_epochs": 3, "stepwise": True, "normalise": 0.9},
            )
        )
    assert all(torch.equal(ends[0]["update"][name], ends[1]["update"][name]) for name in start)
    assert [end["steps"] for end in ends] == [6, 6] and ends[0]["rated"]
    assert ends[0]["normaliser"] == pytest.approx(0.1 * normaliser(6, 0.9, 0.0))


def classes():
    x = np.linspace(-1, 1, 8, dtype=np.float32)[:, None]
    return ArrayDataset(x, (x[:, 0] > 0).astype(np.int64), batch_size=4)


# what is refused


class Own:
    """Its optimizer is its own business."""

    def get_params(self):
        return {"w": np.zeros(1)}

    def set_params(self, params):
        pass

    def train(self, data, **options):
        return {"loss": 0.0}


@pytest.mark.parametrize(
    "strategy, optimizer, model, message",
    [
        (
            0.9,
            "kept",
            impl(Point, momentum=0.9),
            r"FedNova\(momentum=0.9\) is not right for CLIENT, whose optimizer keeps its momentum "
            r"from round to round, while the formula begins each round at rest: assign the trainer"
            r" with options=\{'optimizer': 'fresh'\}",
        ),
        (
            0.9,
            "kept",
            impl(Own),
            r"FedNova\(momentum=0.9\) is not right for CLIENT, whose optimizer keeps its momentum",
        ),
        (
            0.0,
            "fresh",
            impl(Point, momentum=0.9),
            r"FedNova\(momentum=0.0\) is not right for CLIENT, whose SGD has momentum=0.9: give "
            r"the aggregator the strategy FedNova\(momentum=0.9\)",
        ),
        (
            0.9,
            "fresh",
            impl(Point),
            r"FedNova\(momentum=0.9\) is not right for CLIENT, whose SGD has momentum=0",
        ),
        (
            0.9,
            "fresh",
            impl(mlp, 1, 2),
            (
                r"FedNova\(momentum=0.9\) is not right for CLIENT, whose model is trained by SGD"
                r" without momentum"
            ),
        ),
        (
            0.9,
            "fresh",
            impl(Point, momentum=0.9, nesterov=True),
            r"whose SGD has nesterov=True: it is for plain momentum",
        ),
        (
            0.9,
            "fresh",
            impl(Point, momentum=0.9, dampening=0.5),
            r"whose SGD has dampening=0.5: it is for plain momentum",
        ),
        (
            0.0,
            "fresh",
            impl(Point, make=torch.optim.Adam),
            r"whose optimizer is Adam: it is for SGD, with or without momentum",
        ),
        (
            0.0,
            "kept",
            impl(TorchClassifier, Constant, optimizer=torch.optim.Adam),
            r"whose optimizer is Adam: it is for SGD",
        ),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_trained(
    strategy, optimizer, model, message
):
    with Testbed(engines=0, timeout=30, preload=()) as bed:
        bed.spawn("client1").assign(
            "trainer",
            EpochTrainer,
            options={"optimizer": optimizer},
            elements={"model": model, "dataset": impl(samples, 0)},
        )
        bed.spawn("server").assign(
            "aggregator", FedAvgAggregator, elements={"strategy": impl(FedNova, strategy)}
        )
        bed.assign("server", "coordinator", FederatedCoordinator)
        bed.relate("server", "trainer", "client1/trainer")
        with pytest.raises(HandlerError, match=message.replace("CLIENT", "client1/trainer")):
            bed.call("server/coordinator", "run", {"num_rounds": 1})
        assert not len(bed.trace.metrics.to_pandas().query("channel == 'epoch-completed'"))


def test_other_misuse_is_named():
    with Testbed(engines=0, timeout=30, preload=()) as bed:
        bed.spawn("client{1..2}").assign(
            "trainer",
            EpochTrainer,
            options={"optimizer": "fresh"},
            elements={"model": impl(Own), "dataset": impl(samples, 0)},
        )
        with pytest.raises(
            HandlerError,
            match=(
                r"optimizer='fresh' needs a way to renew the optimizer of Own: give the model a"
                r" method "
                r"reset_optimizer\(\), or its torch optimizer as an attribute 'optimizer'"
            ),
        ):
            bed.call("client1/trainer", "train")
        bed.assign(
            "client1",
            "trainer",
            EpochTrainer,
            elements={"model": impl(Point, lr=0.5), "dataset": impl(samples, 0)},
        )
        with pytest.raises(
            HandlerError,
            match=(
                "proximal=2.0 is too much for the learning rate 0.5 with FedNova: their product"
                " must be"
            ),
        ):
            bed.call("client1/trainer", "train2", {"normalise": 0.0, "proximal": 2.0})
        bed.assign(
            "client1",
            "trainer",
            EpochTrainer,
            elements={"model": impl(Own), "dataset": impl(samples, 0)},
        )
        bed.assign(
            "client2",
            "trainer",
            EpochTrainer,
            elements={"model": impl(Rated), "dataset": impl(samples, 0)},
        )
        bed.spawn("server").assign(
            "aggregator", FedAvgAggregator, elements={"strategy": impl(FedNova)}
        )
        with pytest.raises(
            HandlerError,
            match=(
                "FedNova knows the learning rate of client2/trainer, and not that of"
                " client1/trainer"
            ),
        ):
            bed.call(
                "server/aggregator",
                "aggregate",
                {"clients": ["client1/trainer", "client2/trainer"], "update": {"w": np.zeros(1)}},
            )
    with pytest.raises(ValueError, match="optimizer must be 'kept' or 'fresh', got 'new'"):
        EpochTrainer(optimizer="new")


class Rated(Own):
    lr = 0.1
