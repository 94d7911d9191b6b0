"""The doctor: each problem is named with its fix."""

import subprocess
import sys

import pytest

from roleml_nb import Role, Service
from roleml_nb.doctor import Report, examine
from roleml_nb.doctor.cluster import Engine, check_links, check_lost, check_threads
from roleml_nb.doctor.installation import check_extensions, check_versions
from roleml_nb.doctor.machine import check_memory, front_end
from tests.shells import run


class Silent(Role):
    @Service
    def nothing(self, caller, args, payloads):
        return None


@pytest.fixture
def report():
    return Report()


def text(report):
    return str(report).partition("problem: ")[2]


def test_a_testbed_is_described(bed):
    bed.spawn("doctor-a").assign("silent", Silent)
    lines = str(examine(bed))
    assert f"roleml_nb 0.1.0\n" in lines and "ipykernel 7." in lines  # noqa: F541
    assert (
        "2 engines" if bed.engines else "in this process"
    ) in lines and f"seed {bed.seed}" in lines
    if bed.engines:
        assert "engine0: process " in lines and "direct" in lines


def test_versions_are_compared_with_what_is_required(report):
    check_versions(
        report,
        {"ipykernel": "7.0.1", "numpy": "2.0", "pyzmq": "27.0"},
        [
            "ipykernel!=7.0.*,>=6.29",
            "numpy>=1.26",
            "PyZMQ>=26",
            "torch>=2.2",
            'flwr>=1; extra == "benchmarks"',
        ],
    )
    assert [problem.what for problem in report.problems] == [
        "ipykernel is 7.0.1, and must be !=7.0.*,>=6.29 (7.0 lets widgets and ipyparallel hang)",
        "torch is not installed",
    ]
    assert (
        report.problems[0].fix
        == 'python -m pip install "ipykernel!=7.0.*,>=6.29", then restart the kernel'
    )


def test_missing_extensions_of_jupyterlab(report, tmp_path):
    for name in ("anywidget", "@jupyter-widgets/jupyterlab-manager"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "anywidget" / "package.json").write_text("{}")
    check_extensions(report, [tmp_path])
    assert (
        text(report)
        == "JupyterLab's extension @jupyter-widgets/jupyterlab-manager is not where this Python"
        " looks for it: live views stay blank\n    fix: python -m pip install --force-reinstall"
        " --no-deps jupyterlab_widgets, then restart JupyterLab and reload"
    )


def test_more_threads_than_cores(report):
    check_threads(
        report,
        [Engine("m", 2, 1, 1e6, 2), Engine("m", 2, 2, 1e6, 2), Engine("other", 8, 3, 1e6, 8)],
    )
    assert text(report).startswith(
        "2 engines have 4 threads of torch on 2 cores"
    ) and "Testbed(threads=1)" in text(report)


def test_more_engines_than_cores(report):
    check_threads(report, [Engine("m", 1, 1, 1e6, None), Engine("m", 1, 2, 1e6, 1)])
    assert text(report).endswith(
        "more engines do not make it faster\n    fix: start with %rml start --engines 1"
    )


def test_links_over_the_relay_and_lost_engines(report):
    check_links(
        report,
        {
            ("notebook", "engine0"): ("direct", ""),
            ("engine0", "engine1"): ("relay", "no route to host"),
        },
    )
    check_lost(report, {"engine1": "its process has ended"})
    assert report.facts["links"] == ["1 direct, 1 relay"]
    assert [problem.what for problem in report.problems] == [
        (
            "1 links use the relay, some milliseconds slower a message, such as engine0 → engine1:"
            " no route to host"
        ),
        "engine1 is lost: its process has ended",
    ]


def test_a_relay_that_was_asked_for_is_no_problem(report):
    check_links(report, {("notebook", "engine0"): ("relay", "as asked")})
    assert report.problems == []


def test_little_memory(report):
    check_memory(report, 0.5e9, 8e9)
    assert text(report).startswith("0.5 of 8.0 GB are free")


@pytest.mark.parametrize(
    "environment, modules, told",
    [
        ({"VSCODE_PID": "1"}, {}, "VS Code"),
        ({"JPY_SESSION_NAME": "a.ipynb"}, {}, "a Jupyter server (JupyterLab or Notebook)"),
        ({}, {"google.colab": None}, "Colab"),
        ({}, {}, "none that is known, such as nbclient, papermill or nbval"),
    ],
)
def test_the_front_end(environment, modules, told):
    class Shell:
        kernel = "a kernel"

    assert front_end(environment, modules, Shell()).startswith(told)


def test_the_magic_and_the_program(shell, capsys):
    told = run(shell, capsys, "doctor")
    assert (
        "front end    a terminal: live views show as text\n" in told
        and "testbed      none is running\n" in told
    )
    done = subprocess.run(
        [sys.executable, "-m", "roleml_nb.doctor"], capture_output=True, text=True, timeout=60
    )
    assert "none: this is no notebook" in done.stdout, done.stderr
    assert done.returncode == ("problem: " in done.stdout)
