"""Edits that `%autoreload 2` loads in its own way, or not at all: what runs is what one sees, or
one line says why not.
"""

import importlib
import os

import pytest

from roleml_nb.role import TestbedError
from tests.testbed.registry.test_edited_modules import ROLE, anywhere, joined, project, root  # noqa: F401

pytestmark = pytest.mark.parametrize(
    "anywhere", [0, 2], indirect=True, ids=["one process", "engines"]
)
HELPER = """
import functools
import math

def shout(function):
    @functools.wraps(function)
    def shouting(*args):
        return function(*args).upper()
    return shouting

class Base:
    def answer(self):
        return "base"

class Item:
    size = 1
    def answer(self):
        return f"old {self.size}"

def answer(scale=1):
    return f"old {math.floor(scale)}"
"""
BEHIND = (
    "{helper} has changed since {node}/r took up its code; %rml update, or bed.update(), has all"
    " take up the new one\n"
)
NOT_LOADED = (
    "{prefix}helper.py was edited, and this kernel has not loaded it: the notebook and its roles go"
    " on with the code from before; {obstacle}\n"
)
IN_PLACE = (
    "load it with importlib.reload({helper}); decorators, fields and bases of classes, and"
    " statements need that"
)


def begin(
    project,  # noqa: F811
    helper=HELPER,
    answer="[{p}helper.answer(), {p}helper.Item().answer()]",
    **files,  # noqa: F811, RUF100
):
    """Assign a role that uses a helper, under %autoreload 2; returns what formats the texts."""
    project.write("helper", helper)
    for name, text in files.items():
        project.write(name, text)
    project.write("roles", ROLE.format(imports="import {p}helper", answer=answer))
    project.cell("%load_ext autoreload\n%autoreload 2")
    project.cell("import importlib\nfrom {p}roles import R\nimport {p}helper")
    project.cell(f"bed.assign('{project.node}', 'r', R)")
    return {"helper": project.module("helper"), "node": project.node, "prefix": project.prefix}


@pytest.mark.parametrize("old, new, expected", [
    ("scale=1", "scale=7", ["old 7", "old 1"]),
    ("scale=1", "scale=int('8')", ["old 8", "old 1"]),
    ("math.floor", "3 * math.floor", ["old 3", "old 1"]),
    ("import math\n", "import math\nimport math as floors\n", ["old 1", "old 1"]),
    ("size = 1", "size = 5", ["old 1", "old 5"]),
    ("size = 1", "size = int('6')", ["old 1", "old 6"]),
    ("def answer(scale", "@shout\ndef answer(scale", ["OLD 1", "old 1"]),
    ("def answer(scale", "def more():\n    '''New.'''\n\ndef answer(scale", ["old 1", "old 1"]),
    ("import functools", "'''A docstring.'''\nimport functools", ["old 1", "old 1"]),
    ('class Base:\n    def answer(self):\n        return "base"\n', "", ["old 1", "old 1"]),
])  # fmt: skip
def test_what_was_loaded_in_place_is_taken_up(project, old, new, expected):  # noqa: F811
    """And what was edited back is the version that it was."""
    texts = begin(project)
    assert project.ask() == (["old 1", "old 1"], 1)
    number = project.bed.versions.running[project.node, "r"][1]
    project.write("helper", HELPER.replace(old, new))
    assert project.cell("None") == ("", BEHIND.format(**texts))
    assert "is taken up by 1 role" in project.cell("%rml update")[0]
    assert project.ask() == (expected, 2)
    project.write("helper", HELPER)
    assert project.cell("None") == ("", BEHIND.format(**texts))
    assert f"version {number} of R is taken up" in project.cell("%rml update")[0]
    assert project.ask() == (["old 1", "old 1"], 3)


