"""A session as a program: the same numbers come out of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from IPython.core.error import UsageError

from roleml_nb import Recording
from roleml_nb.magics.export import to_script
from roleml_nb.magics.history import Cell
from tests.habits.runners import write
from tests.shells import run

ROOT = Path(__file__).parents[2]
CELLS = [
    """\
%precision 3
rounds = 2""",
    """\
%rml start --engines 0 --seed 3
%rml spawn server client{1..3}""",
    """\
%%role
from roleml_nb import Role, Service, Element, Event
class Learner(Role):
    start = Element(list)
    learned = Event()
    def __init__(self, rate=1.0, label=""):
        super().__init__()
        self.rate, self.label = rate, label
    @Service(expand=True)
    def learn(self, caller, rounds):
        for number in range(rounds):
            value = self.rate * self.rng(number).random() + sum(self.start())
            self.learned.emit({"value": value, "size": len(self.label)})
        return self.rate, self.label, self.start()""",
    """\
def numbers(part, parts=1, factor=1):
    return [part * factor, parts]
%rml assign client* learner=Learner(rate=i + 0.5, label=node) \
--element start=numbers(i, parts=n, factor=len('ab'))
%rml assign server learner=Learner --element start=[1, 2]
%rml assign server aggregator=FedAvgAggregator""",
    """\
%rml relate server learner=client1/learner,client2/learner trainer=client*/learner
%rml wire random-regular(degree=2) client*/learner --relationship peer""",
    """\
for _ in range(2):
    %rml call client*/learner learn rounds=(rounds + 1)
%rml status""",
    """\
