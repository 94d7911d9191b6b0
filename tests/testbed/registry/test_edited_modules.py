"""Code in files that is edited while roles are at work: what runs afterwards is the new code, or
one line says why not.

The table: where the code stands, by what is done after it was edited, by where the nodes live.
"""

import importlib
import itertools
import os
import re
import signal
import subprocess
import sys
from textwrap import dedent

import ipyparallel as ipp
import pytest

from roleml_nb import Testbed
from tests.shells import loaded_shell
from tests.waiting import until

ROLE = """
from roleml_nb import Element, Role, Service
{imports}

class R(Role):
    compute = Element(object, optional=True, type_check=False)

    def __init__(self):
        super().__init__()
        self.kept = []

    @Service(expand=True)
    def ask(self, caller, item=None):
        self.kept.append(item)
        return {answer}, len(self.kept)
"""
ANSWER = 'def answer():\n    return "old"\n'
ITEM = """
from dataclasses import dataclass

@dataclass
class Item:
    size: int = 0

    def answer(self):
        return "old"
"""
PROJECTS = {  # files, the one that is edited, and the options of the assignment
    "cell": ({"helper": ANSWER}, "helper", ""),
    "module": ({"roles": ROLE.format(imports="", answer='"old"')}, "roles", ""),
    "package": (
        {
            "pack/__init__": "",
            "pack/answers": ANSWER,
            "pack/roles": ROLE.format(imports="from .answers import answer", answer="answer()"),
        },
        "pack/answers",
        "",
    ),
    "helper of a helper": (
        {
            "deep": ANSWER,
            "helper": "import {p}deep\n\ndef answer():\n    return {p}deep.answer()\n",
            "roles": ROLE.format(imports="from {p}helper import answer", answer="answer()"),
        },
        "deep",
        "",
    ),
    "dataclass": (
        {
            "items": ITEM,
            "roles": ROLE.format(
                imports="from {p}items import Item", answer="(self.kept[0] or Item()).answer()"
            ),
        },
        "items",
        "",
    ),
    "function in an element": (
        {"functions": ANSWER, "roles": ROLE.format(imports="", answer="self.compute()()")},
        "functions",
        ", elements={'compute': {p}functions.answer}",
    ),
}
WAYS = ("re-run", "reload", "autoreload", "file edited and nothing else")
numbers = itertools.count()

