"""What an architecture costs, read off the trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from roleml_nb.testbed import Testbed

__all__ = ["bytes_through"]


def bytes_through(bed: Testbed, nodes: str) -> pd.Series:
    """How many bytes each of the nodes that match has sent and received so far, to and from one
    another.

    What stays within a node is free, and what steers the testbed is not counted.

    Parameters
    ----------
    nodes : str
        Patterns, with spaces between: "server client*".

    Returns
    -------
    pandas.Series
        By node, in natural order.
    """
    table = bed.trace.messages.matrix("bytes", nodes.split())
    between = table.mask(np.eye(len(table), dtype=bool), 0)
    return between.sum(axis=1) + between.sum(axis=0)
