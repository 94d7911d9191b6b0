"""Compares the versions that are installed with those that roleml_nb works with."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .report import Report

__all__ = ["check_versions", "examine_installation"]

PACKAGES = (
    "ipykernel",
    "ipyparallel",
    "ipython",
    "pyzmq",
    "torch",
    "numpy",
    "pandas",
    "jupyterlab",
    "ipywidgets",
    "anywidget",
)
EXTENSIONS = {"anywidget": "anywidget", "@jupyter-widgets/jupyterlab-manager": "jupyterlab_widgets"}
"""Extensions of JupyterLab that live views need, and the packages that bring them."""
LIMIT_REASONS = {"ipykernel": " (7.0 lets widgets and ipyparallel hang)"}
"""Reasons why a package's version is limited, for the texts of problems."""


def examine_installation(report: Report) -> None:
    from roleml_nb import __version__

    installed = _installed_versions()
    report.add_facts(
        "versions",
        f"python {platform.python_version()}, roleml_nb {__version__}",
        ", ".join(f"{name} {installed.get(name, 'missing')}" for name in PACKAGES),
    )
    try:
        wanted = metadata.requires("roleml-nb") or []
    except metadata.PackageNotFoundError:
        report.add_problem(
            "roleml_nb is imported from a folder and not installed",
            "run: python -m pip install -e . in that folder",
        )
        wanted = []
    check_versions(report, installed, wanted)
    check_extensions(report, _extension_folders())


def _installed_versions() -> dict[str, str]:
    """Return the versions of all installed packages, by canonical name."""
    versions: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            versions[canonicalize_name(name)] = distribution.version
    return versions


def check_versions(report: Report, installed: Mapping[str, str], wanted: Iterable[str]) -> None:
    """Report packages that do not fulfil requirements; `installed` has canonical names."""
    for requirement in map(Requirement, wanted):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        name = canonicalize_name(requirement.name)
        order = f'python -m pip install "{requirement.name}{requirement.specifier}"'
        if name not in installed:
            report.add_problem(f"{requirement.name} is not installed", order)
        elif not requirement.specifier.contains(installed[name], prereleases=True):
            report.add_problem(
                f"{requirement.name} is {installed[name]}, and must be"
                f" {requirement.specifier}{LIMIT_REASONS.get(name, '')}",
                f"{order}, then restart the kernel",
            )


def _extension_folders() -> list[Path]:
    from jupyter_core.paths import jupyter_path

    return list(map(Path, jupyter_path("labextensions")))


def check_extensions(report: Report, folders: Iterable[Path]) -> None:
    """Report extensions of live views that are in no folder of JupyterLab."""
    folders = list(folders)
    for name, package in EXTENSIONS.items():
        if not any((folder / name / "package.json").is_file() for folder in folders):
            report.add_problem(
                f"JupyterLab's extension {name} is not where this Python looks for it: live views"
                " stay blank",
                f"python -m pip install --force-reinstall --no-deps {package}, then restart"
                " JupyterLab and reload",
            )
