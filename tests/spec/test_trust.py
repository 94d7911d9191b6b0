"""Files that run code: what they may name, include and open, and what only when they are
trusted.
"""

import functools
import json
import os
import subprocess
import sys

import pytest
from IPython.core.error import UsageError

from roleml_nb import Recording, Role, Service, Testbed
from roleml_nb.spec import ConfigError, expand, read
from tests.shells import run
from tests.spec.examples import Keeper

KEEPER = "tests.spec.examples.Keeper"
HOW = (
    "neither public in roleml_nb.library or roleml_nb.workload, nor defined in this notebook or"
    " below its folder; if you trust who wrote this, load it with trust=True, or %rml load --trust"
)
OUTSIDE = (
    "which does not lie below the notebook's folder; if you trust who wrote this, load it with"
    " trust=True, or %rml load --trust"
)


def spec(element, **options):
    return {
        "nodes": {
            "a": {
                "roles": {
                    "keeper": {"class": KEEPER, "options": options, "elements": {"store": element}}
                }
            }
        }
    }


def refusal(source, **how):
    with pytest.raises(ConfigError) as caught:
        read(source, **how)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The notebook's folder, `here`, with modules; beside it, `there`, others that can be imported,
    too.
    """
    here, there = tmp_path / "here", tmp_path / "there"
    for path in (here, there):
        path.mkdir()
        monkeypatch.syspath_prepend(path)
    monkeypatch.chdir(here)
    known = set(sys.modules)
    yield here
    for name in set(sys.modules) - known:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")) + str(
            getattr(sys.modules[name], "__path__", "")
        ):
            del sys.modules[name]


MINE = """
import functools
import subprocess
import os
from os import system
from subprocess import Popen

run = subprocess.run
aliased = os.system
shell = functools.partial(os.system, "true")
settings = {"x": 1}
environ = os.environ

def make(**given):
    return dict(given)

partly = functools.partial(make, x=1)
twice = functools.partial(partly, y=2)
small = lambda **given: dict(given)

@functools.wraps(make)
def wrapped(**given):
    return make(**given)

@functools.lru_cache
def cached():
    return {}

class Maker:
    def __call__(self, **given):
        return dict(given)

    def method(self, **given):
        return dict(given)

    @classmethod
    def of(cls, **given):
        return dict(given)

    @staticmethod
    def plainly(**given):
        return dict(given)

    leak = os.system
    hidden = property(lambda self: os.system)

maker = Maker()

class MyPopen(Popen):
    pass
