"""The scripts of views, without spaces and comments."""

import re

import pytest

from roleml_nb.widgets.base import bundle

SOURCES = sorted(bundle.COMMON.parent.parent.rglob("*.js"))


def nested(text: str) -> list[str]:
    """Template literals that stand within another one's braces, up to their end."""
    open_, found = [], []
    for mark in re.finditer(
        r"//[^\n`]*$|\"(?:\\.|[^\"\\\n])*\"|\\.|`|\$\{|[{}]", text, re.MULTILINE | re.DOTALL
    ):
        within = bool(open_) and open_[-1] == "`"
        if mark[0] == "`" and not within:
            if "`" in open_:
                found.append(text[mark.start() :].split("\n")[0])
            open_.append("`")
        elif mark[0] == "`" or mark[0] == "}" and not within:
            open_.pop()
        elif mark[0] == "${" or mark[0] == "{" and not within:
            open_.append("{")
    assert not open_
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_no_template_stands_in_another(source):
    """rjsmin would take the text of the outer one for code, and its spaces out."""
    assert nested('`a ${b ? `${b} c` : ""}`') == ['`${b} c` : ""}`']
    assert nested(source.read_text(encoding="utf-8")) == []