%%role
class Learner(Learner):
    @Service(expand=True)
    def learn(self, caller, rounds):
        self.learned.emit({"value": -1.0})
        return "new", self.rate""",
    "%rml call server/learner learn rounds=1",
    "%%time\nlast = bed.call('client2/learner', 'learn', {'rounds': 1})",
    "1 / 0",
    "await nothing()",
    "!true",
    "display(last)",
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def play(shell):
    for cell in CELLS:
        shell.run_cell(cell, store_history=True)


def values(recording):
    frame = recording.metrics.to_pandas().sort_values(["node", "metric", "step"])
    return frame[["node", "role", "channel", "metric", "value", "step"]].to_numpy().tolist()


def test_the_program_has_the_same_results(shell, capsys, folder):
    play(shell)
    run(shell, capsys, "record session")
    spec = shell.user_ns["bed"].spec()
    assert (
        run(shell, capsys, "export script.py")
        == "exported script.py: 11 cells; 2 that failed are left out\n"
    )
    program = (
        (folder / "script.py")
        .read_text()
        .replace("    bed.stop()\n", "    bed.record('program')\n    bed.stop()\n")
    )
    (folder / "again.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "again.py"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr + program
    assert (
        values(Recording.open("program")) == values(Recording.open("session"))
        and len(values(Recording.open("program"))) == 38
    )
    assert Recording.open("program").spec == spec
    assert "('new', 1.0)\n" in done.stdout and "('new', 1.5)" in done.stdout


def test_cells_become_python(shell):
    lines = to_script(
        [Cell(number, text, True) for number, text in enumerate(CELLS)],
        {"FedAvgAggregator": "roleml_nb.library", "display": "IPython.display"},
    ).split("\n")
    for line in [
        "from IPython.display import display",
        "from roleml_nb.library import FedAvgAggregator",
        "pass  # get_ipython().run_line_magic('precision', '3')",
        "if bed is None or not bed.running:",
        "    bed = Testbed(engines=0, seed=3)",
        "bed.spawn('server', 'client{1..3}')",
        (
            "selected.assign('learner', Learner, options={'rate': Each([i + 0.5 for i, node in"
            " enumerate(selected)]), 'label': Each([node for i, node in enumerate(selected)])},"
            " elements={'start': impl(numbers, Each([i for i, node in enumerate(selected)]),"
            " parts=Each([n for n in [len(selected)] for i, node in enumerate(selected)]),"
            " factor=len('ab'))})"
        ),
        "selected.assign('learner', Learner, elements={'start': [1, 2]})",
        "bed.relate('server', 'learner', ['client1/learner', 'client2/learner'])",
        (
            "bed.wire('random-regular', nodes='client*', role='learner', relationship='peer',"
            " degree=2)"
        ),
        "    print(bed.call('client*/learner', 'learn', {'rounds': (rounds + 1)}))",
        "pass  # %rml status",
        "    bed.update(Learner)",
        "# [10] is no Python outside of a notebook, and is left out",
        "# await nothing()",
    ]:
        assert line in lines, line


@pytest.mark.parametrize(
    "line, code",
    [
        ("stop --run", "bed.stop_run()"),
        ("stop", "bed.stop()"),
        ("update Learner --fresh", "bed.update(Learner, fresh=True)"),
        ("migrate a/x b --keep", "bed.migrate('a/x', 'b', conflicts='keep', timeout=60.0)"),
        ("save run.yaml", "bed.save_spec('run.yaml')"),
        ("call a/x go --timeout 3", "print(bed.call('a/x', 'go', {}, timeout=3.0))"),
        ("restore c", "    bed = Testbed.from_checkpoint('c')"),
        (
            "load r.yaml --engines 1",
            "    bed = Testbed.from_spec(['r.yaml'], names=globals(), engines=1)",
        ),
        ("load r.yaml", "    bed.load(['r.yaml'], names=globals())"),
        ("checkpoint c", "bed.save('c', timeout=60.0)"),
        ("record r", "bed.record('r')"),
        ("spawn a --on 0", "bed.spawn('a', on='0')"),
        ("respawn", "bed.respawn(['*'])"),
        ("respawn a b --on 1", "bed.respawn(['a', 'b'], on='1')"),
        ("terminate c* x y", "bed.terminate('c*', 'y')"),
        ("unrelate a x=b/y,c/y", "bed.relate('a', 'x', ['b/y', 'c/y'], remove=True)"),
        ("remove a b*", "bed.remove(['a', 'b*'])"),
        ("rename a b", "bed.rename('a', 'b')"),
        ("move a --on 1", "bed.move(['a'], '1')"),
        ("arrange a=(1, 2) b", "bed.arrange({'a': (1, 2), 'b': None})"),
        ("wait", "print(bed.runs.last.result())"),
        ("wait 3 --timeout 4", "print(bed.runs[3].result(timeout=4.0))"),
        ("runs", "pass  # %rml runs"),
        ("start --profile p", "    bed = Testbed(profile='p')"),
        ("wire g a/x --round 2", "bed.wire(g, nodes='a', role='x', relationship='peer', round=2)"),
    ],
)
def test_each_command(shell, line, code):
    assert code in to_script([Cell(1, f"%rml {line}", True)], {}).split("\n")


@pytest.mark.parametrize(
    "line, code",
    [
        (
            "%rml spawn client{1..clients} {name} {a,b}",
            "bed.spawn(f'client{{1..{clients}}}', f'{name}', '{a,b}')",
        ),
        ("%rml start --engines {n} --seed {seed}", "    bed = Testbed(engines=n, seed=seed)"),
        ("%rml record run-{seed}.parquet  # kept", "bed.record(f'run-{seed}.parquet')"),
        (
            "%rml call {names['a']}/x go n={1: 2}[k]",
            """print(bed.call(f"{names['a']}/x", 'go', {'n': {1: 2}[k]}))""",
        ),
        ("r = %rml call a/x go n=1", "r = bed.call('a/x', 'go', {'n': 1})"),
        ("r = %rml call a/x go --background", "r = bed.run('a/x', 'go', {})"),
        ("ns = %rml spawn a{1..2}", "ns = bed.spawn('a{1..2}')"),
        ("s = %rml status", "s = bed.status()"),
        ("r = %rml runs", "r = bed.runs"),
        ("w = %rml wait 2", "w = bed.runs[2].result()"),
        ("s = %rml links", "s = None  # %rml links"),
        (
            "def f(k):\n    v = %rml call a/x go n=k\n    %rml start --engines 0",
            "    v = bed.call('a/x', 'go', {'n': k})",
        ),
        ("def f(k):\n    %rml start --engines 0", '        globals()["bed"] = Testbed(engines=0)'),
        (
            "%%rml\nspawn a # one\n\nassign a x=X(\n  k=1)\nstatus",
            "selected.assign('x', X, options={'k': 1})",
        ),
        ("%%rml\nspawn a # one\nstatus", "pass  # %rml status"),
    ],
)
def test_python_in_lines_stays_python(shell, line, code):
    made = to_script([Cell(1, line, True)], {})
    assert code in made.split("\n"), made
    compile(made, "script", "exec")


SETUP = [
    """\
%%role
from roleml_nb import Event, Role, Service
class Learner(Role):
    learned = Event()
    def __init__(self, rate=1.0):
        super().__init__()
        self.rate = rate
    @Service(expand=True)
    def learn(self, caller, rounds):
        for number in range(rounds):
            self.learned.emit({"value": self.rate * self.rng(number).random()})
        return rounds""",
    "SCALE = 2",
]
TRAVELS = [
    "# Parameters\nclients = 2\nrounds = 3",
    "%run setup.ipynb\n%run more.py",
    """\
def deploy(count, rate):
    %rml start --engines 0 --seed {count}
    %rml spawn server client{1..count}
    for number in range(1, count + 1):
        %rml assign client{number} learner=Learner(rate=rate * number)
    total = %rml call client*/learner learn rounds=rounds
    return total
