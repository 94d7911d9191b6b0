"""The number of samples in a data set, even if its length counts batches."""

from __future__ import annotations

import sys
from typing import Any

from roleml_nb.role import ElementError

__all__ = ["data_size", "is_empty"]


def data_size(data: Any) -> int:
    """Return the number of samples in an epoch.

    This is ``len(data)``, except for a torch `DataLoader`, whose length counts batches.

    Raises
    ------
    ElementError
        When the data set has no length.
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
    """Return True if a data set has a length, and this is 0."""
    try:
        return not len(data)
    except TypeError as error:
        if not _lacks_length(error):
            raise
        return False


def _lacks_length(error: TypeError) -> bool:
    """Return True if the error is of a missing ``__len__``, rather than of one that fails."""
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
