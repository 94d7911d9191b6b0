"""Any `%rml` line does what it says, or ends soon in one clear error, and the testbed can be used
afterwards.
"""

import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.error import UsageError

from roleml_nb import RoleMLError
from roleml_nb.magics.arguments import parsers
from tests.fuzz.effort import effort, within
from tests.shells import ROLE

LIMIT = 60.0
LEFT_OUT = {"attach", "clean", "doctor", "debug", "start", "stop", "export"}
"""They reach beyond the testbed of the test."""
LEAVE_OUT = {"--follow", "--engines", "--trust"}
NODES = [
    "a",
    "b1",
    "b*",
    "*",
    "notebook",
    "b{1..3}",
    "{a,b1}",
    "nobody",
    "c{1..10000000}",
    "x{3..1}",
    "x{",
    "[",
    "b[12]",
    "**",
    "é",
    "-",
    "1a",
]
VALUES = [
    "1",
    "-1",
    "0",
    "1.5",
    "1e400",
    "float('nan')",
    "None",
    "'x'",
    "[]",
    "Each([1])",
    "i",
    "node",
    "1/0",
    "nosuch",
    "x=",
    "10**30",
    "10**5000",
    "'\\x1b'",
    "(",
    "lambda: 0",
    "mlp(2, 2)",
    "{}",
    "b'\\0'",
    "object()",
    "Adder",
    "bed",
]
WORDS = [
    *NODES,
    *VALUES,
    "a/adder",
    "*/adder",
    "/",
    "a/",
    "/adder",
    "a/b/c",
    "add",
    "nochannel",
    "adder=Adder",
    "adder=Adder(",
    "adder=Adder(x=1)",
    "adder=Adder(1)",
    "adder=Nothing",
    "other=a/adder",
    "other=",
    "=",
    "start=1",
    "start=int(3)",
    "x=5",
    "x=(i)",
    "ring",
    "small-world(degree=4)",
    "full(",
    "grid(9)",
    "random-regular(degree=10**9)",
    "tree(branching=0)",
    "here.yaml",
    "here.json",
    "nowhere/x.yaml",
    "a=(3, 4)",
    "b1=(float('inf'), 0)",
    "a=None",
    "a=(1,)",
    "engine0",
    "0",
    "-7",
    "99999999999999999999",
    "'unclosed",
    '"',
    "%",
    "$x",
    "{x}",
    "\x00",
    "\t",
    "--",
]


def options():
    found = sorted(
        {option for parser in parsers().values() for option in parser._option_string_actions}
        - LEAVE_OUT
    )
    return st.sampled_from(found)


words = (
    st.sampled_from(WORDS)
    | options()
    | st.tuples(options(), st.sampled_from(WORDS)).map("=".join)
    | st.text(max_size=4)
)
commands = st.sampled_from(sorted(set(parsers()) - LEFT_OUT))
lines = st.tuples(commands, st.lists(words, max_size=5)).map(
    lambda line: " ".join([line[0], *line[1]])
) | st.lists(words, max_size=4).map(" ".join).filter(
    lambda line: not set(line.split()[:1]) & LEFT_OUT
)


@pytest.fixture
def ready(shell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    shell.run_cell_magic("role", "", ROLE)
    shell.run_line_magic("rml", "start --engines 0")
    shell.run_line_magic("rml", "spawn a b{1..3}")
    shell.run_line_magic(
        "rml", "assign a,b1 adder=Adder --element start=1".replace("a,b1", "{a,b1}")
    )
    return shell


@pytest.mark.parametrize(
    "line, text",
    [
        (
            "logs --for nan",
            (
                "argument --for: 'nan' is no time: seconds, from 0 to 100,000,000; see %rml logs"
                " --help"
            ),
        ),
        ("call a/adder add x=1 --timeout 1e300", "argument --timeout: '1e300' is no time"),
        ("checkpoint c --timeout -1", "argument --timeout"),
        ("save \x00", r"'\x00' cannot be the name of a file"),
        ("record '\x00'", "cannot be the name of a file"),
        ("checkpoint ''", "cannot be the name of a file"),
        ("load 'a' 'b", "something is not closed"),
        ("metrics x --against y", "argument --against: invalid choice: 'y'"),
        ("arrange a=(1e400,0)", "the position of a must be"),
        ("arrange a=(1,'x')", "the position of a must be"),
        ("arrange a=5", "a"),
        ("spawn c{1..10000000}", "makes more than 100,000 names"),
        ("start --engines 1000000", "a testbed with 0 engines is running"),
    ],
)
def test_lines_that_were_found(ready, line, text):
    with within(LIMIT, line), pytest.raises(UsageError) as caught:
        ready.run_line_magic("rml", line)
    assert text in str(caught.value) and not set(str(caught.value)) & {"\x00", "\x1b"}


@effort(150)
@given(line=lines)
def test_any_line_works_or_says_why_not(ready, line):
    with (
        within(LIMIT, line),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()),
    ):
        try:
            ready.run_line_magic("rml", line)
        except (UsageError, RoleMLError) as error:
            assert str(error), line
    assert "\x1b" not in out.getvalue() and "\x00" not in out.getvalue()
    assert ready.user_ns["bed"].running
    ready.user_ns["bed"].spec()
