"""Scripts of views: tests of the parts that need no page, and comments of what files export.

The tests are JavaScript, run by Node's own runner; the Node is the one that playwright brings.
"""

import re
import subprocess
from pathlib import Path

import playwright
import pytest

NODE = Path(playwright.__file__).parent / "driver" / "node"
WIDGETS = Path(__file__).parents[2] / "roleml_nb" / "widgets"
SOURCES = sorted(WIDGETS.rglob("*.js"))
TESTS = sorted((Path(__file__).parent / "scripts").glob("*.test.mjs"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_the_script_passes_its_tests(path):
    done = subprocess.run(
        [NODE, "--no-warnings", "--test", "--test-reporter=tap", path],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n# fail 0" in done.stdout and "\n# pass 0" not in done.stdout


EXPORT = re.compile(
    r"(?P<comment>/\*\*(?:[^*]|\*(?!/))*\*/\n)?"
    r"^export (?:(?:async )?function (?P<function>\w+)\((?P<parameters>.*?)\) \{$"
    r"|class (?P<class>\w+)|const (?P<constant>\w+))",
    re.MULTILINE | re.DOTALL,
)


def count(parameters):
    """Return the number of parameters, of which some are patterns with commas in them."""
    while (shorter := re.sub(r"\{[^{}]*\}|\[[^][]*\]|\([^()]*\)", "0", parameters)) != parameters:
        parameters = shorter
    return len(list(filter(str.strip, parameters.split(","))))


def test_parameters_are_counted():
    assert count("") == 0
    assert count("board, { a = [1, 2], b: { c } } = {}, act = (_, doing) => doing") == 3


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_what_a_file_exports_has_a_comment_with_types(path):
    text = path.read_text(encoding="utf-8")
    exports = list(EXPORT.finditer(text))
    assert len(exports) == len(re.findall("^export (?!default)", text, re.MULTILINE))
    for export in exports:
        name = export["function"] or export["class"] or export["constant"]
        comment = export["comment"]
        assert comment, name
        if export["function"]:
            assert len(re.findall(r"@param \{", comment)) == count(export["parameters"]), name
            assert not re.search(r"@(param|returns) (?!\{)", comment), name
            body = text[export.end() : text.index("\n}\n", export.end())]
            returns = re.search(r"^  return .", body, re.MULTILINE)
            assert not returns or "@returns {" in comment, name
