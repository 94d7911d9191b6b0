"""Python in lines: names in braces, locals, values, comments, cells of lines, keywords of calls."""

import json

import pytest
from IPython.core.error import UsageError

from roleml_nb.magics.braces import fill
from roleml_nb.magics.parsing import BadLine, split
from tests.shells import run

ROLE = """
from roleml_nb import Event, Role, Service, Task
class Adder(Role):
    added = Event()
    def __init__(self, start=0):
        super().__init__()
        self.start = start
    @Service(expand=True)
    def add(self, caller, x=1, y=0):
        self.added.emit({"grad_norm": x})
        return self.start + x + y
    @Task(expand=True)
    def slowly(self, caller, x=1):
        return -x
"""


both = pytest.mark.parametrize("engines", [0, 2])


@pytest.fixture
def engines():
    return 0


@pytest.fixture
def ready(shell, capsys, engines):
    run(shell, capsys, f"start --engines {engines}")
    shell.run_cell_magic("role", "", ROLE)
    run(shell, capsys, "spawn a b")
    run(shell, capsys, "assign {a,b} adder=Adder")
    return shell


@pytest.mark.parametrize(("line", "filled"), [
    ("spawn client{1..count}", "spawn client{1..3}"),
    ("spawn client{first..first+count} {name}", "spawn client{2..5} server"),
    ("spawn {name}-{count} x{1..8} {alice,bob} {a{1..count},b}",
     "spawn server-3 x{1..8} {alice,bob} {a{1..3},b}"),
    ("call {name}/adder add x={count: name} y=[{name}]",
     "call server/adder add x={count: name} y=[{name}]"),
    ("assign {name} {name}=Adder(d={count}) --element e={count} --element={count}=1",
     "assign server server=Adder(d={count}) --element e={count} --element={count}=1"),
    ("relate {name} {name}=client{1..count}/adder", "relate server server=client{1..3}/adder"),
    ("start --engines {count} --seed={first*2}", "start --engines 3 --seed=4"),
    ("save run-{count}.yaml", "save run-3.yaml"),
    ("save 'run-{count}.yaml' \"{count}\"", "save 'run-{count}.yaml' \"{count}\""),
    ("arrange {name}=({count}, 1)", "arrange server=({count}, 1)"),
    ("spawn {names['x']} {f(1, 2)} {'q' if count else 'r'}", "spawn y n12 q"),
    ("wire small-world(degree=2) {name}*/adder", "wire small-world(degree=2) server*/adder"),
    ("spawn {} x{3..1} x{..} [ab]", "spawn {} x{3..1} x{..} [ab]"),
])  # fmt: skip
def test_braces_in_names_hold_python(line, filled):
    names = {
        "count": 3,
        "first": 2,
        "name": "server",
        "names": {"x": "y"},
        "f": lambda a, b: f"n{a}{b}",
    }
    assert " ".join(fill(split(line), names)) == filled


@pytest.mark.parametrize(("line", "text"), [
    ("spawn client{1..clients}",
     "clients: name 'clients' is not defined; did you mean 'client'?; braces hold a range {1..8}, "
     "names {alice,bob}, or Python: {name}, client{1..count}"),
    ("spawn {nam}", "nam: name 'nam' is not defined"),
    ("spawn client{1..client}", "client must be a whole number in a range, not 'x'"),
    ("spawn client{1..1.5+0}", "1.5+0 must be a whole number in a range, not 1.5"),
    ("spawn {[1]}", "{[1]} must be a text or a whole number, not list"),
    ("spawn {1/0}", "1/0: ZeroDivisionError: division by zero"),
    ("spawn {a b}", "'a b' is not a Python expression"),
])  # fmt: skip
def test_what_is_wrong_in_braces_is_said(line, text):
    with pytest.raises(BadLine) as refused:
        fill(split(line), {"client": "x"})
    assert text in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(("line", "words"), [
    ("spawn a b # two nodes", ["spawn", "a", "b"]),
    ("# nothing", []),
    ("call a/x go n=1 #3", ["call", "a/x", "go", "n=1"]),
    ("call a/x go c='#fff' d=a#b e=[1, '#']",
     ["call", "a/x", "go", "c='#fff'", "d=a#b", "e=[1, '#']"]),
    ("spawn a # 'it is", ["spawn", "a"]),
])  # fmt: skip
def test_comments(line, words):
    assert split(line) == words


