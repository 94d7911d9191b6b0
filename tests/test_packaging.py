"""The three lists of dependencies say the same."""

import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RUNTIME = {item.name: item for item in map(Requirement, PROJECT["dependencies"])}
CONDA_NAMES = {"pytorch-cpu": "torch"}


def test_environment_lists_every_runtime_dependency_with_its_range():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    found = [Requirement(item) for item in listed if isinstance(item, str) and not item.startswith(("python=", "pip"))]
    ranges = {CONDA_NAMES.get(item.name, item.name): item.specifier for item in found}
    assert ranges == {name: item.specifier for name, item in RUNTIME.items()}


def test_constraints_pin_every_dependency_inside_its_range():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pins = {Requirement(line).name.lower(): Requirement(line) for line in lines}
    wanted = [*RUNTIME.values(), *map(Requirement, PROJECT["optional-dependencies"]["test"])]
    for item in wanted:
        (version,) = [pin.version for pin in pins[item.name.lower()].specifier]
        assert item.specifier.contains(version), item


def test_the_ipykernel_that_broke_ipyparallel_is_excluded():
    assert not RUNTIME["ipykernel"].specifier.contains("7.0.1")
    assert RUNTIME["ipykernel"].specifier.contains("7.1.0")
