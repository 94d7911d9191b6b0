"""How many samples a data set has, whatever it counts itself."""

from __future__ import annotations

import sys
from typing import Any

from roleml_nb.role import ElementError

__all__ = ["data_size", "is_empty"]


def data_size(data: Any) -> int:
    """Samples that an epoch goes through: ``len(data)``, but of a torch `DataLoader`, which counts
    batches, its samples.

    Raises
    ------
    ElementError
        When it has no length.
    """
    try:
        return _samples_of_loader(data) if _is_loader(data) else len(data)
    except TypeError as error:
        if not _lacks_length(error):
            raise
        raise ElementError(
            f"the data set, a {type(data).__name__}, does not say how many samples it has, by which"
            f" its model is weighted: give it, or its torch data set, a __len__ ({error})"
        ) from error


def is_empty(data: Any) -> bool:
    """True for a data set that says that it has no samples."""
    try:
        return not len(data)
    except TypeError as error:
        if not _lacks_length(error):
            raise
        return False


def _lacks_length(error: TypeError) -> bool:
    """Whether something has no length, rather than a ``__len__`` that fails."""
    return str(error).endswith("has no len()")


def _is_loader(data: Any) -> bool:
    found = sys.modules.get("torch.utils.data")
    return found is not None and isinstance(data, found.DataLoader)


def _samples_of_loader(loader: Any) -> int:
    if loader.batch_size is None:
        if loader.batch_sampler is None:  # batches are made by the data set, or there are none
            return len(loader)
        return len(loader.dataset)
    samples = len(loader.sampler) if loader.batch_sampler is not None else len(loader.dataset)
    return samples - samples % loader.batch_size if loader.drop_last else samples
