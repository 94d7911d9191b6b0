"""What roles ask of models and data sets. Protocols: nothing has to inherit from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeVar, runtime_checkable

__all__ = ["Dataset", "IterableDataset", "TestableModel", "TrainableModel"]

Item = TypeVar("Item", covariant=True)


@runtime_checkable
class TrainableModel(Protocol):
    """A model that learns, and whose parameters can be read and written."""

    def train(self, data: Any, **options: Any) -> dict[str, Any]:
        """Learn from `data`, and return metrics (name → number)."""
        ...

    def get_params(self) -> Any:
        """A snapshot of the parameters: later training does not change it."""
        ...

    def set_params(self, params: Any) -> Any:
        """Take over what `get_params` of a like model returned. `params` is not modified."""
        ...


@runtime_checkable
class TestableModel(Protocol):
    """A model that can be tested."""

    def test(self, data: Any) -> dict[str, Any]:
        """Metrics (name → number) on `data`; the model does not change."""
        ...


@runtime_checkable
class Dataset(Protocol[Item]):
    """Items that can be counted and gone through."""

    def __len__(self) -> int:
        """Number of samples."""
        ...

    def __iter__(self) -> Iterator[Item]: ...


@runtime_checkable
class IterableDataset(Dataset[Item], Protocol[Item]):
    """A data set that is gone through once per epoch, usually in batches ``(x, y)``; its length counts samples."""
