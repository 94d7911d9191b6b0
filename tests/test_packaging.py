"""pyproject.toml, environment.yml and constraints.txt tell one story."""

import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {"torch": "pytorch"}  # where conda-forge's name is another


def runtime() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [Requirement(line) for line in project["dependencies"]]


def conda() -> dict[str, SpecifierSet]:
    lines = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    lines += [line for line in lines.pop()["pip"] if line != "-e ."]
    ours = [Requirement(line) for line in lines if not line.startswith("python=")]
    return {canonicalize_name(requirement.name): requirement.specifier for requirement in ours}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


@pytest.mark.parametrize("requirement", runtime(), ids=lambda requirement: requirement.name)
def test_conda_lists_each_runtime_dependency_with_the_same_range(requirement: Requirement) -> None:
    assert conda()[CONDA_NAMES.get(requirement.name, requirement.name)] == requirement.specifier


def test_conda_lists_nothing_that_pyproject_does_not() -> None:
    named = {CONDA_NAMES.get(requirement.name, requirement.name) for requirement in runtime()}
    assert set(conda()) - named == {"pip"}


@pytest.mark.parametrize("requirement", runtime(), ids=lambda requirement: requirement.name)
def test_each_pin_lies_inside_its_range(requirement: Requirement) -> None:
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


def test_each_pin_of_the_test_extra_lies_inside_its_range() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in map(Requirement, project["optional-dependencies"]["test"]):
        assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)]), requirement


def test_ipykernel_7_0_is_excluded() -> None:
    [ipykernel] = [requirement for requirement in runtime() if requirement.name == "ipykernel"]
    assert not ipykernel.specifier.contains("7.0.0")
    assert not ipykernel.specifier.contains("7.0.1")
    assert ipykernel.specifier.contains("7.1.0")


def test_constraints_name_no_path_host_or_local_build() -> None:
    for name, version in pins().items():
        assert not set("/@:+") & set(name + version), f"{name}=={version}"
