"""The cost of an architecture, read from the trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from roleml_nb.testbed import Testbed

__all__ = ["bytes_through"]


def bytes_through(bed: Testbed, nodes: str) -> pd.Series:
    """Return the bytes that each matching node has exchanged with the other ones so far.

    Messages within a node are free, and those that steer the testbed are not counted.

    Parameters
    ----------
    nodes : str
        Patterns, with spaces between: "server client*".

    Returns
    -------
    pandas.Series
        Bytes sent and received, by node, in natural order.
    """
    table = bed.trace.messages.matrix("bytes", nodes.split())
    between = table.mask(np.eye(len(table), dtype=bool), 0)
    return between.sum(axis=1) + between.sum(axis=0)
