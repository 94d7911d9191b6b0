"""pyproject.toml, environment.yml and constraints.txt tell one story."""

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

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
        assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)]), (
            requirement
        )


def test_ipykernel_7_0_is_excluded() -> None:
    [ipykernel] = [requirement for requirement in runtime() if requirement.name == "ipykernel"]
    assert not ipykernel.specifier.contains("7.0.0")
    assert not ipykernel.specifier.contains("7.0.1")
    assert ipykernel.specifier.contains("7.1.0")


def test_constraints_name_no_path_host_or_local_build() -> None:
    for name, version in pins().items():
        assert not set("/@:+") & set(name + version), f"{name}=={version}"


# What has an underscore in front may be gone in any release: what we use of it all the same, and
# where. Each has a test that runs it, and `make test-newest` runs these with the newest releases
# that pyproject.toml allows.
INTERNALS = {
    "magics/arguments.py": {"_option_string_actions"},
    "messaging/serialization/code.py": {
        "_BUILTIN_TYPE_NAMES",
        "_DYNAMIC_CLASS_TRACKER_BY_CLASS",
        "_DYNAMIC_CLASS_TRACKER_BY_ID",
        "_builtin_type",
        "_class_setstate",
        "_dispatch_table",
        "_get_or_create_tracker_id",
        "_should_pickle_by_reference",
    },
    "testbed/cluster/engines.py": {"_config"},
    "workload/models.py": {"_foreach_sub_"},
    "workload/perceptrons.py": {"_foreach_sub_", "_log_softmax_backward_data"},
}
# whose underscore says something else
DOCUMENTED = {"_asdict", "_current_frames", "_exit", "_fields", "_getframe", "_make"}


def defined(tree: ast.AST) -> Iterator[str]:
    """The names that a module defines: its functions, classes, attributes and variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.attr if isinstance(node, ast.Attribute) else node.id


def test_internals_of_dependencies_are_known() -> None:
    package = ROOT / "roleml_nb"
    trees = {
        path.relative_to(package).as_posix(): ast.parse(path.read_text())
        for path in package.rglob("*.py")
    }
    ours = {name for tree in trees.values() for name in defined(tree)}
    found: dict[str, set[str]] = {}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            names = [node.attr] if isinstance(node, ast.Attribute) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            private = (
                {name for name in names if name.startswith("_") and not name.endswith("_" * 2)}
                - ours
                - DOCUMENTED
            )
            if private:
                found.setdefault(path, set()).update(private)
    assert found == INTERNALS


USER_PROGRAM = """\
from roleml_nb import Each, Role, Service, Testbed, impl
from roleml_nb.library import EpochTrainer
from roleml_nb.workload import digits, mlp


class Counter(Role):
    @Service(expand=True)
    def add(self, caller: object, number: int) -> int:
        return number + 1


with Testbed(engines=0) as bed:
    clients = bed.spawn("client{1..4}")
    clients.assign("counter", Counter)
    clients.assign(
        "trainer",
        EpochTrainer,
        elements={"model": impl(mlp, 64, 10), "dataset": impl(digits, part=Each([0, 1, 2, 3]))},
    )
    reveal_type(bed)
    reveal_type(clients)
    bed.spawn(3)
"""


def test_a_program_is_checked_against_the_types_of_the_wheel(tmp_path: Path) -> None:
    """As a user's editor does: the package is installed from a wheel, and says that it is typed."""
    source = tmp_path / "source"
    copied = ("roleml_nb", "pyproject.toml", "README.md", "LICENSE")
    source.mkdir()
    for name in copied:
        place = ROOT / name
        if place.is_dir():
            shutil.copytree(place, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, source)
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, source)
    (wheel,) = tmp_path.glob("*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    with ZipFile(wheel) as opened:
        opened.extractall(site)
    program = tmp_path / "program.py"
    program.write_text(USER_PROGRAM)
    checked = run(
        *(sys.executable, "-m", "mypy", "--no-incremental", "--ignore-missing-imports"),
        *("--python-executable", tmp_path / "venv" / "bin" / "python", program),
        cwd=tmp_path,
        check=False,
    )
    assert 'Revealed type is "roleml_nb.testbed.testbed.Testbed"' in checked
    assert 'Revealed type is "roleml_nb.testbed.nodes.Nodes"' in checked
    assert 'Argument 1 to "spawn" of "Testbed" has incompatible type "int"' in checked
    assert "Found 1 error" in checked
    assert {"roleml_nb/py.typed", "roleml_nb/sanitize.cfg"} <= set(ZipFile(wheel).namelist())


def run(*command: object, cwd: Path | None = None, check: bool = True) -> str:
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=250, cwd=cwd
    )
    assert done.returncode == 0 or not check, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_what_runs_before_a_commit_is_what_make_check_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    check = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0]
    for hook in hooks:
        command = hook["entry"].removeprefix(".venv/bin/").removesuffix(" --fix")
        assert f"$(BIN)/{command}" in check, hook


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda p: p.name)
def test_templates_are_yaml(path: Path) -> None:
    assert yaml.safe_load(path.read_text())