done = deploy(clients, SCALE + MORE)
done""",
    (
        "%%rml\nassign server learner=Learner(rate=SCALE)  # as well\nrelate server"
        " learner=client{1..clients}/learner"
    ),
    "'a text'; sorted(done)",
    "sum(done.values());",
]


@pytest.mark.parametrize(
    "arguments, clients, rounds", [([], 2, 3), (["--clients", "3", "--rounds=1"], 3, 1)]
)
def test_what_made_the_testbed_travels(shell, capsys, folder, arguments, clients, rounds):
    """`%run`, functions, loops and parameters, in a folder where nothing else is."""
    write(folder / "setup.ipynb", SETUP)
    (folder / "more.py").write_text("from __future__ import annotations\nMORE = 0.5\n")
    for cell in [f"clients, rounds = {clients}, {rounds}", *TRAVELS[1:]]:
        assert shell.run_cell(cell, store_history=True).success, cell
    run(shell, capsys, "record session")
    spec = shell.user_ns["bed"].spec()
    history = shell.magics_manager.registry["RoleMagics"].context.history
    history.cells[0] = history.cells[0]._replace(text=TRAVELS[0])  # the arguments say the rest
    run(shell, capsys, "export script.py")
    fresh = folder / "fresh"
    fresh.mkdir()
    program = (
        (folder / "script.py")
        .read_text()
        .replace("    bed.stop()\n", "    bed.record('program')\n    bed.stop()\n")
    )
    (fresh / "again.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "again.py", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=fresh,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr + program
    names = [f"client{number}" for number in range(1, clients + 1)]
    assert done.stdout == f"{dict.fromkeys(names, rounds)}\n{names}\n"
    assert values(Recording.open(fresh / "program")) == values(Recording.open("session"))
    assert len(values(Recording.open("session"))) == clients * rounds
    assert Recording.open(fresh / "program").spec == spec


CHANGES = [
    "%rml start --engines 0\n%rml spawn server client{1..4}",
    SETUP[0],
    "%rml assign * learner=Learner",
    """\
def prepare():
    %run more.py
    %run gone.py
prepare()
prepare()
MORE""",
    """\
%rml relate server learner=client1/learner,client2/learner
%rml unrelate server learner=client2/learner
%rml terminate client4 learner
%rml remove client3
%rml rename client1 first
%rml arrange server=(10, 20)
%rml call server/learner learn rounds=1
%rml call client2/learner learn rounds=2 --background
%rml wait 1
late = %rml wait
standing = %rml status""",
    "late, len(standing.nodes)",
]


def test_what_takes_away_and_what_waits_is_in_the_program(shell, capsys, folder):
    """And `%run` within a function runs in the program's own globals, as it does in the
    notebook's.
    """
    (folder / "more.py").write_text(
        'try:\n    MORE += 1\nexcept NameError:\n    MORE = 1\n"""\ntext"""\n'
    )
    for cell in CHANGES:
        (folder / "gone.py").write_text("pass")
        assert shell.run_cell(cell, store_history=True).success, cell
    (folder / "gone.py").unlink()
    run(shell, capsys, "record session")
    spec, numbers = shell.user_ns["bed"].spec(), values(Recording.open("session"))
    assert set(spec["nodes"]) == {"server", "first", "client2", "client4"} and len(numbers) == 3
    capsys.readouterr()
    run(shell, capsys, "export script.py")
    program = (folder / "script.py").read_text()
    assert (
        "    exec(_RUN_1, globals())  # get_ipython().run_line_magic('run', 'more.py')\n" in program
    )
    assert (
        "    pass  # get_ipython().run_line_magic('run', 'gone.py'): not in this program, as no"
        " such notebook or file of Python was found\n" in program
    )
    (folder / "again.py").write_text(
        program.replace("    bed.stop()\n", "    bed.record('program')\n    bed.stop()\n")
    )
    done = subprocess.run(
        [sys.executable, "again.py"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr + program
    assert done.stdout == "2\n1\n2\n(2, 4)\n"
    again = Recording.open("program")
    assert again.spec == spec and values(again) == numbers


def test_an_argument_that_is_none_is_refused(shell, capsys, folder):
    shell.run_cell("# parameters\nclients = 2", store_history=True)
    shell.run_cell("# Parameters\nclients = 3\nname = 'x'", store_history=True)
    shell.run_cell("clients, name", store_history=True)
    run(shell, capsys, "export script.py")
    for arguments, code, text in (
        ([], 0, "(3, 'x')"),
        (["--name", "[1]"], 0, "(3, [1])"),
        (["--cleints", "1"], 2, "unrecognized arguments: --cleints"),
    ):
        done = subprocess.run(
            [sys.executable, "script.py", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == code and text in done.stdout + done.stderr


def test_the_spec_and_what_cannot_be_exported(shell, capsys, folder):
    run(shell, capsys, "start --engines 0")
    run(shell, capsys, "spawn a")
    assert run(shell, capsys, "export run.yaml") == "exported run.yaml: what is deployed\n"
    assert "roleml_nb: 1" in (folder / "run.yaml").read_text()
    with pytest.raises(
        UsageError,
        match=(
            "cannot export 'run.txt': name it script.py for a program, or run.yaml for what is"
            " deployed"
        ),
    ):
        run(shell, capsys, "export run.txt")
    with pytest.raises(
        UsageError, match="cannot write missing/script.py: No such file or directory"
    ):
        run(shell, capsys, "export missing/script.py")
