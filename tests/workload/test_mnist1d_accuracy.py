"""MNIST-1D tells models apart as its published table does: 32 % for a linear one, 68 % for a
perceptron, 94 % for a convolutional network (Greydanus and Kobak, ICML 2024). Here with a fifth of
the steps; benchmarks/mnist1d_accuracy.py makes all of them.
"""

import pytest
import torch

from roleml_nb.workload import cnn1d, logistic_regression, mlp, mnist1d


@pytest.fixture(autouse=True)
def one_thread():
    """More make batches this small slower, the more so on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def accuracy(make, epochs, **options):
    model = make(40, 10, **options, optimizer=torch.optim.Adam, lr=0.01)
    model.train(mnist1d(batch_size=100), epochs=epochs)
    return 100 * model.test(mnist1d(split="test"))["accuracy"]


@pytest.mark.parametrize(
    ("make", "options", "epochs", "published"),
    [(logistic_regression, {}, 20, 32), (mlp, {"hidden": (100, 100)}, 40, 68), (cnn1d, {}, 30, 94)],
)
def test_models_are_as_good_as_published(make, options, epochs, published):
    assert accuracy(make, epochs, **options) == pytest.approx(published, abs=6)
