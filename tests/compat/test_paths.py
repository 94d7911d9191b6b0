"""The modules of the table: they are there, they hold our own objects, and what is not there says
why.
"""

import importlib

import pytest

import roleml_nb
import roleml_nb.compat
from roleml_nb.compat.table import MODULES, PACKAGES, REPLACED

PREFIX = "roleml_nb.compat"


@pytest.mark.parametrize("path", [path for path in MODULES if path])
def test_every_name_is_our_own_object(path):
    module = importlib.import_module(f"{PREFIX}.{path}")
    expected = {}
    for source, words in MODULES[path].items():
        for word in words.split():
            here, _, there = word.partition("=")
            expected[here] = getattr(importlib.import_module(source), there or here)
    assert sorted(module.__all__) == sorted(expected)
    assert all(getattr(module, name) is value for name, value in expected.items())


def test_roles_of_both_spellings_are_the_same_class():
    from roleml_nb.compat.core.role.base import Role
    from roleml_nb.compat.essentials import Message, RoleInstanceID

    assert (
        Role is roleml_nb.Role
        and Message is roleml_nb.Message
        and RoleInstanceID is roleml_nb.RoleInstanceID
    )


def test_packages_complete_by_tab_and_lead_to_their_children():
    assert set(PACKAGES[""]) <= set(dir(roleml_nb.compat))
    assert roleml_nb.compat.core.role.base.Role is roleml_nb.Role
    assert "exceptions" in dir(roleml_nb.compat.core.role)
    with pytest.raises(AttributeError, match="has no attribute 'rolle'"):
        roleml_nb.compat.core.rolle  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute 'coer'"):
        roleml_nb.compat.coer  # noqa: B018


@pytest.mark.parametrize("path", REPLACED)
def test_what_is_replaced_says_by_what(path):
    if path in PACKAGES:
        path += ".base"
    with pytest.raises(ModuleNotFoundError, match=f"roleml_nb has no {PREFIX}.{path}: ") as raised:
        importlib.import_module(f"{PREFIX}.{path}.further")
    assert any(str(raised.value).endswith(instead) for instead in REPLACED.values())


def test_a_module_that_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError, match="No module named"):
        importlib.import_module(f"{PREFIX}.core.nonsense")
