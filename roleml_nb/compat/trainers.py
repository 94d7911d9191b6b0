"""The library's trainers, with RoleML's default for their data: a `DatasetViewFactory`.

A data set is then configured as ``constructor_args: {dataset: …, converters: […], sampler: …}``,
with no class.
"""

from __future__ import annotations

from typing import Any

from roleml_nb import library
from roleml_nb.role import Element, IterableDataset
from roleml_nb.workload import DatasetViewFactory

__all__ = ["BaseModelMaintainer", "EpochTrainer", "GradientsTrainer"]


class BaseModelMaintainer(library.BaseModelMaintainer):
    dataset_test: Any = Element(
        IterableDataset, default_constructor=DatasetViewFactory, optional=True
    )


class EpochTrainer(library.EpochTrainer, BaseModelMaintainer):
    dataset: Any = Element(IterableDataset, default_constructor=DatasetViewFactory)


class GradientsTrainer(library.GradientsTrainer, BaseModelMaintainer):
    dataset: Any = Element(IterableDataset, default_constructor=DatasetViewFactory)
