"""Models, data sets and partitioners. Importing this room imports NumPy only; torch comes with the first model."""

from .datasets import ArrayDataset, digits, digits_test
from .models import TorchClassifier, mlp
from .partitions import dirichlet, iid

__all__ = ["ArrayDataset", "TorchClassifier", "digits", "digits_test", "dirichlet", "iid", "mlp"]