@both
def test_parameters_make_a_testbed(ready, capsys):
    ready.user_ns.update(clients=3, name="a")
    assert (
        run(ready, capsys, "spawn client{1..clients}  # as many as papermill says")
        == "3 nodes: client1, client2, client3\n"
    )
    assert run(ready, capsys, "call {name}/adder add x=clients") == "3\n"
    assert run(ready, capsys, "terminate {name} adder") == "adder taken off a\n"
    with pytest.raises(UsageError, match="name 'cleints' is not defined; did you mean 'clients'"):
        ready.run_line_magic("rml", "spawn client{1..cleints}")
    assert set(ready.user_ns["bed"].spec()["nodes"]) == {"a", "b", "client1", "client2", "client3"}


@both
def test_locals_of_a_function_come_first(ready, capsys):
    cell = """
k, target = 5, "b"
def ask(k, target="a"):
    for y in (100, 200):
        %rml call {target}/adder add x=k y=y
    total = %rml call {target}/adder add x=[k][0]
    return total
print(ask(7))
%rml call {target}/adder add x=k
"""
    assert ready.run_cell(cell).success
    assert capsys.readouterr().out == "107\n207\n7\n5\n"
    assert run(ready, capsys, "call b/adder add x=k") == "5\n"


@both
def test_a_line_whose_value_is_used_returns_it(ready, capsys):
    assert ready.run_cell("r = %rml call a/adder add x=4").success
    assert (ready.user_ns["r"], capsys.readouterr().out) == (4, "")
    assert ready.run_cell("every = %rml call */adder add\nnodes = %rml spawn c d").success
    assert ready.user_ns["every"] == {"a": 1, "b": 1}
    assert ready.user_ns["nodes"].names == ["c", "d"]
    capsys.readouterr()
    assert ready.run_cell("work = %rml call a/adder slowly x=3 --background\nv = %rml wait").success
    assert (ready.user_ns["work"].result(), ready.user_ns["v"]) == (-3, -3)
    # printed, and shown once
    assert ready.run_cell("from pprint import pprint\n%rml call a/adder add x=9").result is None
    assert capsys.readouterr().out.endswith("9\n") and "Out" not in capsys.readouterr().out
    assert not ready.run_cell("r = %rml call a/adder ad").success
    assert ready.user_ns["r"] == 4
    ready.run_line_magic("unload_ext", "roleml_nb")
    assert not ready.ast_transformers
    ready.run_line_magic("load_ext", "roleml_nb")


@both
def test_calls_take_keywords_as_roles_do(ready):
    bed = ready.user_ns["bed"]
    assert bed.call("a/adder", "add", x=2, y=3) == 5
    assert bed.call("*/adder", "add", {"x": 2, "y": 1}, y=30, timeout=20) == {"a": 32, "b": 32}
    assert bed.call_task("a/adder", "slowly", x=8).result(20) == -8
    assert bed.run("a/adder", "slowly", x=9).result(20) == -9
    with pytest.raises(Exception, match="'z'"):
        bed.call("a/adder", "add", z=1)


@both
def test_status_for_programs(ready, capsys):
    bed = ready.user_ns["bed"]
    shown = json.loads(run(ready, capsys, "status --json"))
    assert shown["nodes"]["b"]["roles"] == {"adder": {"class": "Adder", "status": "ready"}}
    assert (len(shown["engines"]), shown["lost"], shown["seed"]) == (bed.engines, {}, 0)
    assert {node["engine"] for node in shown["nodes"].values()} == (
        {"0", "1"} if bed.engines else {"notebook"}
    )


