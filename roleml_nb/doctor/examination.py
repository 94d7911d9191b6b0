"""The whole examination, from the installation to the testbed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .cluster import examine_left_behind, examine_requirements, examine_testbed
from .installation import examine_installation
from .machine import examine_machine
from .report import Report

if TYPE_CHECKING:
    from roleml_nb.testbed import Testbed

__all__ = ["examine"]


def examine(bed: Testbed | None = None, shell: Any = None) -> Report:
    """Examine everything: the testbed `bed`, and the front end of the notebook's `shell`."""
    report = Report()
    examine_installation(report)
    examine_machine(report, shell)
    examine_requirements(report)
    examine_testbed(report, bed)
    examine_left_behind(report)
    return report
