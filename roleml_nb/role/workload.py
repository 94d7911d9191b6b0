"""What roles ask of models and data sets: the protocols of their elements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

__all__ = ["Dataset", "IterableDataset", "TestableModel", "TrainableModel"]


@runtime_checkable
class TrainableModel(Protocol):
    """A model that can be trained, and whose parameters can be read and written."""

    def train(self, data: Any, **options: Any) -> dict[str, Any]: ...

    def get_params(self) -> Any: ...

    def set_params(self, params: Any) -> None: ...


@runtime_checkable
class TestableModel(Protocol):
    """A model that can be tested."""

    __test__ = False

    def test(self, data: Any) -> dict[str, Any]: ...


@runtime_checkable
class IterableDataset(Protocol):
    """Samples or batches of them, one pass after the other."""

    def __iter__(self) -> Iterator[Any]: ...


@runtime_checkable
class Dataset(Protocol):
    """Samples that can be counted and indexed."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...
