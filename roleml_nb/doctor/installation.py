"""Which versions are installed, and whether they are those that roleml_nb works with."""

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
"""What JupyterLab must have for the live views, and the package that brings it."""
LIMIT_REASONS = {"ipykernel": " (7.0 lets widgets and ipyparallel hang)"}


def examine_installation(report: Report) -> None:
    from roleml_nb import __version__

    installed: dict[str, str] = {
        canonicalize_name(item.metadata["Name"]): item.version
        for item in metadata.distributions()
        if item.metadata["Name"]
    }
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


def check_versions(report: Report, installed: Mapping[str, str], wanted: Iterable[str]) -> None:
    """Compare versions, by canonical name, with requirements as a package's metadata has them."""
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

    return [Path(folder) for folder in jupyter_path("labextensions")]


def check_extensions(report: Report, folders: Iterable[Path]) -> None:
    """Report extensions of live views that JupyterLab does not find."""
    folders = list(folders)
    for name, package in EXTENSIONS.items():
        if not any((folder / name / "package.json").is_file() for folder in folders):
            report.add_problem(
                f"JupyterLab's extension {name} is not where this Python looks for it: live views"
                " stay blank",
                f"python -m pip install --force-reinstall --no-deps {package}, then restart"
                " JupyterLab and reload",
            )
