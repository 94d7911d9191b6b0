"""The accuracy of this project's models on MNIST-1D, trained in one place, beside the data set's
published table.

Adam at 0.01, batches of 100, 6,000 steps: the settings of Greydanus and Kobak, "Scaling Down Deep
Learning with MNIST-1D", ICML 2024, whose table says 32 % for logistic regression, 68 % for a
perceptron and 94 % for a convolutional network.

    python benchmarks/mnist1d_accuracy.py [--steps 6000] [--seeds 1]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

from peers import machine

from roleml_nb.workload import cnn1d, logistic_regression, mlp, mnist1d

MODELS: dict[str, tuple[Callable[..., Any], dict[str, Any], int]] = {
    "logistic regression": (logistic_regression, {}, 32),
    "MLP 40-100-100-10": (mlp, {"hidden": (100, 100)}, 68),
    "CNN, 25 channels": (cnn1d, {}, 94),
}


def accuracy(make: Callable[..., Any], options: dict[str, Any], steps: int, seed: int) -> float:
    """Test accuracy in %, after so many steps."""
    import torch

    model = make(40, 10, **options, optimizer=torch.optim.Adam, lr=0.01, seed=seed)
    data = mnist1d(batch_size=100, seed=seed)
    model.train(data, epochs=max(1, steps * data.batch_size // len(data)))
    return 100 * model.test(mnist1d(split="test"))["accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    print(f"MNIST-1D, {given.steps} steps, {given.seeds} seeds; {machine()}")
    for name, (make, options, published) in MODELS.items():
        start = time.perf_counter()
        reached = [accuracy(make, options, given.steps, seed) for seed in range(given.seeds)]
        mean = statistics.mean(reached)
        print(
            f"{name:20} {mean:5.1f} %   published {published} %   {mean - published:+.1f} points   "
            f"{(time.perf_counter() - start) / given.seeds:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
