"""Make the versions of the lessons that are handed out: for students without solutions, for
teachers with them.

    python versions.py [FOLDER]        # by default build, beside this file

FOLDER becomes a course directory of nbgrader, with the lessons in teacher/ and student/; what is in
submitted/ can be graded there with nbgrader's own commands.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from traitlets.config import Config, PyFileConfigLoader

if TYPE_CHECKING:
    from nbgrader.apps import NbGraderAPI

HERE = Path(__file__).resolve().parent


def lessons() -> list[Path]:
    """The notebooks, in their order."""
    return sorted(HERE.glob("[0-9][0-9]-*.ipynb"))


def config() -> Config:
    """nbgrader's configuration for this course."""
    return PyFileConfigLoader("nbgrader_config.py", path=str(HERE)).load_config()


def course(folder: Path) -> NbGraderAPI:
    """nbgrader, at work in a folder, with our configuration."""
    from nbgrader.apps import NbGraderAPI  # takes a second to import, and pages do without it

    ours = config()
    ours.CourseDirectory.root = str(folder)
    # nbgrader calls alembic by its name, also where no venv is activated
    programs = str(Path(sys.executable).parent)
    if programs not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([programs, os.environ["PATH"]])
    return NbGraderAPI(config=ours)


def make(folder: Path, which: list[Path]) -> NbGraderAPI:
    """Put both versions of some lessons into a folder: ``teacher/NAME/NAME.ipynb`` and
    ``student/NAME/NAME.ipynb``.

    RuntimeError, with nbgrader's log, when it refuses a lesson: a solution without an end, an id
    that is there twice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "nbgrader_config.py", folder)
    made = course(folder)
    for lesson in which:
        place = folder / "teacher" / lesson.stem
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(lesson, place)
        done = made.generate_assignment(lesson.stem)
        if not done["success"]:
            raise RuntimeError(
                "nbgrader made no student version of"
                f" {lesson.name}:\n{done['log']}\n{done.get('error') or ''}"
            )
    return made


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "build"
    make(target, lessons())
    print(f"{len(lessons())} lessons in {target}/student and {target}/teacher")
