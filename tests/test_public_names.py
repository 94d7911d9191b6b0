"""The names that users import: none comes or goes unnoticed, each is found and explained."""

import importlib
import inspect
import json
from pathlib import Path

import pytest

KNOWN = Path(__file__).parent / "data" / "public_names.json"
ADVICE = (
    "a public name has come or gone: write a line in CHANGELOG.md (a name that goes stays as an"
    f" alias that warns), then change {KNOWN.relative_to(Path(__file__).parents[1])}"
)
NAMES = json.loads(KNOWN.read_text())


@pytest.fixture(params=NAMES)
def module(request):
    return importlib.import_module(request.param)


def test_public_names_are_those_known(module):
    assert sorted(module.__all__) == NAMES[module.__name__], ADVICE


def test_public_names_are_found_and_completed(module):
    assert set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        getattr(module, name)


def test_public_classes_and_functions_have_a_docstring_of_their_own(module):
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            written = value.__doc__ and not value.__doc__.startswith(f"{name}(")
            assert written, f"{module.__name__}.{name} has no docstring"