HIDE = """
import sys
def hide(event, args, folder=%r):
    if event in ("open", "os.listdir", "os.scandir") and str(args[0]).startswith(folder):
        raise FileNotFoundError(args[0])
sys.addaudithook(hide)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("projects")


@pytest.fixture(scope="module")
def joined(root, tmp_path_factory):
    """Testbed on a cluster that was started by hand, whose engines see nothing of the notebook's
    folder.
    """
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("ipython")
        patch.setenv("IPYTHONDIR", str(home))
        started = [
            subprocess.Popen(
                [sys.executable, "-m", f"ipyparallel.{what}", "--profile=away"],
                cwd=home,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for what in ("controller",)
        ]
        until(
            (home / "profile_away/security/ipcontroller-client.json").exists, "the controller", 60
        )
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "ipyparallel.engine", "--profile=away"],
                cwd=home,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        bed = Testbed(1, profile="away", preload=(), start_timeout=60)
        with ipp.Client(profile="away") as client:
            client[:].execute(HIDE % str(root), block=True)
        yield bed
        bed.stop()
        for process in reversed(started):
            process.terminate()
            process.wait(20)


@pytest.fixture(
    params=[0, 2, "joined"], ids=["one process", "engines", "joined cluster without the folder"]
)
def anywhere(request):
    return (
        request.getfixturevalue("joined")
        if request.param == "joined"
        else request.getfixturevalue("testbeds").get(request.param) or _made(request, request.param)
    )


def _made(request, engines):
    made = request.getfixturevalue("testbeds")
    made[engines] = Testbed(engines=engines, timeout=30, preload=())
    return made[engines]


class Project:
    """A folder with modules of a name of their own, and a notebook in it."""

    def __init__(self, bed, root, capsys):
        self.bed, self.capsys, self.prefix = bed, capsys, f"m{next(numbers)}_"
        self.folder, self.node = root / self.prefix, f"edit{self.prefix[:-1]}"
        self.folder.mkdir()
        self.shell = loaded_shell()
        self.magics = self.shell.magics_manager.registry["RoleMagics"]
        self.tell = bed.code_changes.report
        self.magics.context.use(bed)
        bed.spawn(self.node)

    def write(self, name, text):
        path = self.folder / f"{self.prefix}{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(text.replace("{p}", self.prefix)))
        importlib.invalidate_caches()
        return path

    def module(self, name):
        return (self.prefix + name).replace("/", ".").removesuffix(".__init__")

    def cell(self, text):
        """Run a cell; returns what it prints, and what is told."""
        self.capsys.readouterr()
        done = self.shell.run_cell(dedent(text.replace("{p}", self.prefix)))
        printed, told = self.capsys.readouterr()
        assert done.success, printed + told
        return printed, told

    def ask(self, item="None"):
        self.cell(f"value = bed.call('{self.node}/r', 'ask', {{}}, {{'item': {item}}})")
        return self.shell.user_ns["value"]

    def close(self):
        if self.bed.running and self.node in self.bed.registry.places:
            self.bed.remove(self.node)
        self.bed.code_changes.report = self.tell
        self.magics.context.bed = None
        self.shell.user_ns.pop("bed", None)
        self.shell.run_line_magic("unload_ext", "roleml_nb")
        for name in [name for name in sys.modules if name.startswith(self.prefix)]:
            del sys.modules[name]


@pytest.fixture
def project(anywhere, root, capsys, monkeypatch):
    project = Project(anywhere, root, capsys)
    monkeypatch.chdir(project.folder)
    monkeypatch.syspath_prepend(str(project.folder))
    yield project
    project.close()


def begin(project, kind, way):
    """Assign the role from a notebook; returns the edited file's name, and the cell that imports or
    defines.
    """
    files, edited, given = PROJECTS[kind]
    for name, text in files.items():
        project.write(name, text)
    if way == "autoreload":
        project.cell("%load_ext autoreload\n%autoreload 2")
    if kind == "cell":
        cell = "%%role\nimport {p}helper\n" + ROLE.format(imports="", answer="{p}helper.answer()")
    else:
        roles = roles_of(kind)
        others = "".join(
            f"import {project.module(name)}\n"
            for name in files
            if name.rpartition("/")[2] in ("items", "functions")
        )
        cell = f"{others}from {project.module(roles)} import R\n"
    project.cell(cell)
    project.cell(f"bed.assign('{project.node}', 'r', R{given})".replace("{p}", project.prefix))
    return edited, cell


def roles_of(kind):
    return next(name for name in PROJECTS[kind][0] if name.endswith("roles"))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", PROJECTS)
def test_new_code_runs_or_one_line_says_why_not(project, kind, way):
    edited, cell = begin(project, kind, way)
    item = f"{project.prefix}items.Item()" if kind == "dataclass" else "None"
    assert project.ask(item) == ("old", 1)
    path = project.write(edited, PROJECTS[kind][0][edited].replace('"old"', '"quite new"'))
    name, told = project.module(edited), ""
    if way == "re-run":
        if kind == "cell":
            cell = cell.replace(f"{project.prefix}helper.answer()", '"quite new"').replace(
                "{p}helper.answer()", '"quite new"'
            )
        printed, told = project.cell(cell)
        if kind == "cell":
            assert "is taken up by 1 role" in printed
            assert project.ask() == ("quite new", 2)
            return
    elif way == "reload":
        _, told = project.cell(f"import importlib, {name}\nimportlib.reload({name})\nNone")
    else:
        _, told = project.cell("1")
    if way in ("re-run", "file edited and nothing else"):
        assert (
            told
            == f"{path.name} was edited, and this kernel has not loaded it: the notebook and its"
            f" roles go on with the code from before; load it with importlib.reload({name}), as"
            " %autoreload 2 does from the next edit on\n"
        )
        assert project.cell("%rml update") == ("no role is behind\n" + told, "")
        assert project.ask() == ("old", 2)
        return
    assert (
        told == f"{name} has changed since {project.node}/r took up its code; %rml update, or"
        " bed.update(), has all take up the new one\n"
    )
    # as Python's own reload has it
    if way == "reload" and project.bed.engines == 0 and kind in ("package", "dataclass"):
        user, name_there = (
            project.module(roles_of(kind)),
            "Item" if kind == "dataclass" else "answer",
        )
        failed = project.shell.run_cell("%rml update").error_in_exec
        assert (
            str(failed)
            == f"rml: {user} uses the {name_there} from before {name} was reloaded, and so would"
            f" roles in this process: importlib.reload({user}), too, or have %autoreload 2 do so"
        )
        project.cell(f"import {user}\nimportlib.reload({user})\n{cell}")
    printed, told = project.cell("%rml update")
    elements = ", with what changed in its elements," if kind == "function in an element" else ""
    assert told == "" and re.fullmatch(
        rf"version \d+ of R{elements} is taken up by 1 role\n", printed
    )
    assert elements or not printed.startswith("version 1 ")
    assert project.ask() == ("quite new", 2)
    assert project.cell("%rml update") == ("no role is behind\n", "")
    second = f"{project.node}b"
    project.cell(f"bed.spawn('{second}')")
    # `R` is the class from before, and is not taken for the new one
    if way == "reload" and kind == "module":
        failed = project.shell.run_cell(f"bed.assign('{second}', 'r', R)").error_in_exec
        assert (
            f"role is the R from before {name} was reloaded; give {name}.R, or run 'from {name}"
            " import R' again" in str(failed)
        )
        project.cell(cell)
    _, _, given = PROJECTS[kind]
    if kind == "function in an element" and way == "reload":
        project.cell(cell)
    project.cell(f"bed.assign('{second}', 'r', R{given})".replace("{p}", project.prefix))
    project.cell(f"value = bed.call('{second}/r', 'ask')")
    assert project.shell.user_ns["value"] == ("quite new", 1)
    project.bed.remove(second)


def text(answer, imports="", more=""):
    return ROLE.format(imports=imports, answer=answer) + more


def reload(project, name):
    return importlib.reload(importlib.import_module(project.module(name)))


def test_versions_live_side_by_side_and_move_and_what_was_unchanged_is_not_executed_again(project):
    """A task under way, and a role that moves, keep the version that they have; a module that was
    not edited keeps its state.
    """
    bed, node = project.bed, project.node
    project.write(
        "state", "calls = []\n\ndef count():\n    calls.append(1)\n    return len(calls)\n"
    )
    project.write("answers", ANSWER)
    roles = text(
        "(answer(), count())",
        "import time\nfrom roleml_nb import Task\nfrom {p}answers import answer\nfrom {p}state"
        " import count",
        "\n    @Task(expand=True)\n    def work(self, caller):\n        self.working = True\n      "
        "  while self.working:\n            time.sleep(0.01)\n        return answer()\n\n   "
        " @Service(expand=True)\n    def end(self, caller):\n        was, self.working ="
        " getattr(self, 'working', False), False\n        return was\n",
    )
    project.write("roles", roles)
    module = importlib.import_module(project.module("roles"))
    bed.spawn(f"{node}b", f"{node}c", on=None)
    bed.assign([node, f"{node}b"], "r", module.R)
    assert bed.call(f"{node}/r", "ask") == (("old", 1), 1)
    task = bed.call_task(f"{node}b/r", "work")
    project.write("answers", ANSWER.replace('"old"', '"quite new"'))
    for name in ("answers", "roles"):
        module = reload(project, name)
    bed.assign(f"{node}c", "r", module.R)
    (fresh, counted), _ = bed.call(f"{node}c/r", "ask")
    assert fresh == "quite new" and counted >= 1
    old = bed.call(f"{node}/r", "ask")[0]
    # in one process there is one module, and reload fills it anew
    assert old[0] == ("old" if bed.engines else "quite new")
    number = bed.versions.running[f"{node}", "r"][1]
    bed.migrate(f"{node}/r", to=f"{node}c/moved")
    assert bed.versions.running[f"{node}c", "moved"][1] == number
    assert bed.call(f"{node}c/moved", "ask")[0][0] == old[0]
    until(lambda: bed.call(f"{node}b/r", "end"), "the task works")
    assert task.result(20) == old[0]
    assert {(f"{node}c", "moved"), (f"{node}b", "r")} == set(bed.update())
    assert (
        bed.call(f"{node}c/moved", "ask")[0][0] == "quite new"
        and bed.call(f"{node}b/r", "ask")[0][0] == "quite new"
    )
    bed.remove([f"{node}b", f"{node}c"])


def test_objects_become_those_of_the_new_classes_and_get_their_new_fields(project):
    bed, node = project.bed, project.node
    project.write("items", ITEM)
    project.write("roles", text("[each.answer() for each in self.kept if each]", "import {p}items"))
    module = importlib.import_module(project.module("roles"))
    items = importlib.import_module(project.module("items"))
    bed.assign(node, "r", module.R)
    assert bed.call(f"{node}/r", "ask", {}, {"item": items.Item(3)}) == (["old"], 1)
    project.write(
        "items",
        ITEM.replace("dataclass\n\n@", "dataclass, field\n\n@")
        .replace(
            "size: int = 0",
            "size: int = 0\n    scale: int = 2\n    more: list = field(default_factory=lambda:"
            " [5])",
        )
        .replace('"old"', "self.size * self.scale, self.more"),
    )
    for name in ("items", "roles"):
        reload(project, name)
    assert (node, "r") in bed.update()
    assert bed.call(f"{node}/r", "ask") == ([(6, [5])], 2)


def test_what_an_edited_function_has_built_stays_and_is_told(project):
    node = project.node
    project.write("data", "def make():\n    return [1]\n\ndef other():\n    return 0\n")
    project.write("roles", text("self.compute()"))
    project.cell(
        "import importlib, {p}data, {p}roles\nfrom roleml_nb import impl\n"
        f"bed.assign('{node}', 'r', {{p}}roles.R, elements={{'compute': impl({{p}}data.make)}})"
    )
    assert project.ask() == ([1], 1)
    project.write("data", "def make():\n    return [1]\n\ndef other():\n    return 1000\n")
    project.cell("importlib.reload({p}data)\nNone")
    assert project.cell("bed.update()\nNone") == ("", "") and project.ask() == ([1], 2)
    project.write("data", "def make():\n    return [1, 2, 3]\n")
    project.cell("importlib.reload({p}data)\nNone")
    assert (
        project.cell("bed.update()\nNone")[1]
        == f"element 'compute' of {node}/r stays what the function built before it was edited;"
        " assign the role once more to have it built anew\n"
    )
    assert project.ask() == ([1], 3)
    project.cell(
        f"bed.assign('{node}', 'r', {{p}}roles.R, elements={{'compute': impl({{p}}data.make)}})"
    )
    assert project.ask() == ([1, 2, 3], 1)


def test_comments_make_no_version_and_what_cannot_be_compiled_is_told(project):
    bed, node = project.bed, project.node
    project.write("roles", text('"old"'))
    module = importlib.import_module(project.module("roles"))
    bed.assign(node, "r", module.R)
    number = bed.versions.number(module.R)
    project.write("roles", "# a comment\n" + text('"old"'))
    assert "roles" not in project.cell("1")[1]
    assert bed.versions.number(reload(project, "roles").R) == number and bed.update(module.R) == []
    project.write("roles", text('"old" +'))
    _, told = project.cell("1")
    assert told.startswith(
        f"{project.prefix}roles.py was edited, and this kernel has not loaded it"
    )
    assert project.ask() == ("old", 1) and project.cell("1")[1] == ""  # told once


@pytest.mark.parametrize("anywhere", [2, "joined"], indirect=True, ids=["engines", "joined"])
def test_a_version_that_engines_cannot_execute_is_refused_and_the_old_one_goes_on(project):
    bed, node = project.bed, project.node
    project.write("roles", text('"old"'))
    module = importlib.import_module(project.module("roles"))
    bed.assign(node, "r", module.R)
    assert project.ask() == ("old", 1)
    here = "import os\nif os.getpid() != %d:\n    raise OSError('no such device')\n"
    project.write("roles", here % os.getpid() + text('"quite new"'))
    module = reload(project, "roles")
    with pytest.raises(Exception, match="OSError: no such device"):
        bed.update(module.R)
    assert project.ask() == ("old", 2)
    project.write("roles", text('"quite new"') + "\nDONE = 1\n")
    assert bed.update(reload(project, "roles").R) == [(node, "r")]
    assert project.ask() == ("quite new", 3)


def test_a_module_that_was_edited_before_anybody_looked_is_refused(project):
    bed, node = project.bed, project.node
    project.write("roles", text('"old"'))
    module = importlib.import_module(project.module("roles"))
    project.write("roles", text('"quite new"'))
    if bed.engines:
        with pytest.raises(
            Exception,
            match=(
                rf"{project.module('roles')} was edited after this kernel had imported it, before"
                r" anybody "
                r"looked, so that engines cannot have the same: load it with importlib.reload"
            ),
        ):
            bed.assign(node, "r", module.R)
        assert node not in bed.registry.roles
    else:
        bed.assign(node, "r", module.R)
        assert bed.call(f"{node}/r", "ask") == ("old", 1)
    # which takes the file as loaded, edited or not
    project.cell("%load_ext autoreload\n%autoreload 2")
    project.cell("None")
    if bed.engines:
        with pytest.raises(Exception, match="as %autoreload 2 does from the next edit on"):
            bed.assign(node, "r", module.R)
    bed.assign(node, "r", reload(project, "roles").R)
    assert bed.call(f"{node}/r", "ask") == ("quite new", 1)


def test_imports_within_functions_and_of_cells_are_followed(project):
    node = project.node
    project.write("late", ANSWER)
    project.cell(
        "%%role\nfrom roleml_nb import Role, Service\nclass Late(Role):\n   "
        " @Service(expand=True)\n    def ask(self, caller, item=None):\n        from {p}late import"
        " answer\n        return answer()\n"
    )
    project.cell(f"bed.assign('{node}', 'r', Late)")
    assert project.ask() == "old"
    late = importlib.import_module(project.module("late"))
    project.write("late", ANSWER.replace('"old"', '"quite new"'))
    importlib.reload(late)
    _, told = project.cell("1")
    assert f"{project.module('late')} has changed since {node}/r took up its code" in told
    assert "is taken up by 1 role" in project.cell("%rml update")[0]
    assert project.ask() == "quite new"


def test_a_name_of_a_cell_from_before_a_reload_is_refused(project):
    node = project.node
    project.write("helper", ANSWER)
    cell = "%%role\nfrom {p}helper import answer\n" + text("answer()")
    project.cell(cell)
    project.cell(f"bed.assign('{node}', 'r', R)")
    assert project.ask() == ("old", 1)
    project.write("helper", ANSWER.replace('"old"', '"quite new"'))
    reload(project, "helper")
    failed = project.shell.run_cell("%rml update").error_in_exec
    helper = project.module("helper")
    assert (
        str(failed)
        == f"rml: R uses the answer from before {helper} was reloaded; run 'from {helper} import"
        " answer' again"
    )
    assert project.ask() == ("old", 2)
    project.cell(cell)
    assert project.ask() == ("quite new", 3)


def test_a_checkpoint_keeps_the_version_that_a_role_had(root, tmp_path, capsys, monkeypatch):
    """Restored after an edit, a role has its own version, and is behind; then it is updated."""
    for engines in (0, 1):
        with Testbed(engines=engines, preload=(), timeout=30) as bed:
            project = Project(bed, root, capsys)
            monkeypatch.chdir(project.folder)
            monkeypatch.syspath_prepend(str(project.folder))
            project.write("roles", text('"old"'))
            module = importlib.import_module(project.module("roles"))
            bed.assign(project.node, "r", module.R)
            assert project.ask() == ("old", 1)
            bed.save(tmp_path / f"{engines}.checkpoint")
            node, prefix = project.node, project.prefix
        project.write("roles", text('"quite new"'))
        module = reload(project, "roles")
        with Testbed.from_checkpoint(
            tmp_path / f"{engines}.checkpoint", preload=(), timeout=30
        ) as bed:
            with pytest.warns(
                UserWarning, match=f"{prefix}roles has changed since {node}/r took up its code"
            ):
                answer, count = bed.call(f"{node}/r", "ask")
            assert (answer, count) == ("old" if engines else "quite new", 2)
            assert bed.update() == [(node, "r")]
            assert bed.call(f"{node}/r", "ask") == ("quite new", 3)
        project.bed = bed
        project.close()


def test_a_role_that_is_made_anew_or_put_back(own_bed, root, capsys, monkeypatch):
    """Made anew, a role has the code of now; put back after a termination, what it had."""
    bed = own_bed
    project = Project(bed, root, capsys)
    monkeypatch.chdir(project.folder)
    monkeypatch.syspath_prepend(str(project.folder))
    from roleml_nb.testbed.operations.undo import capture, restore

    node = project.node
    project.write("roles", text('"old"'))
    bed.assign(node, "r", importlib.import_module(project.module("roles")).R)
    assert project.ask() == ("old", 1)
    project.write("roles", text('"quite new"'))
    reload(project, "roles")
    project.cell("1")
    with capture(bed.deployment, [bed.registry.instances(f"{node}/r")[0]]) as kept:
        bed.terminate(node, "r")
    assert bed.versions.behind() == {}
    restore(bed.deployment, kept[0])
    assert project.ask() == ("old", 2) and list(bed.versions.behind()) == [(node, "r")]
    os.kill(bed.fleet.on_hosts(pid)[bed.registry.places[node]], signal.SIGKILL)
    until(lambda: bed.lost, "the engine is lost", 30)
    assert bed.respawn() == [node]
    assert project.ask() == ("quite new", 1) and bed.versions.behind() == {}
    project.close()


def pid(host):
    return os.getpid()
