"""A line with several targets decides first, and acts then: a mistake changes nothing."""

import pytest
from IPython.core.error import UsageError

from tests.shells import run

ROLE = """
from roleml_nb import Element, Role, Service
class Box(Role):
    value = Element(int, default_impl=1)
    extra = Element(object, optional=True)
    def __init__(self, size=1):
        super().__init__()
        self.size = size
    @Service(expand=True)
    def get(self, caller):
        return self.size
class Bag(Box):
    pass
def make(part, size=1):
    return part
"""


@pytest.fixture(params=[0, 2], ids=["one process", "engines"])
def ready(shell, capsys, request):
    run(shell, capsys, f"start --engines {request.param}")
    shell.run_cell_magic("role", "", ROLE)
    run(shell, capsys, "spawn a b c")
    run(shell, capsys, "assign {a,b} box=Box bag=Bag")
    run(shell, capsys, "relate a box=b/box bag=b/bag")
    return shell


LINES = [
    ("terminate a box typo", "node 'a' has no role 'typo'; known: bag, box"),
    ("terminate {a,c} bag", "node 'c' has no role 'bag'"),
    ("unrelate a box=b/box typo", "'typo' is not of the form relationship=node/role"),
    ("unrelate a box=b/box bag=b/typo", "node 'b' has no role 'typo'"),
    ("unrelate a box=b/box bag=x/bag", "no node matches 'x'"),
    ("relate a more=b/box b/typo", "'b/typo' is not of the form relationship=node/role"),
    ("relate a more=b/box bag=x/bag", "no node matches 'x'"),
    ("assign c box=Box bag=Bga", "no role class 'Bga'; did you mean 'Bag'"),
    ("assign c box=Box bag=Bag(sise=1)",
     "assign bag=Bag: Bag takes no option 'sise'; did you mean 'size'?"),
    ("assign {a,b} box=Box(sise=1)",
     "assign box=Box: Box takes no option 'sise'; did you mean 'size'?"),
    ("assign c box=Box actor=Bag",
     "'actor' cannot be the name of a role: it is the native role's own"),
    ("assign {a,b} box=Box --element value=make(prat=1)",
     "element 'value': make() got an unexpected keyword argument 'prat'; did you mean 'part'?"),
    ("assign {a,b} box=Box --element value='x'", "a/box: element 'value' must be int, not str"),
    ("assign c box=Box bag=Bag(size=(lambda x: x)) --element extra=(i for i in 'ab')",
     "element 'extra'"),
    ("spawn d 4e", "'4e' is not a node name"),
    ("spawn d --on 7", "7"),
    ("remove a typo", "no node matches 'typo'"),
    ("remove a notebook", "the notebook's own node cannot be removed"),
    ("move a typo --on 0", "no "),
    ("arrange a=(1, 2) typo=(3, 4)", "no node matches 'typo'"),
    ("arrange a=(1, 2) b=5", "write node=(x, y)"),
    ("rename a b", "there is a node 'b' already"),
    ("migrate a/box b/", "'' cannot be the name of a role"),
    ("migrate a/box b/x*", "'x*' cannot be the name of a role"),
    ("wire ring {a,b,c}/box", "node 'c' has no role 'box'"),
    ("update Bag Box", "unrecognized arguments: Box"),
    ("save run.yaml nowhere/run.yaml", "unrecognized arguments"),
]  # fmt: skip


def test_a_line_with_a_mistake_changes_nothing(ready, capsys):
    bed = ready.user_ns["bed"]
    before, classes = bed.spec(), dict(bed.versions.classes)
    for line, text in LINES:
        with pytest.raises(UsageError) as refused:
            ready.run_line_magic("rml", line)
        assert text in str(refused.value), line
        assert "\n" not in str(refused.value), line
        assert bed.spec() == before, line
        assert bed.versions.classes == classes, line
    assert bed.call("*/box", "get") == {"a": 1, "b": 1}
    assert "ready" in run(ready, capsys, "status")


def test_what_is_named_twice_is_done_once(ready, capsys):
    assert run(ready, capsys, "terminate a box bag box") == "box taken off a\nbag taken off a\n"
    assert (
        run(ready, capsys, "unrelate a box=b/box bag=b/bag")
        == "a: box without b/box\na: bag without b/bag\n"
    )
    assert (
        run(ready, capsys, "unrelate a box=b/box box=b/box")
        == "a: box without b/box\na: box without b/box\n"
    )
    assert run(ready, capsys, "remove b b") == "removed b\n"
    assert set(ready.user_ns["bed"].spec()["nodes"]) == {"a", "c"}
