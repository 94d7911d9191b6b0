"""One word for one thing: names that were given up do not come back where they were."""

import ast
import csv
import re
from pathlib import Path

import pytest
from rjsmin import jsmin

ROOT = Path(__file__).parents[1]
FORMER = Path(__file__).with_name("former_words.csv")
"""Module, former name, present name. A module of `*` stands for the whole package."""


def rows():
    with FORMER.open() as file:
        return list(csv.DictReader(file))


def names_of(path):
    """Return the names that a module defines, and the attributes that it reads.

    Of a script, all names in its code.
    """
    if path.suffix == ".js":
        return set(re.findall(r"[A-Za-z_$][\w$]*", re.sub(r'"[^"]*"', "", jsmin(path.read_text()))))
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.add(node.name)
            case ast.Attribute():
                found.add(node.attr)
            case ast.Name(ctx=ast.Store()):
                found.add(node.id)
            case ast.arg():
                found.add(node.arg)
    return found


def paths(module):
    if module == "*":
        return sorted((ROOT / "roleml_nb").rglob("*.py"))
    return [ROOT / module]


@pytest.mark.parametrize("module", sorted({row["module"] for row in rows()}))
def test_former_names_are_gone(module):
    former = {row["former"]: row["present"] for row in rows() if row["module"] == module}
    for path in paths(module):
        assert former.keys() & names_of(path) == set(), path


@pytest.mark.parametrize("module", sorted({row["module"] for row in rows()} - {"*"}))
def test_present_names_are_there(module):
    present = {row["present"] for row in rows() if row["module"] == module and row["present"]}
    assert present - names_of(ROOT / module) == set()


def test_no_name_is_given_up_twice():
    seen = [(row["module"], row["former"]) for row in rows()]
    assert sorted(set(seen)) == sorted(seen)
