"""Protocols of models and data sets, as roles need them; no class has to inherit from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol, TypeVar, runtime_checkable

__all__ = [
    "DataBatch",
    "DataBatch_co",
    "DataBlock_contra",
    "DataCombiner",
    "DataModifier",
    "DataPoint",
    "DataPoint_co",
    "DataPoint_contra",
    "DataStreams",
    "Dataset",
    "DatasetConverter",
    "DatasetType",
    "DatasetType_co",
    "DatasetType_contra",
    "GradientLRApplicable",
    "Gradients",
    "GradientsApplicable",
    "GradientsComputable",
    "GradientsOperableModel",
    "Gradients_co",
    "Gradients_contra",
    "IterableDataset",
    "LR_contra",
    "Parameters",
    "ParametersAccessible",
    "ParametersReadable",
    "ParametersWriteable",
    "Parameters_co",
    "Parameters_contra",
    "Predictable",
    "Testable",
    "TestableModel",
    "Trainable",
    "TrainableModel",
    "X_contra",
    "Y_co",
]

Parameters = TypeVar("Parameters")
Parameters_co = TypeVar("Parameters_co", covariant=True)
Parameters_contra = TypeVar("Parameters_contra", contravariant=True)
Gradients = TypeVar("Gradients")
Gradients_co = TypeVar("Gradients_co", covariant=True)
Gradients_contra = TypeVar("Gradients_contra", contravariant=True)
LR_contra = TypeVar("LR_contra", contravariant=True)
X_contra = TypeVar("X_contra", contravariant=True)
Y_co = TypeVar("Y_co", covariant=True)
DataBlock_contra = TypeVar("DataBlock_contra", contravariant=True)
DataPoint = TypeVar("DataPoint")
DataPoint_co = TypeVar("DataPoint_co", covariant=True)
DataPoint_contra = TypeVar("DataPoint_contra", contravariant=True)
DataBatch = TypeVar("DataBatch")
DataBatch_co = TypeVar("DataBatch_co", covariant=True)

# models


@runtime_checkable
class ParametersReadable(Protocol[Parameters_co]):
    def get_params(self) -> Parameters_co:
        """Return a snapshot of the parameters: later training does not change it."""
        ...


@runtime_checkable
class ParametersWriteable(Protocol[Parameters_contra]):
    def set_params(self, params: Parameters_contra) -> Any:
        """Set the parameters to those of a like model's `get_params`; `params` is not modified."""
        ...


@runtime_checkable
class ParametersAccessible(
    ParametersReadable[Parameters_co],
    ParametersWriteable[Parameters_contra],
    Protocol[Parameters_co, Parameters_contra],
):
    """Parameters that can be read and written."""


@runtime_checkable
class Trainable(Protocol[DataBlock_contra]):
    def train(self, data: DataBlock_contra, **options: Any) -> dict[str, Any]:
        """Train on `data`, and return metrics (name → number)."""
        ...


@runtime_checkable
class Testable(Protocol[DataBlock_contra]):
    """A model that can be tested."""

    def test(self, data: DataBlock_contra) -> dict[str, Any]:
        """Return metrics (name → number) on `data`; the model does not change."""
        ...


@runtime_checkable
class GradientsComputable(Protocol[DataBlock_contra, Gradients_co]):
    def compute_gradients(
        self, data: DataBlock_contra, **options: Any
    ) -> tuple[dict[str, Any], Gradients_co]:
        """Return metrics and gradients of one batch; the parameters do not change."""
        ...


@runtime_checkable
class GradientsApplicable(Protocol[Gradients_contra]):
    def apply_gradients(self, gradients: Gradients_contra) -> None:
        """Make one step of the optimizer with gradients of a like model's `compute_gradients`."""
        ...


@runtime_checkable
class GradientLRApplicable(Protocol[Gradients_contra, LR_contra]):
    def apply_gradients(self, gradients: Gradients_contra, lr: LR_contra) -> None:
        """Make one step of the optimizer, with the learning rate of this step."""
        ...


@runtime_checkable
class Predictable(Protocol[X_contra, Y_co]):
    def predict(self, x: X_contra) -> Y_co: ...


@runtime_checkable
class TrainableModel(Trainable[Any], ParametersAccessible[Any, Any], Protocol):
    """A model that learns, and whose parameters can be read and written."""


@runtime_checkable
class TestableModel(Testable[Any], ParametersAccessible[Any, Any], Protocol):
    """A model that can be tested, and whose parameters can be read and written."""


@runtime_checkable
class GradientsOperableModel(
    GradientsComputable[Any, Any],
    GradientsApplicable[Any],
    ParametersAccessible[Any, Any],
    Protocol,
):
    """A model whose gradients are computed in one place and applied in another."""


# data sets


@runtime_checkable
class Dataset(Protocol[DataPoint_co]):
    """Samples that can be counted and looked up."""

    def __getitem__(self, index: int, /) -> DataPoint_co: ...

    def __len__(self) -> int: ...


@runtime_checkable
class DataStreams(Protocol[DataPoint_co]):
    """Samples that can be iterated over."""

    def __iter__(self) -> Iterator[DataPoint_co]: ...


@runtime_checkable
class IterableDataset(DataStreams[DataPoint_co], Protocol[DataPoint_co]):
    """A data set that is iterated over once per epoch, usually in batches ``(x, y)``."""

    def __len__(self) -> int:
        """Return the number of samples."""
        ...


DatasetType = TypeVar("DatasetType", bound=Dataset)
DatasetType_co = TypeVar("DatasetType_co", bound=Dataset, covariant=True)
DatasetType_contra = TypeVar("DatasetType_contra", bound=Dataset, contravariant=True)


@runtime_checkable
class DatasetConverter(Protocol[DatasetType_contra, DatasetType_co]):
    """Makes one data set out of another."""

    def __call__(self, original: DatasetType_contra, /) -> DatasetType_co: ...


@runtime_checkable
class DataModifier(Protocol[DataPoint_contra, DataPoint_co]):
    """Changes one sample when it is looked up."""

    def __call__(self, original: DataPoint_contra, /) -> DataPoint_co: ...


@runtime_checkable
class DataCombiner(Protocol[DataPoint_contra, DataBatch_co]):
    """Makes one batch out of samples."""

    def __call__(self, original: Iterable[DataPoint_contra], /) -> DataBatch_co: ...