def test_an_unknown_metric_is_said(ready, capsys):
    run(ready, capsys, "call a/adder add")
    ready.user_ns["bed"].fleet.flush_hosts()
    assert run(ready, capsys, "metrics grad-nrom").startswith(
        "no metric 'grad-nrom' so far; did you mean 'grad_norm'?\n"
    )
    assert not run(ready, capsys, "metrics grad_norm loss rounds").startswith("no metric")


CELL = """\
# a comment
spawn c{1..2}          # two

%rml assign c* adder=Adder(
    start=5)
relate c1 other=c2/adder,a/adder \\
    more=a/adder
arrange c1=(1, 2)
"""


@both
def test_a_cell_of_lines(ready, capsys):
    ready.run_cell_magic("rml", "", CELL)
    assert (
        capsys.readouterr().out
        == "2 nodes: c1, c2\nadder=Adder ready on 2 nodes: c1, c2\nc1: other → 2 roles\nc1: more →"
        " 1 role\n"
    )
    bed = ready.user_ns["bed"]
    assert bed.call("c1/adder", "add") == 6
    assert bed.spec()["nodes"]["c1"]["relationships"] == {
        "other": ["c2/adder", "a/adder"],
        "more": ["a/adder"],
    }
    with pytest.raises(UsageError, match="%%rml takes nothing on its line"):
        ready.run_cell_magic("rml", "spawn x", "spawn y")


MISTAKES = [
    ("spawn c\nrelate c x=b/nobody",
     "line 2: node 'b' has no role 'nobody'; known: adder (nothing was changed)"),
    ("spawn c\nassign c adder=Addr", "line 2: no role class 'Addr'; did you mean 'Adder'"),
    ("spawn c\nsapwn d",
     "line 2: no command 'sapwn'; did you mean 'spawn' or 'respawn'? (nothing was changed)"),
    ("spawn c\n\nspawn d{1..nosuch}", "line 3: nosuch: name 'nosuch' is not defined"),
    ("spawn c\ncall c/adder (",
     "line 2: something is not closed: ) is missing at the end (nothing was changed)"),
    ("spawn c\nassign c adder=Adder\nrelate a other=c/adder\nunrelate a first=b/adder\n"
     "arrange a=(1,1)\nremove typo",
     "line 6: no node matches 'typo'"),
    ("relate a first=c/adder\nspawn c", "line 1: no node matches 'c'"),
    ("wire ring {a,b}/adder --relationship first\ncall a/adder nochannel",
     "line 2: a/adder has no channel 'nochannel'"),
]  # fmt: skip


@both
def test_a_cell_with_a_mistake_changes_nothing(ready, capsys):
    bed = ready.user_ns["bed"]
    run(ready, capsys, "relate a first=b/adder,a/adder")
    before = bed.spec()
    for lines, text in MISTAKES:
        with pytest.raises(UsageError) as refused:
            ready.run_cell_magic("rml", "", lines)
        assert text in str(refused.value)
        assert "(nothing was changed)" in str(refused.value)
        assert bed.spec() == before, lines
    assert bed.call("a/adder", "add") == 1


@both
def test_where_it_cannot_be_undone_it_says_where_it_stopped(ready, capsys):
    bed = ready.user_ns["bed"]
    with pytest.raises(
        UsageError, match=r"rml: line 3: no node matches 'typo'.* \(lines 1, 2 were done\)"
    ):
        ready.run_cell_magic("rml", "", "spawn c\nterminate a adder\nremove typo")
    assert set(bed.spec()["nodes"]) == {"a", "b", "c"} and bed.spec()["nodes"]["a"]["roles"] == {}
    with pytest.raises(UsageError, match=r"line 2: .* \(line 1 was done\)"):
        ready.run_cell_magic("rml", "", "assign b adder=Adder(start=3)\nremove typo")
    assert bed.call("b/adder", "add") == 4


def test_a_cell_that_starts_and_fails_leaves_no_testbed(shell, capsys):
    shell.run_cell(ROLE)
    with pytest.raises(UsageError, match=r"line 3: no role class 'Addr'.*\(nothing was changed\)"):
        shell.run_cell_magic("rml", "", "start --engines 0\nspawn a\nassign a adder=Addr")
    assert not shell.user_ns["bed"].running
