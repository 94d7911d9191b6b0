"""Examines the installation, the machine and a testbed; reports each problem with its fix.

``python -m roleml_nb.doctor``.
"""

from .examination import examine
from .report import Report

__all__ = ["Report", "examine"]