"""


@pytest.mark.parametrize(
    "name",
    [
        "make",
        "partly",
        "twice",
        "small",
        "wrapped",
        "cached",
        "Maker",
        "maker",
        "maker.method",
        "Maker.of",
        "Maker.plainly",
        "MyPopen",
    ],
)
def test_what_a_module_of_the_folder_defines_may_be_called(folder, name):
    (folder / "mine.py").write_text(MINE)
    assert (
        read(spec({"$call": f"mine.{name}"})).nodes["a"].roles["keeper"].elements["store"].function
        is not None
    )


@pytest.mark.parametrize(
    "name, what",
    [
        ("system", "posix.system"),
        ("os.system", "posix.system"),
        ("subprocess.run", "subprocess.run"),
        ("run", "subprocess.run"),
        ("aliased", "posix.system"),
        ("shell", "posix.system"),
        ("Popen", "subprocess.Popen"),
        ("Maker.leak", "posix.system"),
        ("MyPopen.communicate", "subprocess.Popen.communicate"),
        ("maker.leak", "posix.system"),
        ("maker.hidden", "posix.system"),
        ("MyPopen.mro", "builtins.type.mro"),
        ("functools.partial", "functools.partial"),
        ("functools.os", "functools.os"),
        ("environ.get", "an object of _Environ of os.get"),
        ("subprocess.os.system", "posix.system"),
    ],
)
def test_what_it_only_knows_may_not(folder, name, what):
    (folder / "mine.py").write_text(MINE)
    assert (
        refusal(spec({"$call": f"mine.{name}"}))
        == f"nodes.a.roles.keeper.elements.store.$call: would call mine.{name} = {what}, {HOW}"
    )


@pytest.mark.parametrize(
    "name",
    [
        "MyPopen.__base__",
        "make.__globals__",
        "Maker.__init__.__globals__",
        "__builtins__.exec",
        "maker.__class__",
        "__spec__.loader",
    ],
)
def test_no_way_leads_through_attributes_of_python(folder, name):
    (folder / "mine.py").write_text(MINE)
    assert (
        refusal(spec({"$call": f"mine.{name}"}))
        == f"nodes.a.roles.keeper.elements.store.$call: would call mine.{name}, {HOW}"
    )


@pytest.mark.parametrize(
    "name, what",
    [
        ("os.system", None),
        ("builtins.eval", None),
        ("subprocess.run", None),
        ("torch.load", None),
        ("pickle.loads", None),
        ("roleml_nb.workload.idx.gzip.os.system", "posix.system"),
        ("roleml_nb.library.federated.oort.np.load", "numpy.load"),
        ("roleml_nb.workload.loading.load", None),
        ("roleml_nb.workload.cifar_10.unpickle.__globals__", None),
        ("roleml_nb.host.process.os.kill", None),
        ("roleml.shared.util.load_bytes", "roleml_nb.compat.importing.load_bytes"),
        ("roleml_nb.compat.importing.pickle.loads", "_pickle.loads"),
        ("antigravity.webbrowser.open", None),
    ],
)
def test_what_else_can_be_imported_may_not_be_called_and_is_not_imported(name, what):
    before = set(sys.modules)
    said = refusal(spec({"$call": name}))
    if what is not None or name.count(".") == 1:
        assert (
            said == "nodes.a.roles.keeper.elements.store.$call: would call"
            f" {name}{f' = {what}' if what else ''}, {HOW}"
        )
    assert said.endswith(HOW) and f"would call {name}" in said
    assert not {"antigravity", "torch.nn"} & (set(sys.modules) - before)


@pytest.mark.parametrize(
    "name",
    [
        "roleml_nb.workload.mlp",
        "roleml_nb.workload.models.mlp",
        "roleml_nb.library.FedAvg",
        "roleml_nb.library.federated.strategies.FedAvg",
        "builtins.dict",
        "roleml.library.workload.datasets.samplers.RandomOneOffIndexSampler",
        "tests.spec.examples.double",
    ],
)
def test_what_is_public_and_ours_may_be_called(name):
    assert (
        read(spec({"$call": name})).nodes["a"].roles["keeper"].elements["store"].function.__name__
        in name
    )


class Counter(Role):
    __module__ = "__main__"

    @Service(expand=True)
    def count(self, caller):
        return 1


def test_names_of_the_notebook_are_judged_by_what_they_stand_for():
    names = {
        "Counter": Counter,
        "os": os,
        "system": os.system,
        "shell": functools.partial(os.system),
        "Popen": subprocess.Popen,
    }
    assert (
        read({"nodes": {"a": {"roles": {"c": {"class": "__main__.Counter"}}}}}, names)
        .nodes["a"]
        .roles["c"]
        .cls
        is Counter
    )
    for name, what in (
        ("os.system", "posix.system"),
        ("system", "posix.system"),
        ("shell", "posix.system"),
        ("Popen", "subprocess.Popen"),
        ("Counter.call", "roleml_nb.role.base.Role.call"),
    ):
        assert (
            refusal(spec({"$call": f"__main__.{name}"}), names=names)
            == f"nodes.a.roles.keeper.elements.store.$call: would call __main__.{name} = {what},"
            f" {HOW}"
        )


@pytest.mark.parametrize(
    "element",
    [
        {"$call": "os.system", "args": ["touch ran"]},
        {"$made-by": "os.system"},
        {"$ref": "os.system"},
        {"$element": {"constructor": {"$ref": "os.system"}}},
        {"$element": {"initializer": {"$ref": "os.system"}}},
        {"$element": {"cls": {"$ref": "subprocess.Popen"}}},
        {"$dict": [["a", {"$ref": "os.system"}]]},
        {"$tuple": [{"$ref": "os.system"}]},
    ],
)
def test_it_is_refused_wherever_it_stands(element, folder):
    said = refusal(spec(element))
    assert "would call" in said and said.endswith(HOW)
    assert refusal(spec({}, start=element)).endswith(HOW)
    with pytest.raises(ConfigError, match="would call"):
        Testbed.from_spec(spec(element), engines=0)
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    "impl",
    [
        {"class": "subprocess.Popen"},
        {"constructor": "os.system"},
        {"impl": "os.system"},
        {"impl": {"type": "os.system"}},
        {"initializer": "os.system"},
        {"destructor": {"type": "os.system", "options": {}}},
        {"serializer": "os.system"},
    ],
)
def test_so_it_is_in_files_of_roleml(impl):
    actor = {"name": "a", "roles": {"keeper": {"class": KEEPER, "impl": {"store": impl}}}}
    assert refusal(actor).endswith(HOW)
    assert refusal(
        {
            "name": "a",
            "element_preset": {KEEPER: {"elements": {"store": impl}}},
            "roles": {"keeper": KEEPER},
        }
    ).endswith(HOW)
    run_ = {"profiles": [{"name": "a"}], "roles": {"a": actor["roles"]}}
    assert refusal(run_).endswith(HOW)
    assert refusal({"name": "a", "roles": {"keeper": "subprocess.Popen"}}).endswith(HOW)


def test_nor_may_what_is_ours_look_it_up():
    views = "roleml_nb.workload.DatasetViewFactory"
    for dataset in ({"type": "os.system", "options": {"command": "true"}}, "os.system"):
        assert "has what is made with it call os.system, " + HOW in refusal(
            spec({"$call": views, "kwargs": {"dataset": dataset}})
        )
        actor = {
            "name": "a",
            "roles": {
                "keeper": {
                    "class": KEEPER,
                    "options": {"start": dataset},
                    "impl": {
                        "store": {"constructor": views, "constructor_args": {"dataset": dataset}}
                    },
                }
            },
        }
        assert "has what is made with it call os.system, " + HOW in refusal(actor)
    assert "call os.system" in refusal(
        spec({"$call": "roleml_nb.spec.definitions.find", "args": ["os.system"]})
    )


def test_texts_that_only_look_like_names_are_taken(folder):
    (folder / "data.py").write_text("raise SystemExit('this was imported')\nimport csv\n")
    for text in (
        "train.csv",
        "test.csv",
        "string.txt",
        "README.md",
        "1.5",
        "a.b",
        "os.path",
        "model.pt",
        ".",
    ):
        assert read(spec({}, start=text)).nodes["a"].roles["keeper"].options["start"] == text
    assert "data" not in sys.modules


def test_one_error_tells_all_that_would_be_called():
    said = refusal(
        spec({"$call": "os.system", "args": [{"$ref": "shutil.rmtree"}]}, start={"$ref": "os.kill"})
    )
    assert (
        said
        == f"nodes.a.roles.keeper.options.start.$ref: would call os.kill, {HOW.partition(';')[0]}"
        f" (and so is os.system, shutil.rmtree);{HOW.partition(';')[2]}"
    )


def test_trusted_it_is_called(folder):
    element = {"$call": "subprocess.check_call", "args": [["touch", "ran"]]}
    with pytest.raises(ConfigError, match="would call subprocess.check_call"):
        Testbed.from_spec(spec(element), engines=0)
    assert not (folder / "ran").exists()
    # it was called, and gives 0
    with pytest.raises(Exception, match="'store' must be dict, not int"):
        Testbed.from_spec(spec(element), engines=0, trust=True)
    assert (folder / "ran").exists()


def test_modules_elsewhere_are_not_imported(folder):
    evil = (
        "from pathlib import Path\nPath(__file__).with_name('imported').touch()\ndef make(): return"
        " {}\n"
    )
    there = folder.parent / "there"
    (there / "evil.py").write_text(evil)
    (folder / "linked.py").symlink_to(there / "evil.py")
    (folder / "env" / "site-packages").mkdir(parents=True)
    (folder / "env" / "site-packages" / "installed.py").write_text(evil)
    (folder / "way").symlink_to(there)
    (there / "package").mkdir()
    (there / "package" / "__init__.py").write_text(evil)
    (there / "package" / "inner.py").write_text(evil)
    sys.path.append(str(folder / "env" / "site-packages"))
    try:
        for name in (
            "evil.make",
            "linked.make",
            "way.evil.make",
            "installed.make",
            "package.inner.make",
            "env.site-packages.installed.make",
        ):
            said = refusal(spec({"$call": name}))
            assert said.endswith(HOW) or "is not a dotted name" in said, name
    finally:
        sys.path.pop()
    assert list(folder.parent.rglob("imported")) == []
    assert read(spec({"$call": "evil.make"}), trust=True) and (there / "imported").exists()


def test_a_module_of_the_folder_that_another_one_hides_is_judged_by_the_other(folder):
    (folder / "shutil.py").write_text("def rmtree(path): return {}\n")
    assert refusal(spec({"$call": "shutil.rmtree"})).endswith(HOW)


def test_folders_without_init_are_gone_through(folder):
    (folder / "one" / "two").mkdir(parents=True)
    (folder / "one" / "two" / "three.py").write_text(
        "from os import system\ndef make(): return {}\n"
    )
    assert read(spec({"$call": "one.two.three.make"}))
    assert "would call one.two.three.system = posix.system" in refusal(
        spec({"$call": "one.two.three.system"})
    )


def test_modules_are_looked_for_below_the_folder_alone(folder):
    actor = {"name": "a", "src": str(folder.parent), "roles": {"keeper": KEEPER}}
    assert refusal(actor) == f"src: would import from {folder.parent}, {OUTSIDE}"
    assert refusal({**actor, "src": ".."}) == f"src: would import from {folder}/.., {OUTSIDE}"
    assert str(folder.parent) not in sys.path
    read(actor, trust=True)
    sys.path.remove(str(folder.parent))


def test_elements_are_read_and_written_below_the_folder_alone(folder):
    (folder / "link").symlink_to("/etc")
    for path in ("/etc/shadow", "../secret", "link/shadow"):
        for key in ("deserializer_source", "serializer_destination"):
            element = {"$element": {"deserializer": "pickle", "serializer": "pickle", key: path}}
            said = refusal(spec(element))
            assert (
                said == f"nodes.a.roles.keeper: would open {os.path.join(folder, path)}, {OUTSIDE}"
            )
            read(spec(element), trust=True)
    elsewhere = spec({"$element": {"deserializer": "json", "deserializer_source": "shadow"}})
    elsewhere["nodes"]["a"]["workdir"] = "/etc"
    assert refusal(elsewhere) == f"nodes.a.roles.keeper: would open /etc/shadow, {OUTSIDE}"


def test_files_are_included_from_below_the_folder_of_the_file(write, tmp_path):
    (tmp_path / "secret.yaml").write_text("a: 1\n")
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "sub" / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "sub" / "deep" / "chain.yaml").write_text("b: !include ../../secret.yaml a\n")
    (tmp_path / "sub" / "deep" / "side.yaml").write_text("c: !include ../side.yaml\n")
    (tmp_path / "sub" / "side.yaml").write_text("{}\n")
    main = tmp_path / "sub" / "main.yaml"
    for words in (
        "../secret.yaml",
        "/etc/hostname",
        "link.yaml",
        "up/secret.yaml",
        "deep/chain.yaml",
        "deep/../../secret.yaml a",
    ):
        for text in (
            f"nodes: !include {words}\n",
            f"nodes:\n  <<: !include {words}\n",
            f"nodes: [&x !include {words}, *x]\n",
        ):
            main.write_text(text)
            said = refusal(main)
            assert (
                f"does not lie below {tmp_path}/sub; give a folder that has both as root=, or, if"
                " you trust who wrote this, load it with trust=True, or %rml load --trust" in said
            ), words
            assert "root:" not in said
    main.write_text(
        "nodes: {}\nseed: !include ../secret.yaml a\nboard: !include deep/side.yaml c\n"
    )
    assert "main.yaml:2: seed: !include: " in refusal(main)
    main.write_text("nodes: {}\nseed: !include ../secret.yaml a\n")
    assert read(main, trust=True).seed == read(main, root=tmp_path).seed == 1
    with pytest.raises(ConfigError, match="does not lie below"):
        expand(main)


def test_a_recording_is_no_more_trusted_than_a_file(tmp_path):
    with Testbed(engines=0) as bed:
        bed.spawn("a")
        bed.assign("a", "keeper", Keeper)
        bed.record(tmp_path / "run")
    about = json.loads((tmp_path / "run" / "recording.json").read_text())
    about["spec"]["nodes"]["a"]["roles"]["keeper"]["elements"] = {
        "store": {"$call": "os.system", "args": ["true"]}
    }
    (tmp_path / "run" / "recording.json").write_text(json.dumps(about))
    with pytest.raises(
        ConfigError,
        match=(
            r"^nodes\.a\.roles\.keeper\.elements\.store\.\$call: would call os\.system, neither"
            r" public"
        ),
    ):
        Testbed.from_spec(Recording.open(tmp_path / "run").spec)


def test_the_magic_takes_both_options(shell, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "seed.yaml").write_text("s: 7\n")
    (tmp_path / "sub" / "a.yaml").write_text("nodes: {a: {}}\nseed: !include ../seed.yaml s\n")
    with pytest.raises(
        UsageError,
        match=(
            r"^rml: sub/a\.yaml:2: seed: !include: seed\.yaml does not lie below .*/sub; give a"
            r" folder"
        ),
    ):
        run(shell, capsys, "load sub/a.yaml --engines 0")
    assert "loaded sub/a.yaml: 1 node, 0 roles" in run(
        shell, capsys, "load sub/a.yaml --engines 0 --root ."
    )
    (tmp_path / "b.yaml").write_text(json.dumps(spec({"$call": "collections.OrderedDict"})))
    with pytest.raises(
        UsageError,
        match=r"^rml: b\.yaml:1: .*would call collections\.OrderedDict, neither public in",
    ):
        run(shell, capsys, "load b.yaml")
    assert run(shell, capsys, "load b.yaml --trust") == "loaded b.yaml: 1 node, 1 role\n"
    with pytest.raises(
        UsageError,
        match=(
            r"would call __main__\.get_ipython ="
            r" IPython\.core\.interactiveshell\.InteractiveShell\.get_ipython"
        ),
    ):
        (tmp_path / "c.yaml").write_text(json.dumps(spec({"$call": "__main__.get_ipython"})))
        run(shell, capsys, "load c.yaml")
