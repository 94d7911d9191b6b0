"""The magics, in a real IPython shell on an embedded testbed."""

import pytest
from IPython.core.error import UsageError

from roleml_nb import HandlerError
from roleml_nb.magics.parsing import BadLine, evaluate, split
from tests.shells import ROLE, run


def test_the_story(shell, capsys):
    assert run(shell, capsys, "start --engines 0") == "testbed ready: in this process\n"
    assert run(shell, capsys, "start") == "already running: <Testbed: in this process, 0 nodes>\n"
    shell.run_cell_magic("role", "", ROLE)
    assert capsys.readouterr().out == "role Adder: services add; events added; elements start\n"
    assert run(shell, capsys, "spawn s{1..4}") == "4 nodes: s1 … s4\n"
    assert (
        run(shell, capsys, "assign s* adder=Adder --element start=(i * 10)")
        == "adder=Adder ready on 4 nodes: s1 … s4\n"
    )
    assert run(shell, capsys, "relate s1 other=s*/adder") == "s1: other → 4 roles\n"
    assert run(shell, capsys, "call s2/adder add x=1+1") == "12\n"
    assert run(shell, capsys, "call s*/adder add x=1") == "s1: 1\ns2: 11\ns3: 21\ns4: 31\n"
    assert run(shell, capsys, "status").splitlines()[2] == "s1    notebook  adder=Adder ready"
    assert run(shell, capsys, "links") == "no links: all in this process\n"
    assert run(shell, capsys, "waiting") == "nobody waits\n"
    assert run(shell, capsys, "stop --run") == "run stopped: nothing was at work\n"
    assert run(shell, capsys, "stop") == "testbed stopped\n"
    assert run(shell, capsys, "stop") == "no testbed is running\n"


@pytest.mark.parametrize(
    "line, text",
    [
        ("strat", "no command 'strat'; did you mean 'start'"),
        ("spawn", "the following arguments are required: nodes; see %rml spawn --help"),
        ("assign s1 adder=Addr", "no role class 'Addr'; did you mean 'Adder'"),
        (
            "assign s1 adder=Adder --element strat=1",
            "Adder has no element 'strat'; did you mean 'start'",
        ),
        ("assign s1 adder=Adder --element start=(1", "something is not closed"),
        ("assign s1 adder=Adder --element start=foo", "name 'foo' is not defined"),
        ("assign s9 adder=Adder --element start=1", "no node matches 's9'; did you mean 's1'"),
        ("call s1/adder add x", "'x' is not of the form name=value"),
        ("call s1 add", "'s1' names no role; write node/role"),
        ("start --engines 3", "a testbed with 0 engines is running"),
    ],
)
def test_bad_lines_are_refused_in_one_line(shell, capsys, line, text):
    run(shell, capsys, "start --engines 0")
    shell.run_cell(ROLE)
    run(shell, capsys, "spawn s1")
    before = shell.user_ns["bed"].spec()
    with pytest.raises(UsageError) as refused:
        shell.run_line_magic("rml", line)
    assert text in str(refused.value) and "\n" not in str(refused.value)
    assert shell.user_ns["bed"].spec() == before


def test_a_role_moves(shell, capsys):
    run(shell, capsys, "start --engines 0")
    shell.run_cell_magic("role", "", ROLE)
    run(shell, capsys, "spawn s1 s2")
    run(shell, capsys, "assign s1 adder=Adder --element start=1")
    assert run(shell, capsys, "migrate s1/adder s2") == "s1/adder → s2/adder\n"
    assert "s2    notebook  adder=Adder ready" in run(shell, capsys, "status")
    with pytest.raises(UsageError, match="node 's1' has no role 'adder'"):
        shell.run_line_magic("rml", "migrate s1/adder s2")


def test_a_role_cell_that_is_run_again_is_taken_up(shell, capsys):
    run(shell, capsys, "start --engines 0")
    shell.run_cell_magic("role", "", ROLE)
    run(shell, capsys, "spawn s1 s2")
    run(shell, capsys, "assign s* adder=Adder --element start=10")
    assert run(shell, capsys, "roles") == "Adder version 1: s1/adder, s2/adder\n"
    capsys.readouterr()
    shell.run_cell_magic("role", "", ROLE.replace("+ x", "- x"))
    assert capsys.readouterr().out.splitlines()[1] == "version 2 of Adder is taken up by 2 roles"
    assert run(shell, capsys, "call s1/adder add x=3") == "7\n"
    shell.run_cell_magic("role", "--keep", ROLE)
    assert run(shell, capsys, "call s1/adder add x=3") == "7\n"
    assert (
        run(shell, capsys, "update Adder --fresh")
        == "version 3 of Adder is begun anew by 2 roles\n"
    )
    assert run(shell, capsys, "call s1/adder add x=3") == "13\n"
    assert run(shell, capsys, "update Adder") == "no role has another version of Adder\n"
    assert run(shell, capsys, "roles") == "Adder version 3: s1/adder, s2/adder\n"
    with pytest.raises(UsageError, match="no role class 'Ader'; did you mean 'Adder'"):
        shell.run_line_magic("rml", "update Ader")
    with pytest.raises(UsageError, match="%%role takes --fresh or --keep or nothing on its line"):
        shell.run_cell_magic("role", "--frehs", ROLE)


