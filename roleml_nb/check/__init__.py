"""Validates a folder of notebooks for its maintainer: ``python -m roleml_nb check FOLDER``.

Each notebook runs twice through nbval, in parallel with others. The first run is compared with the
outputs that are stored, the second with the first, which finds outputs that depend on chance.
"""

from .report import Cell, Finding, Notebook, Report
from .runner import check

__all__ = ["Cell", "Finding", "Notebook", "Report", "check"]
