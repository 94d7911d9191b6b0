"""Which modules are the user's own, what of them is loaded, and what their keys follow."""

import importlib
import sys

import pytest

from roleml_nb.messaging.modules.loaded_code import is_loaded
from roleml_nb.messaging.modules.source_modules import SourceModules


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes a module into the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def write(name, text):
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        importlib.invalidate_caches()
        return name.removesuffix(".__init__")

    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def load(name):
    return importlib.import_module(name)


def test_keys_follow_imports_of_all_kinds(write):
    write("kf_pack.__init__", "")
    write("kf_pack.deep", "VALUE = 1\n")
    write("kf_pack.near", "from . import deep\n")
    write("kf_late", "X = 1\n")
    write("kf_round", "import kf_top\n")
    write("kf_alone", "import json, numpy\n")
    write("kf_top", "import kf_pack.near\nimport kf_round\ndef f():\n    import kf_late\n")
    load("kf_top"), load("kf_alone")
    modules = SourceModules()
    assert modules.refresh() and not modules.refresh()
    assert set(modules.closure("kf_top")) == {
        "kf_top",
        "kf_pack",
        "kf_pack.near",
        "kf_pack.deep",
        "kf_round",
        "kf_late",
    }
    assert set(modules.closure("kf_alone")) == {"kf_alone"}
    assert not any(
        map(
            modules.is_own,
            ("json", "numpy", "roleml_nb", "roleml_nb.library", "pytest", "__main__"),
        )
    )
    before = {
        name: modules.key(name)
        for name in ("kf_top", "kf_pack.near", "kf_late", "kf_alone", "kf_pack", "kf_round")
    }
    write("kf_pack.deep", "VALUE = 1000\n")
    importlib.reload(load("kf_pack.deep"))
    assert modules.refresh()
    changed = {name for name in before if modules.key(name) != before[name]}
    assert changed == {"kf_top", "kf_pack.near", "kf_round"}


@pytest.mark.parametrize(
    "before, after",
    [
        ("def f():\n    return 1\n", "def f():\n    return 1000\n"),
        ("RATE = 0.1\n", "RATE = 0.25\n"),
        ("class C:\n    rate = 1\n", "class C:\n    rate = 1000\n"),
        (
            "class C:\n    def f(self):\n        return 1\n",
            "class C:\n    def f(self):\n        return 1000\n",
        ),
        (
            "class C:\n    @property\n    def f(self):\n        return 1\n",
            "class C:\n    @property\n    def f(self):\n        return 10\n",
        ),
        ("X = 1\n", "X = 1\nimport json\n"),
        ("X = 1\n", "X = 1\ndef g():\n    pass\n"),
        ("def f():\n    return (lambda: 1)()\n", "def f():\n    return (lambda: 1000)()\n"),
        ("import math\nX = math.sqrt(4)\n", "import math\nX = math.sqrt(16)\n"),
    ],
)
def test_what_is_loaded_is_told_from_what_is_only_written(write, before, after):
    name = write("wl_module", before)
    module = load(name)
    modules = SourceModules()
    modules.refresh()
    key = modules.key(name)
    write("wl_module", after)
    assert not modules.refresh() and modules.key(name) == key and name in modules.behind
    importlib.reload(module)
    assert modules.refresh() and modules.key(name) != key and not modules.behind
    write("wl_module", before + "\n# back\n")
    importlib.reload(module)
    assert modules.refresh() and modules.key(name) == key


def test_an_edit_between_two_reloads_is_not_taken_for_what_was_loaded(write):
    name = write("tw_module", "def f():\n    return 1\n")
    module = load(name)
    modules = SourceModules()
    modules.refresh()
    write("tw_module", "def f():\n    return 1000\n")
    importlib.reload(module)
    write("tw_module", "def f():\n    return 1000000\n")
    assert modules.refresh() and modules.unknown([name]) == [name]
    importlib.reload(module)
    assert modules.refresh() and modules.unknown([name]) == []


def test_functions_that_decorators_put_there_are_left_out(write):
    text = (
        "import functools\ndef plain(function):\n    def other(*args):\n        return"
        " function(*args)\n    return other\ndef wrapped(function):\n   "
        " @functools.wraps(function)\n    def other(*args):\n        return function(*args)\n   "
        " return other\n@plain\ndef f():\n    return 1\n@wrapped\ndef g():\n    return"
        " 2\n@functools.lru_cache\ndef h():\n    return 3\n"
    )
    module = load(write("de_module", text))
    assert is_loaded(module, text, None, reloaded=False)
    assert not is_loaded(module, text.replace("return 2", "return 20"), None, reloaded=False)
    assert not is_loaded(module, text.replace("return 3", "return 30"), None, reloaded=False)


def test_objects_that_refuse_to_be_looked_at_are_left_alone(write):
    text = (
        "class Shy:\n    def __getattr__(self, name):\n        raise RuntimeError(name)\n    def"
        " __call__(self):\n        pass\n    def __eq__(self, other):\n        raise"
        " ValueError\nshy = Shy()\ndef f():\n    return 1\n"
    )
    name = write("sh_module", text)
    module = load(name)
    modules = SourceModules()
    assert modules.refresh()
    write("sh_module", text.replace("return 1", "return 1000"))
    assert not modules.refresh() and name in modules.behind
    importlib.reload(module)
    assert modules.refresh() and not modules.behind
