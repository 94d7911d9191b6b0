"""Objects by dotted name."""

import functools
import os.path
import pickle

import pytest

from roleml_nb import Role
from roleml_nb.spec.definitions import Deferred, dotted_name, find, names_upstream
from tests.spec import examples


class Outer:
    class Inner:
        pass

    def method(self):
        pass


@pytest.fixture
def modules(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import nowhere_at_all\n")
    (tmp_path / "raises.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(
    "path, found",
    [
        ("tests.spec.examples.Keeper", examples.Keeper),
        ("tests.spec.examples.Keeper.get", examples.Keeper.get),
        ("os.path.join", os.path.join),
        ("roleml.essentials.Role", Role),
        ("roleml.core.role.base.Role", Role),
    ],
)
def test_what_is_there_is_found(path, found):
    assert find(path) is found


@pytest.mark.parametrize(
    "path, text",
    [
        (
            "Keeper",
            (
                "'Keeper' is not a dotted name such as package.module.Class; for what a notebook"
                " cell defined write __main__.Keeper"
            ),
        ),
        ("a..b", "'a..b' is not a dotted name such as package.module.Class"),
        ("needs_more.X", "importing needs_more failed: No module named 'nowhere_at_all'"),
        ("raises.X", "importing raises failed: ZeroDivisionError: division by zero"),
        (
            "nowhere.at.all",
            "there is no module 'nowhere'; is its folder on sys.path, or named by the key 'src'?",
        ),
        (
            "tests.spec.examples.Keeper.gte",
            "tests.spec.examples.Keeper has no 'gte'; did you mean 'get'",
        ),
        (
            "__main__.Keper",
            (
                "the notebook defines no 'Keper': run the cell that does, then load again; there"
                " are none"
            ),
        ),
        ("__main__.Keeper.gte", "__main__.Keeper has no 'gte'; did you mean 'get'"),
        (
            "roleml.library.roles.conductor.base.Conductor",
            "roleml_nb has no roleml.library.roles.conductor: the notebook conducts",
        ),
        ("roleml.essentials.Rolle", "roleml.essentials has no 'Rolle'; did you mean 'Role'"),
    ],
)
def test_what_is_not_there_is_told_with_what_there_is(modules, path, text):
    with pytest.raises(LookupError) as caught:
        find(path, {"Keeper": examples.Keeper})
    assert str(caught.value.args[0]).startswith(text)


@pytest.mark.parametrize(
    "value, name",
    [
        (examples.Keeper, "tests.spec.examples.Keeper"),
        (Outer.Inner, f"{__name__}.Outer.Inner"),
        (dict, "builtins.dict"),
        (pickle.dump, "_pickle.dump"),
        (lambda: 0, None),
        (functools.partial(print), None),
        (Outer().method, None),
        (examples.settings, None),
    ],
)
def test_names_that_lead_back(value, name):
    assert dotted_name(value) == name


def test_what_was_defined_anew_has_no_name():
    old = type("Keeper", (), {"__module__": examples.__name__})
    assert dotted_name(old) is None


def test_a_deferred_callable_is_made_once_where_it_is_called():
    made = []

    def make(amount):
        made.append(amount)
        return examples.Adder(amount)

    deferred = Deferred(make, {"amount": 3})
    assert made == [] and deferred(4) == 7 and deferred(5) == 8 and made == [3]
    copy = pickle.loads(pickle.dumps(Deferred(examples.Adder, {"amount": 1})))
    assert copy(1) == 2


def test_plain_data_that_speaks_of_roleml():
    assert names_upstream({"a": [{"type": "roleml.x"}]})
    assert not names_upstream({"roleml.x": ["my.roleml.x", 3, None]})