@pytest.mark.parametrize("old, new", [
    ("class Item:\n    size = 1\n", "class Item(Base):\n    size = 2\n"),
    ("class Item:\n",
     "@functools.total_ordering\nclass Item:\n"
     "    def __lt__(self, other):\n        return False\n"),
    ("import functools", "import functools\nfor number in range(3):\n    pass"),
])  # fmt: skip
def test_what_cannot_be_loaded_in_place_is_told_and_a_reload_loads_it(project, old, new):  # noqa: F811
    """A base, a decorator of a class: IPython 9 leaves them out, and goes on as if it had loaded
    them.
    """
    answer = (
        "[{p}helper.Item.__mro__[1].__name__, '__lt__' in vars({p}helper.Item), "
        "getattr({p}helper, 'number', None)]"
    )
    texts = begin(project, answer=answer)
    assert project.ask() == (["object", False, None], 1)
    project.write("helper", HELPER.replace(old, new))
    _, told = project.cell("None")
    if told == NOT_LOADED.format(obstacle=IN_PLACE.format(**texts), **texts):
        assert project.cell("%rml update") == (f"no role is behind\n{told}", "")
        told = project.cell(f"importlib.reload({texts['helper']})\nNone")[1]
    assert told == BEHIND.format(**texts)
    assert "is taken up by 1 role" in project.cell("%rml update")[0]
    here = project.module("helper")
    project.cell(f"seen = [{here}.Item.__mro__[1].__name__, '__lt__' in vars({here}.Item), "
                 f"getattr({here}, 'number', None)]")  # fmt: skip
    answer = project.ask()[0]
    assert answer == project.shell.user_ns["seen"]
    assert answer in (["Base", False, None], ["object", True, None], ["object", False, 2])


FIELDS = """
from dataclasses import dataclass

@dataclass
class Item:
    size: int = 1

    def answer(self):
        return self.size

def answer():
    return 0
"""


def test_a_field_of_a_data_class_is_no_edit_in_place(project):  # noqa: F811
    """IPython 9 sets the field's default and leaves `__init__` as it was."""
    texts = begin(project, FIELDS)
    assert project.ask() == ([0, 1], 1)
    edited = FIELDS.replace("size: int = 1", "size: int = 1\n    scale: int = 5")
    project.write("helper", edited.replace("self.size", "self.size * self.scale"))
    assert project.cell("None")[1] == NOT_LOADED.format(obstacle=IN_PLACE.format(**texts), **texts)
    project.cell(f"importlib.reload({texts['helper']})\nNone")
    assert "is taken up by 1 role" in project.cell("%rml update")[0]
    assert project.ask() == ([0, 5], 2)
    project.cell(f"assert {texts['helper']}.Item(2, 3).answer() == 6")


def test_what_is_no_python_is_told_with_its_line(project):  # noqa: F811
    texts = begin(project)
    project.ask()
    project.write("helper", HELPER + "def more(:\n    pass\n")
    obstacle = "it is no Python: invalid syntax, in line 22"
    assert project.cell("None")[1].endswith(NOT_LOADED.format(obstacle=obstacle, **texts))
    assert project.ask() == (["old 1", "old 1"], 2)
    project.write("helper", HELPER.replace("old {math", "new {math"))
    assert project.cell("None")[1] == BEHIND.format(**texts)
    project.cell("%rml update")
    assert project.ask() == (["new 1", "old 1"], 3)


def test_an_edit_that_is_undone_and_made_again_is_told_again(project):  # noqa: F811
    texts = begin(project)
    for _ in range(2):
        project.write("helper", HELPER.replace("old", "new"))
        assert project.cell("None")[1] == BEHIND.format(**texts)
        assert project.cell("None")[1] == ""
        project.write("helper", HELPER)
        assert project.cell("None")[1] == "" and project.cell("%rml update") == (
            "no role is behind\n",
            "",
        )


