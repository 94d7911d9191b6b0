"""Damaged files of configurations are read, or refused in one line that begins with the file."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roleml_nb.spec import ConfigError, expand, read
from tests.fuzz.effort import effort, within
from tests.spec.test_mistakes import ACTOR, RUN, SPEC

FILES = {
    "run": json.dumps(RUN, indent=1),
    "actor": json.dumps(ACTOR, indent=1),
    "spec": json.dumps(SPEC, indent=1),
}
PIECES = [
    "!include x.yaml",
    "!include file.yaml",
    "!include ../x a.b",
    "<<: *x",
    "&x ",
    "*x",
    "[",
    "{",
    "}",
    "- ",
    ": ",
    "\n",
    "\t",
    "#",
    "'",
    '"',
    "$a[1-9]",
    "$a[1-99999999999]",
    "$r[1,2,0]",
    "~[1-1,1-1]",
    "(a+)+$",
    ".*",
    "?",
    "|",
    ">",
    "%YAML 9.9\n---",
    "!!python/object:os.system",
    "!!binary x",
    "2024-13-99",
    "0x",
    "1e999",
    "-.inf",
    ".nan",
    "~",
    "\ufeff",
    "\u2028",
    "\x00",
    "__main__.os.system",
    "os.system",
    "1:1:1:1",
    "99999999999999999999999",
]


@st.composite
def damaged(draw):
    """The bytes of a file that something has happened to, some times."""
    content = draw(st.sampled_from(sorted(FILES.values()))).encode()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        kind = draw(st.sampled_from(["flip", "cut", "drop", "piece", "twice", "bytes"]))
        if kind == "flip" and content:
            content = (
                content[:at]
                + bytes([content[at] ^ 1 << draw(st.integers(0, 7))])
                + content[at + 1 :]
            )
        elif kind == "cut":
            content = content[:at]
        elif kind == "drop":
            content = content[:at] + content[at + draw(st.integers(1, 40)) :]
        elif kind == "piece":
            content = (
                content[:at]
                + draw(st.sampled_from(PIECES)).encode()
                + content[at + draw(st.integers(0, 20)) :]
            )
        elif kind == "twice":
            content = content[:at] + content[at // 2 :]
        else:
            content = content[:at] + draw(st.binary(max_size=6)) + content[at:]
    return content


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text("a: {b: 1}\n")
    return tmp_path / "file.yaml"


@effort(250)
@given(content=damaged())
def test_a_damaged_file_is_read_or_refused(file, content):
    file.write_bytes(content)
    for reader in (lambda: read("file.yaml").check({}), lambda: expand("file.yaml")):
        with within(60, content):
            try:
                reader()
            except ConfigError as error:
                assert "\n" not in str(error)
