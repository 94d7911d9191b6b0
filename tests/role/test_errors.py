"""The tree of errors that is drawn in `roleml_nb.role.errors`."""

import importlib
import inspect
import pkgutil
import re

import roleml_nb
from roleml_nb.role import RoleMLError, errors

LINE = re.compile(r"    (?P<indent> *)(?P<name>\w+)(?: \[(?P<builtin>\w+)\])?(?: - (?P<room>\w+))?")


def drawn_tree():
    """Return {error: (error above, built-in class, room)} of the docstring."""
    found, path = {}, []
    for line in inspect.getdoc(errors).splitlines():
        match = LINE.fullmatch(line)
        if match:
            depth = len(match["indent"]) // 4
            path[depth:] = [match["name"]]
            above = path[depth - 1] if depth else "Exception"
            found[match["name"]] = above, match["builtin"], match["room"] or "role"
    return found


def real_tree():
    """Return the same of the classes, with every module of the package imported."""
    for module in pkgutil.walk_packages(roleml_nb.__path__, "roleml_nb."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found, waiting = {}, [RoleMLError]
    while waiting:
        cls = waiting.pop()
        package, room, *_ = cls.__module__.split(".")
        if package == "roleml_nb":
            above, *builtin = [base.__name__ for base in cls.__bases__]
            found[cls.__name__] = above, *(builtin or [None]), room
            waiting += cls.__subclasses__()
    return found


def test_the_tree_in_the_docstring_is_true():
    assert drawn_tree() == real_tree(), "draw the tree in roleml_nb/role/errors.py anew"


def test_all_errors_of_the_module_are_exported():
    own = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    assert own | {"GONE"} == set(errors.__all__)
