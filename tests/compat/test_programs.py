"""Programs written for RoleML run, in one process and on engines, once their imports are led to
us.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"
ROOT = PROGRAMS.parent.parent.parent


def run(*command: str, path: str = "") -> subprocess.CompletedProcess:
    paths = [path, str(ROOT), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )


@pytest.mark.parametrize("engines", [0, 2])
@pytest.mark.parametrize(
    "program, printed",
    [
        ("federated.py", "2.3332977294921875 2.3332977294921875 []"),
        ("gossip.py", "(True, ['RoleInstanceID n2/node']) True []"),
    ],
)
def test_a_program_for_roleml_runs(program, printed, engines):
    done = run(str(PROGRAMS / program), str(engines))
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == printed


def test_a_testbed_that_runs_already_learns_the_paths():
    done = run(
        "-c",
        """
from roleml_nb import Testbed, compat
with Testbed(engines=1, preload=()) as bed:
    compat.install()
    compat.install()
    import roleml.core.context as context
    from roleml.essentials import Role, Service
    class Namer(Role):
        @Service
        def tell(self, caller, args, payloads):
            return context.__name__, context.Context.active_context().profile.name
    bed.spawn("a")
    bed.assign("a", "namer", Namer)
    print(bed.call("a/namer", "tell"))
""",
    )
    assert done.stdout.strip() == "('roleml.core.context', 'a')", done.stderr[-3000:]


def test_the_real_package_is_not_pushed_aside(tmp_path):
    (tmp_path / "roleml").mkdir()
    (tmp_path / "roleml" / "__init__.py").write_text("real = True\n")
    done = run(
        "-c",
        """
from roleml_nb import RoleMLError, compat
try:
    compat.install()
except RoleMLError as error:
    print(error)
import roleml
print(roleml.real)
from roleml_nb.compat.essentials import Role
""",
        path=str(tmp_path),
    )
    said, real = done.stdout.strip().splitlines()
    assert said.startswith(f"'import roleml' finds the package in {tmp_path}"), done.stderr[-3000:]
    assert "pip uninstall roleml-ai" in said and real == "True"


def test_engines_find_the_modules_that_the_notebook_finds(tmp_path):
    """Also in folders that were put on the path after the engines had started."""
    (tmp_path / "application").mkdir()
    (tmp_path / "application" / "roles.py").write_text("""
from roleml.core.role.base import Role
from roleml.core.role.channels import Event, Service

class Maker(Role):
    made = Event()

    @Service(expand=True)
    def make(self, _):
        self.made.emit(args={"round": 1, "result": {"loss": 0.5, "name": "x"}})
        return __file__
""")
    done = run(
        "-c",
        f"""
import sys
from roleml_nb import Testbed, compat
compat.install()
with Testbed(engines=1, preload=()) as bed:
    sys.path.append({str(tmp_path / "application")!r})
    from roles import Maker
    bed.spawn("a")
    bed.assign("a", "maker", Maker)
    print(bed.call("a/maker", "make"))
    metrics = bed.trace.metrics.to_pandas()
    print(dict(zip(metrics["metric"], metrics["value"])))
""",
    )
    assert done.stdout.splitlines() == [
        str(tmp_path / "application" / "roles.py"),
        "{'round': 1.0, 'result.loss': 0.5}",
    ], done.stderr[-3000:]


def test_actors_that_the_process_builds_itself():
    done = run(str(PROGRAMS / "actors.py"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines() == [
        "hello alone/player",
        "False alone",
        "hello a2/player",
        "False",
    ]
    assert "Traceback" not in done.stderr
