"""Which files are of the user's own modules."""

from pathlib import Path

import pytest

from roleml_nb.messaging.modules.own_modules import is_of_project, is_own_file, project_of


@pytest.mark.parametrize("mark", [".git", "pyproject.toml", "setup.py"])
def test_a_project_is_the_nearest_folder_with_a_mark(tmp_path, monkeypatch, mark):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "venv/site-packages").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "notebooks")
    (tmp_path / mark).mkdir()
    helper, installed = (
        str(tmp_path / "src/helper.py"),
        str(tmp_path / "venv/site-packages/other.py"),
    )
    # what files of a configuration may name stays
    assert is_of_project(helper) and not is_own_file(helper)
    assert not is_of_project(installed) and not is_of_project(str(tmp_path.parent / "other.py"))
    assert not is_of_project(None) and not is_of_project("built-in")


def test_a_repository_comes_before_a_package_in_it(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "part/notebooks").mkdir(parents=True)
    (tmp_path / "part/pyproject.toml").touch()
    assert project_of(str(tmp_path / "part/notebooks")) == str(tmp_path)


def test_a_home_is_no_project(tmp_path, monkeypatch):
    """Some keep their settings in a repository that is their whole home."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert project_of(str(tmp_path / "work")) is None
