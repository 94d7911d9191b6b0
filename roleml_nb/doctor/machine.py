"""Examines the machine: front end, kernel, cores and memory."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import psutil

from .report import Report

__all__ = ["GB", "MB", "check_memory", "examine_machine", "front_end"]

MB = 1e6
GB = 1e9
MIN_FREE_SHARE = 0.1
"""Share of the memory that should be free."""


def examine_machine(report: Report, shell: Any) -> None:
    kernel = getattr(shell, "kernel", None)
    report.add_facts("front end", front_end(os.environ, sys.modules, shell))
    process = psutil.Process()
    torch = sys.modules.get("torch")
    threads = "not loaded" if torch is None else f"with {torch.get_num_threads()} threads"
    report.add_facts(
        "kernel" if kernel is not None else "process",
        f"process {process.pid}, {process.memory_info().rss / MB:.0f} MB, torch {threads}",
    )
    memory = psutil.virtual_memory()
    report.add_facts(
        "machine",
        f"{os.cpu_count()} cores, {memory.total / GB:.1f} GB, {memory.available / GB:.1f} GB free",
    )
    check_memory(report, memory.available, memory.total)


def front_end(environment: Mapping[str, str], modules: Mapping[str, Any], shell: Any) -> str:
    """Return the front end that shows the outputs, as far as the kernel knows it."""
    if shell is None:
        return "none: this is no notebook"
    if getattr(shell, "kernel", None) is None:
        return "a terminal: live views show as text"
    if "google.colab" in modules:
        return "Colab"
    if any(name.startswith("VSCODE_") for name in environment):
        return "VS Code"
    if "JPY_SESSION_NAME" in environment:
        return "a Jupyter server (JupyterLab or Notebook)"
    return "none that is known, such as nbclient, papermill or nbval: live views show as pictures"


def check_memory(report: Report, free: float, total: float) -> None:
    if free < MIN_FREE_SHARE * total:
        report.add_problem(
            f"{free / GB:.1f} of {total / GB:.1f} GB are free",
            "end other kernels, use fewer engines or smaller models; what runs now may be killed by"
            " the system",
        )
