"""Views: a data set in an order, sample by sample or in batches, to train on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Generic

from roleml_nb.role import ArgumentTypeError, Dataset
from roleml_nb.role.checks.numbers import as_count, check_count
from roleml_nb.role.workload import DataCombiner, DataModifier, DataPoint, DatasetConverter

from .loading import load
from .samplers import BUILTIN_SAMPLERS, IndexSampler

__all__ = ["DatasetBatchView", "DatasetPointView", "DatasetView", "DatasetViewFactory"]


def _unchanged(original: Any) -> Any:
    return original


class DatasetView(Generic[DataPoint]):
    """A data set with an order, whose samples are modified when they are read.

    Parameters
    ----------
    dataset : Dataset
        The samples.
    modifier : callable
        ``modifier(sample) -> sample``.
    index_sampler : class, alias, dotted path or {"type", "options"}
        The order; see `samplers`. It is made of the data set and the options.
    index_sampler_options : mapping, optional
        Options of the sampler.
    """

    def __init__(
        self,
        dataset: Any,
        *,
        modifier: Callable[[Any], DataPoint] = _unchanged,
        index_sampler: Any,
        index_sampler_options: Mapping[str, Any] | None = None,
    ):
        self.dataset = dataset
        self.modifier = modifier
        self.set_index_sampler(index_sampler, **(index_sampler_options or {}))

    def set_index_sampler(self, index_sampler_cls: Any, **options: Any) -> None:
        """Select another order, from the next epoch on."""
        self.index_sampler: IndexSampler = load(
            index_sampler_cls,
            IndexSampler,
            args=(self.dataset,),
            options=options,
            aliases=BUILTIN_SAMPLERS,
        )

    def __len__(self) -> int:
        """Return the number of samples of the data set."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> DataPoint:
        return self.modifier(self.dataset[index])

    def get_original_item(self, index: int) -> Any:
        """Return the sample as it is in the data set."""
        return self.dataset[index]


class DatasetPointView(DatasetView[DataPoint]):
    """A view sample by sample."""

    def __iter__(self) -> Iterator[DataPoint]:
        return (self[index] for index in self.index_sampler)


class DatasetBatchView(DatasetView[DataPoint]):
    """A view in batches.

    Parameters
    ----------
    dataset, modifier, index_sampler, index_sampler_options
        See `DatasetView`.
    batch_size : int
        1 or more.
    drop_last : bool
        True leaves out a last batch of fewer samples.
    combiner : callable
        ``combiner(iterable of samples) -> batch``; a list when not given.
    """

    def __init__(
        self,
        dataset: Any,
        *,
        modifier: Callable[[Any], DataPoint] = _unchanged,
        index_sampler: Any,
        index_sampler_options: Mapping[str, Any] | None = None,
        batch_size: int = 32,
        drop_last: bool = False,
        combiner: Callable[[Iterable[DataPoint]], Any] = list,
    ):
        batch_size = check_count("batch_size", batch_size, 1)
        super().__init__(
            dataset,
            modifier=modifier,
            index_sampler=index_sampler,
            index_sampler_options=index_sampler_options,
        )
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.combiner = combiner

    def __iter__(self) -> Iterator[Any]:
        indices = iter(self.index_sampler)
        while chosen := list(islice(indices, self.batch_size)):
            if len(chosen) < self.batch_size and self.drop_last:
                return
            yield self.combiner(self[index] for index in chosen)


def _list(original: Iterable[Any]) -> list[Any]:
    return list(original)


def DatasetViewFactory(  # noqa: N802
    dataset: Any,
    *,
    converters: Iterable[Any] | None = None,
    sampler: Any = "sequential",
    batch_size: int = 32,
    drop_last: bool = False,
    always_combine: bool = False,
    modifier: Any = _unchanged,
    combiner: Any = _list,
) -> DatasetPointView | DatasetBatchView:
    """Return a view of `dataset` after `converters`: in batches, or sample by sample when
    `batch_size` is 1.

    Parameters
    ----------
    dataset, modifier, combiner
        As in `DatasetBatchView`, or a name of one for `load`: a dotted path, or {"type": …,
        "options": {…}}.
    converters : iterable, optional
        ``converter(dataset) -> dataset``, one after the other; likewise.
    sampler : class, alias, dotted path or {"type", "options"}
        The order; see `samplers`.
    batch_size, drop_last
        See `DatasetBatchView`.
    always_combine : bool
        True makes batches of one sample when `batch_size` is 1.
    """
    samples = load(dataset, Dataset)
    for converter in converters or ():
        samples = load(converter, DatasetConverter)(samples)
    if not isinstance(samples, Dataset):
        raise ArgumentTypeError(
            f"the converters must make a data set, with __len__ and __getitem__, "
            f"not a {type(samples).__name__}"
        )
    change = load(modifier, DataModifier)
    batch_size = as_count("batch_size", batch_size)
    if batch_size == 1 and not always_combine:
        return DatasetPointView(samples, index_sampler=sampler, modifier=change)
    return DatasetBatchView(
        samples,
        index_sampler=sampler,
        modifier=change,
        batch_size=batch_size,
        drop_last=drop_last,
        combiner=load(combiner, DataCombiner),
    )