def test_a_file_of_the_same_size_and_time_is_read_again(project):  # noqa: F811
    """Python takes what it had compiled: told, as nothing else would."""
    texts = begin(project)
    path = project.folder / f"{project.prefix}helper.py"
    before = path.stat()
    project.cell("%autoreload 0")
    project.write("helper", HELPER.replace("old", "new"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    compiled = os.path.exists(importlib.util.cache_from_source(str(path)))
    told = project.cell("None")[1]
    assert told.startswith(
        f"{project.prefix}helper.py was edited, and this kernel has not loaded it"
    )
    if compiled:
        assert told.endswith("saved within the same second: save it again\n")
    project.cell(f"importlib.reload({texts['helper']})\nNone")
    # in one process, a reload is a change of the code itself
    was = "old" if compiled or project.bed.engines else "new"
    assert project.ask()[0] == [f"{was} 1", f"{was} 1"]
    os.utime(path)
    project.cell(f"importlib.reload({texts['helper']})\nNone")
    project.cell("%rml update")
    assert project.ask()[0] == ["new 1", "new 1"]


def test_a_function_moves_to_another_module(project):  # noqa: F811
    """Its users have the one from before, which `%autoreload` leaves without its globals."""
    begin(
        project,
        answer="{p}user.ask()",
        user="from {p}helper import answer\ndef ask():\n    return answer()\n",
    )
    project.cell(f"import {project.prefix}user\nfrom {project.prefix}roles import R")
    project.write("roles", ROLE.format(imports="import {p}user", answer="{p}user.ask()"))
    project.cell("importlib.reload(__import__('{p}roles'))\nfrom {p}roles import R\n"
                 f"bed.assign('{project.node}', 'r', R)")  # fmt: skip
    assert project.ask() == ("old 1", 1)
    project.write("place", HELPER.replace("old", "moved"))
    project.write("helper", "from {p}place import answer, Item\n")
    project.cell("None")
    if project.bed.engines == 0:
        failed = str(project.shell.run_cell("%rml update").error_in_exec)
        assert f"uses the answer from before {project.module('helper')} was reloaded" in failed
        project.cell(f"import {project.prefix}user\nimportlib.reload({project.prefix}user)")
    assert "is taken up by 1 role" in project.cell("%rml update")[0]
    assert project.ask() == ("moved 1", 2)


def test_a_name_that_others_still_import_is_told(project):  # noqa: F811
    """Renamed in one module and not in the other: one line, and no traceback from an engine."""
    project.write("user", "from {p}helper import answer\ndef ask():\n    return answer()\n")
    begin(project, answer="__import__('{p}user').ask()")
    project.write("roles", ROLE.format(imports="import {p}user", answer="{p}user.ask()"))
    project.cell(
        "from {p}roles import R\nimportlib.reload(__import__('{p}roles'))\n"
        f"from {{p}}roles import R\nbed.assign('{project.node}', 'r', R)"
    )
    assert project.ask() == ("old 1", 1)
    project.write("helper", HELPER.replace("def answer(scale", "def reply(scale"))
    project.cell("None")
    user, helper = project.module("user"), project.module("helper")
    for line in ("%rml update", f"%rml assign {project.node} s=R"):
        failed = project.shell.run_cell(line).error_in_exec
        assert str(failed) == (
            f"rml: {user} imports 'answer' from {helper}, which does not have it any more: it was"
            f" removed or renamed; mend {user}"
        )
    project.write("user", "from {p}helper import reply\ndef ask():\n    return reply()\n")
    project.cell("None")
    assert "is taken up by 1 role" in project.cell("%rml update")[0]
    assert project.ask() == ("old 1", 2)


def test_a_class_that_was_renamed_stands_in_memory_only(project):  # noqa: F811
    begin(project)
    project.ask()
    roles, node = project.module("roles"), project.node
    path = project.folder / f"{roles}.py"
    path.write_text(path.read_text().replace("class R(", "class Renamed("))
    assert f"{roles} has changed since {node}/r took up its code" in project.cell("None")[1]
    failed = str(project.shell.run_cell("%rml update").error_in_exec)
    assert failed == (
        f"rml: {roles} has no class R any more, which {node}/r is of; known: Renamed; if it was"
        " renamed: %rml update NewName --was R, or bed.update(NewName, was='R')"
    )
    with pytest.raises(
        TestbedError,
        match=rf"role is the R that {roles} does not have any more: it was removed or renamed",
    ):
        project.bed.assign(node, "other", project.shell.user_ns["R"])
    project.cell(f"from {roles} import Renamed")
    assert "is taken up by 1 role" in project.cell("%rml update Renamed --was R")[0]
    assert project.ask() == (["old 1", "old 1"], 2)


def test_a_constant_that_was_imported_by_name(project):  # noqa: F811
    """On engines it is the new one; in this process, what Python leaves there is told."""
    project.write("numbers", "RATE = 1\n")
    project.write("user", "from {p}numbers import RATE\ndef ask():\n    return RATE\n")
    begin(project)
    project.write("roles", ROLE.format(imports="import {p}user", answer="{p}user.ask()"))
    project.cell("importlib.reload(__import__('{p}roles'))\nfrom {p}roles import R\n"
                 f"bed.assign('{project.node}', 'r', R)")  # fmt: skip
    assert project.ask() == (1, 1)
    project.write("numbers", "RATE = 25\n")
    project.cell("None")
    if project.bed.engines == 0:
        user = project.module("user")
        failed = project.shell.run_cell("%rml update").error_in_exec
        assert str(failed) == (
            f"rml: {user} uses the RATE from before {project.module('numbers')} was reloaded, and"
            f" so would roles in this process: importlib.reload({user}), too"
        )
        project.cell(f"import {project.prefix}user\nimportlib.reload({project.prefix}user)")
    assert "is taken up by 1 role" in project.cell("%rml update")[0]
    assert project.ask() == (25, 2)


def test_functions_and_objects_of_a_notebook_use_what_is_new(project):  # noqa: F811
    """Lambdas, closures, partial functions, methods and objects of the notebook, given as
    elements.
    """
    project.write("helper", HELPER)
    project.cell("%load_ext autoreload\n%autoreload 2")
    project.cell("""
        import importlib
        import functools
        import {p}helper
        from {p}helper import answer
        from roleml_nb import Element, Role, Service, impl

        class Net:
            def __call__(self):
                return answer()

        def closure():
            inner = answer
            return lambda: inner()

        class Asks(Role):
            compute = Element(object, type_check=False)
            @Service(expand=True)
            def ask(self, caller):
                return self.compute()()

        given = {
            "a": lambda: answer(), "b": lambda: {p}helper.answer(),
            "c": functools.partial(answer, 3), "d": Net(), "e": Net().__call__, "f": closure(),
            "g": impl(functools.partial, answer, 4), "h": impl(Net),
            "i": functools.partial(Net()), "j": lambda scale=answer: scale()}
        """)
    for name in "abcdefghij":
        project.cell(
            f"bed.assign('{project.node}', '{name}', Asks, elements={{'compute': given['{name}']}})"
        )

    def answers():
        project.cell(f"value = [bed.call(f'{project.node}/{{name}}', 'ask') for name in given]")
        return project.shell.user_ns["value"]

    assert answers() == [f"old {scale}" for scale in (1, 1, 3, 1, 1, 1, 4, 1, 1, 1)]
    for word in ("quite new", "old", "quite new"):  # also edited back
        project.write("helper", HELPER.replace("old", word))
        project.cell("None")
        assert "is taken up by 10 roles" in project.cell("%rml update")[0]
        assert answers() == [f"{word} {scale}" for scale in (1, 1, 3, 1, 1, 1, 4, 1, 1, 1)]


def test_modules_beside_the_notebooks_folder_are_of_its_project(project, monkeypatch):  # noqa: F811
    """`notebooks/` and `src/` in one repository; and what a link in the notebook's folder leads
    to.
    """
    notebooks = project.folder / "notebooks"
    elsewhere = project.folder.parent / f"{project.prefix}elsewhere"
    for folder in (notebooks, elsewhere, project.folder / ".git"):
        folder.mkdir()
    linked = elsewhere / f"{project.prefix}linked.py"
    linked.write_text('def answer():\n    return "old"\n')
    (notebooks / "shared").symlink_to(elsewhere)
    monkeypatch.chdir(notebooks)
    monkeypatch.syspath_prepend("shared")
    texts = begin(project, answer="[{p}helper.answer(), __import__('{p}linked').answer()]")
    project.cell(f"import {project.prefix}linked")
    project.write(
        "roles",
        ROLE.format(
            imports="import {p}helper, {p}linked", answer="[{p}helper.answer(), {p}linked.answer()]"
        ),
    )
    project.cell("importlib.reload(__import__('{p}roles'))\nfrom {p}roles import R\n"
                 f"bed.assign('{project.node}', 'r', R)")  # fmt: skip
    assert project.ask() == (["old 1", "old"], 1)
    project.write("helper", HELPER.replace("old", "new"))
    linked.write_text('def answer():\n    return "quite new"\n')
    both = {**texts, "helper": f"{texts['helper']} and {project.module('linked')}"}
    assert project.cell("None")[1] == BEHIND.format(**both).replace("has changed", "have changed")
    project.cell("%rml update")
    assert project.ask() == (["new 1", "quite new"], 2)


def test_a_module_elsewhere_is_imported_by_engines_which_is_told(project, tmp_path, monkeypatch):  # noqa: F811
    path = tmp_path / f"{project.prefix}elsewhere.py"
    path.write_text('def answer():\n    return "old"\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    project.cell("%load_ext autoreload\n%autoreload 2")
    project.cell(
        "%%role\n" + ROLE.format(imports="import {p}elsewhere", answer="{p}elsewhere.answer()")
    )
    project.cell(f"bed.assign('{project.node}', 'r', R)")
    assert project.ask() == ("old", 1)
    path.write_text('def answer():\n    return "quite new"\n')
    told = (
        f"{path} was edited, and is of no module of the notebook's folder or project, so that"
        " engines import it themselves, once: "
    )
    told += (
        "those that have it go on with the code from before, until the testbed is started again\n"
    )
    assert project.cell("None")[1] == (told if project.bed.engines else "")
    assert project.cell("None")[1] == ""
    assert project.ask() == ("old" if project.bed.engines else "quite new", 2)
