"""What is installed, where it runs, and how a testbed stands: each problem with its fix.

``python -m roleml_nb.doctor``.
"""

from .examination import examine
from .report import Report

__all__ = ["Report", "examine"]
