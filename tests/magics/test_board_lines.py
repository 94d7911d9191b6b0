"""`%rml board`, and the lines that the board says: typed, they do what the hand did."""

import pytest
from IPython.core.error import UsageError

from .test_magics import ROLE, run

GESTURES = [
    ("spawn", {"nodes": "a{1..3} b"}),
    (
        "assign",
        {
            "nodes": "a*",
            "name": "adder",
            "cls": "Adder",
            "elements": {"start": "i * 10 if n > 1 else 2"},
        },
    ),
    ("relate", {"nodes": "b", "relationship": "adder", "instances": "a1/adder a2/adder a3/adder"}),
    ("relate", {"nodes": "b", "relationship": "adder", "instances": "a2/adder", "remove": True}),
    ("migrate", {"role": "a1/adder", "to": "b", "conflicts": "keep"}),
    ("terminate", {"nodes": "a2", "name": "adder"}),
    ("arrange", {"positions": {"b": [10, -20], "a3": [1, 2]}}),
    ("arrange", {"positions": {"a3": None}}),
    ("remove", {"nodes": "a2"}),
]


def test_what_the_board_says_does_what_the_hand_did(shell, capsys):
    run(shell, capsys, "start --engines 0")
    shell.run_cell_magic("role", "", ROLE)
    board = shell.user_ns["bed"].board(names=shell.user_ns)
    for kind, given in GESTURES:
        board.do(kind, **given)
    by_hand, said = shell.user_ns["bed"].spec(), board.code()
    run(shell, capsys, "stop")
    run(shell, capsys, "start --engines 0")
    for line in said.splitlines():
        assert line.startswith("%rml ")
        run(shell, capsys, line.removeprefix("%rml "))
    del by_hand["board"]  # where it was drawn
    assert shell.user_ns["bed"].spec() == by_hand
    assert run(shell, capsys, "board").startswith("<Board: 3 nodes, 2 roles>")


@pytest.mark.parametrize(
    "line, text",
    [
        ("terminate a1 addr", "node 'a1' has no role 'addr'; did you mean 'adder'"),
        ("unrelate a1 adder", "'adder' is not of the form relationship=node/role"),
        ("arrange a1=7", "write node=\\(x, y\\)"),
        ("remove a9", "no node matches 'a9'; did you mean 'a1'"),
    ],
)
def test_a_mistyped_line_is_answered(shell, capsys, line, text):
    run(shell, capsys, "start --engines 0")
    shell.run_cell_magic("role", "", ROLE)
    run(shell, capsys, "spawn a1")
    run(shell, capsys, "assign a1 adder=Adder --element start=1")
    with pytest.raises(UsageError, match=text):
        run(shell, capsys, line)
    assert "adder=Adder ready" in run(shell, capsys, "status")