def test_an_unchanged_cell_is_right_after_the_import_that_it_lacked(shell, capsys):
    """What a role captures counts, not the text of its cell alone."""
    source = ROLE.replace("+ x", "+ math.floor(x)")
    run(shell, capsys, "start --engines 0")
    shell.run_cell_magic("role", "", source)
    run(shell, capsys, "spawn s1")
    with pytest.raises(
        UsageError,
        match="role Adder: Adder.add uses 'math', which is not defined; run the cell that imports",
    ):
        shell.run_line_magic("rml", "assign s1 adder=Adder --element start=1")
    shell.run_cell("import math")
    shell.run_cell_magic("role", "", source)
    run(shell, capsys, "assign s1 adder=Adder --element start=1")
    assert run(shell, capsys, "call s1/adder add x=2.5") == "3\n"


def test_nothing_works_before_start(shell):
    with pytest.raises(UsageError, match="begin with %rml start"):
        shell.run_line_magic("rml", "spawn a")


@pytest.mark.parametrize(
    "line",
    ["start", "spawn", "assign", "relate", "call", "update", "roles", "migrate", "status", "stop"],
)
def test_every_command_explains_itself(shell, capsys, line):
    assert run(shell, capsys, f"{line} --help").startswith(f"usage: %rml {line}")


def test_a_cell_without_a_role_is_refused(shell):
    with pytest.raises(UsageError, match="defines no subclass of Role"):
        shell.run_cell_magic("role", "", "x = 1")


def test_split_keeps_brackets_and_quotes_together():
    assert split("a --element model=mlp(64, 10) x='b c'  y=[1, {2: 3}]") == [
        "a",
        "--element",
        "model=mlp(64, 10)",
        "x='b c'",
        "y=[1, {2: 3}]",
    ]
    with pytest.raises(BadLine, match="not closed"):
        split("x='")


def test_values_per_node():
    assert evaluate("i * n", {}, ["a", "b"]).values == [0, 2]
    assert evaluate("x + 1", {"x": 1}, ["a", "b"]) == 2


def test_the_seed_of_a_testbed(shell, capsys):
    run(shell, capsys, "start --engines 0 --seed 5")
    assert shell.user_ns["bed"].seed == 5
    assert (
        run(shell, capsys, "status").splitlines()[0] == "testbed: in this process, 0 nodes, seed 5"
    )
    assert run(shell, capsys, "start --seed 5").startswith("already running")
    with pytest.raises(
        UsageError, match="a testbed with seed 5 is running; end it first with %rml stop"
    ):
        run(shell, capsys, "start --seed 6")


def test_wiring(shell, capsys):
    shell.run_cell("import networkx; given = networkx.path_graph(3)")
    run(shell, capsys, "start --engines 0")
    shell.run_cell_magic("role", "", ROLE)
    run(shell, capsys, "spawn w{1..3}")
    run(shell, capsys, "assign w* adder=Adder --element start=1")
    assert (
        run(shell, capsys, "wire ring w*/adder")
        == "w1, w2, w3: peer → neighbours\nring: 3 nodes, 3 edges\ndegree          2\ndiameter     "
        "   1\nspectral gap    1.0000\nconsensus rate  0.0000 per round, a tenth is left after"
        " 1.0 rounds\n"
    )
    assert "given: 3 nodes, 2 edges" in run(
        shell, capsys, "wire given w*/adder --relationship next"
    )
    assert "small-world: 3 nodes" in run(
        shell, capsys, "wire small-world(degree=2, p=0.1) w*/adder"
    )
    assert "full, star, ring" in run(shell, capsys, "wire --help")
    offered = shell.magics_manager.registry["RoleMagics"].complete(
        shell, type("Event", (), {"line": "%rml wire "})
    )
    assert {"ring", "w1/adder"} <= set(offered)
    for line, text in [
        ("wire rign w*/adder", "no graph 'rign'; did you mean 'ring'"),
        ("wire ring w*", "'w*' names no role; write nodes/role, as in peer*/aggregator"),
        ("wire ring w*/adde", "no role 'adde'; did you mean 'adder'"),
        ("wire ring(3) w*/adder", "name the options, as in ring(degree=4)"),
        ("wire ring(degree=3) w*/adder", "a ring graph has no option 'degree'"),
        (
            "wire erdos-renyi(p=0.0) w*/adder",
            "its components are {w1} and {w2} and {w3}; add edges",
        ),
    ]:
        with pytest.raises(UsageError) as error:
            run(shell, capsys, line)
        assert text in str(error.value)


def test_the_librarys_names_need_no_import(shell, capsys):
    run(shell, capsys, "start --engines 0")
    run(shell, capsys, "spawn server client{1..2}")
    run(
        shell,
        capsys,
        "assign client* trainer=EpochTrainer --element model=mlp(64, 10) --element"
        " dataset=digits(part=i, parts=n)",
    )
    run(
        shell,
        capsys,
        "assign server aggregator=FedAvgAggregator --element strategy=FedAvgM(momentum=0.5)",
    )
    given = shell.user_ns["bed"].spec()["nodes"]
    assert given["server"]["roles"]["aggregator"]["elements"]["strategy"]["kwargs"] == {
        "momentum": 0.5
    }
    assert given["client2"]["roles"]["trainer"]["elements"]["dataset"]["kwargs"]["part"] == 1
    shell.user_ns["mlp"] = lambda *sizes: "the notebook's own"  # which comes first
    with pytest.raises(HandlerError, match="element 'model' must be TrainableModel, not str"):
        run(
            shell,
            capsys,
            "assign client* other=EpochTrainer --element model=mlp(64, 10) --element"
            " dataset=digits()",
        )
    run(shell, capsys, "stop")
