"""The board without a page: what it draws, what gestures do and say, and what undoes them."""

import json
import threading
from collections.abc import Iterator

import pytest

from roleml_nb import Each, Element, Event, EventHandler, Role, Service, Task, Testbed, impl
from roleml_nb.library import (
    DecentralisedCoordinator,
    FederatedCoordinator,
    GossipCoordinator,
    RingCoordinator,
    TreeAggregator,
)
from roleml_nb.role import TestbedError
from roleml_nb.testbed.operations.commands.codegen import imports
from roleml_nb.widgets import Board
from roleml_nb.widgets.base.bundle import script
from roleml_nb.widgets.board import board as boards
from roleml_nb.widgets.board.live import live
from roleml_nb.widgets.board.needs import requirements
from tests.waiting import until


class Counter(Role):
    """Counts."""

    step = Element(int)

    def __init__(self, start: int = 0):
        super().__init__()
        self.count = start

    @Service(expand=True)
    def add(self, caller, amount: int = 1) -> int:
        self.count += amount * self.step()
        return self.count


class Watcher(Role):
    """Watches a counter."""

    @Service
    def watch(self, caller, args, payloads) -> int:
        return self.call("counter", "add", {"amount": 0})

    @Service
    def lose(self, caller, args, payloads) -> int:
        return self.call("counter", "subtract")


def double(number: int) -> int:
    return 2 * number


NAMES = {"Counter": Counter, "Watcher": Watcher, "Each": Each, "impl": impl, "double": double}


@pytest.fixture
def board() -> Iterator[Board]:
    with Testbed(engines=0) as bed:
        bed.spawn("server", "client{1..3}")
        yield bed.board(names={**NAMES, "bed": bed})


def test_all_nodes_are_those_on_the_board_and_each_gets_its_own(board) -> None:
    board._names.pop("Each")  # a notebook of magics has not imported it
    nodes = board._bed.registry.nodes()
    fields = board.handle_form("assign", {"cls": "Counter", "nodes": nodes})["fields"]
    assert next(field["value"] for field in fields if field["key"] == "nodes") == "*"
    said = board.do(
        "assign",
        nodes="*",
        name="counter",
        cls="Counter",
        options={"start": "Each([10, 20, 30, 40])"},
        elements={"step": "Each([1, 2, 3, 4])"},
    )
    assert said["lines"] == [
        "%rml assign {client1,client2,client3,server} counter=Counter(start=Each([10, 20, 30, 40]))"
        " --element step=Each([1, 2, 3, 4])"
    ]
    assert list(board._bed.call("*/counter", "add").values()) == [11, 22, 33, 44]


def python(board: Board, said: dict) -> None:
    """Run what a gesture says of itself."""
    fresh = {key: item for key, item in NAMES.items() if key not in ("Each", "impl")}
    exec("\n".join(said["python"]), {**fresh, "bed": board._bed})


def test_the_python_of_a_gesture_imports_what_is_not_the_notebooks_own() -> None:
    code = ["bed.assign('a', 'trainer', EpochTrainer, elements={'model': impl(mlp, 4, 2)})"]
    library = "from roleml_nb.library import EpochTrainer"
    workload = "from roleml_nb.workload import mlp"
    assert imports(code, {}) == ["from roleml_nb import impl", workload, library]
    assert imports(code, {"mlp": len, "impl": impl}) == ["from roleml_nb import impl", library]
    assert imports(["bed.assign('a', 'x', )", "b c"], {}) == []


def test_a_gesture_says_what_it_does_and_saying_it_does_the_same(board) -> None:
    bed = board._bed
    said = board.do(
        "assign",
        nodes="client{1..3}",
        name="counter",
        cls="Counter",
        options={"start": "i * 10 + n"},
        elements={"step": "double(i + 1)"},
    )
    assert said["lines"] == [
        "%rml assign client{1..3} counter=Counter(start=i * 10 + n) --element step=double(i + 1)"
    ]
    assert said["python"] == [
        "from roleml_nb import Each, impl",
        "bed.assign('client{1..3}', 'counter', Counter, options={'start': Each(i * 10 + 3 for i in"
        " range(3))}, elements={'step': impl(double, Each(i + 1 for i in range(3)))})",
    ]
    assert [bed.call(f"client{number}/counter", "add") for number in (1, 2, 3)] == [5, 17, 29]
    spec = bed.spec()
    board.undo()
    assert all(not node["roles"] for node in bed.spec()["nodes"].values())
    python(board, said)
    assert bed.spec() == spec


@pytest.mark.parametrize(
    ("kind", "given", "line"),
    [
        (
            "relate",
            {"nodes": "server", "relationship": "counter", "instances": ["client*/counter"]},
            "%rml relate server counter=client*/counter",
        ),
        (
            "relate",
            {
                "nodes": ["server"],
                "relationship": "mate",
                "instances": ["client1/counter", "client2/counter"],
                "remove": True,
            },
            "%rml unrelate server mate={client1,client2}/counter",
        ),
        (
            "migrate",
            {"role": "client1/counter", "to": "server"},
            "%rml migrate client1/counter server",
        ),
        (
            "terminate",
            {"nodes": ["client1", "client2"], "name": "counter"},
            "%rml terminate client{1..2} counter",
        ),
        ("spawn", {"nodes": "new{1..2}"}, "%rml spawn new{1..2}"),
        ("remove", {"nodes": ["client1"]}, "%rml remove client1"),
        ("arrange", {"positions": {"client1": [7, 9]}}, "%rml arrange client1=(7, 9)"),
    ],
)
def test_each_gesture_is_undone_and_done_again(board, kind, given, line) -> None:
    bed = board._bed
    bed.assign("client*", "counter", Counter, options={"start": 4}, elements={"step": 1})
    bed.relate("server", "mate", ["client1/counter", "client3/counter"])
    before = bed.spec()
    said = board.do(kind, **given)
    after = bed.spec()
    assert after != before
    assert [item.replace("client{1..2}/", "{client1,client2}/") for item in said["lines"]] == [line]
    assert board.undo() == said["lines"]
    assert _plain(bed.spec()) == _plain(before)
    board.redo()
    assert _plain(bed.spec()) == _plain(after)
    board.undo()
    python(board, said)
    assert _plain(bed.spec()) == _plain(after)
    assert board.code() == ""


def _plain(spec: dict) -> dict:
    """Without the turns, which tell in which order roles were assigned, orders of members, and what
    the board remembers.
    """
    nodes = {
        name: {
            **node,
            "roles": {role: {**given, "turn": 0} for role, given in node["roles"].items()},
            "relationships": {
                key: sorted(members) for key, members in node["relationships"].items()
            },
        }
        for name, node in spec["nodes"].items()
    }
    return {**spec, "nodes": nodes, "board": None}


def test_what_cannot_be_done_changes_nothing_and_is_not_in_the_history(board) -> None:
    bed, before = board._bed, board._bed.spec()
    for kind, given, text in (
        (
            "assign",
            {"nodes": "client9", "name": "c", "cls": "Counter"},
            "no node matches 'client9'",
        ),
        (
            "assign",
            {"nodes": "client1", "name": "c", "cls": "Count"},
            "no role class 'Count'; did you mean 'Counter'",
        ),
        (
            "assign",
            {"nodes": "client1", "name": "c c", "cls": "Counter"},
            "'c c' cannot be the name of a role",
        ),
        (
            "assign",
            {"nodes": "client1", "name": "c", "cls": "Counter", "options": {"start": "1 +"}},
            "not a Python expression",
        ),
        (
            "assign",
            {"nodes": "client1", "name": "c", "cls": "Counter"},
            "element 'step' of Counter is not implemented",
        ),
        (
            "relate",
            {"nodes": "client1", "relationship": "a b", "instances": "server/x"},
            "cannot be the name of a relationship",
        ),
        ("spawn", {"nodes": "client1"}, "client1 is there already"),
        ("spawn", {"nodes": "n", "instances": None}, "Spawn takes no 'instances'"),
        ("fly", {}, "no gesture 'fly'"),
        ("terminate", {"nodes": "", "name": "x"}, "say which nodes"),
    ):
        with pytest.raises(TestbedError, match=text):
            board.do(kind, **given)
    assert bed.spec() == before
    with pytest.raises(TestbedError, match="there is nothing to undo"):
        board.undo()


def test_it_draws_what_the_spec_says_whoever_changed_it(board) -> None:
    bed = board._bed
    bed.assign("client*", "counter", Counter, elements={"step": 1})
    bed.relate("server", "counter", "client*")
    board.on_tick()
    drawn, spec = board._drawn, bed.spec()["nodes"]
    assert {node["name"]: [role["name"] for role in node["roles"]] for node in drawn["nodes"]} == {
        name: list(node["roles"]) for name, node in spec.items()
    }
    assert drawn["pairs"] == [
        {
            "source": "server",
            "target": f"client{number}",
            "both": False,
            "known": [["server", "counter", f"client{number}/counter"]],
        }
        for number in (1, 2, 3)
    ]
    json.dumps(drawn)
    assert repr(board) == "<Board: 4 nodes, 3 roles>"
    bed.remove("client3")
    board.on_tick()
    assert len(board._drawn["pairs"]) == 2


def test_a_page_gets_a_change_that_was_drawn_as_a_picture_first(board) -> None:
    board._bed.assign("client1", "counter", Counter, elements={"step": 1})
    board.on_tick()
    board._bed.relate("server", "counter", "client1")
    board.picture()  # as at the end of each cell
    board.on_tick()
    assert [pair["target"] for pair in board._drawn["pairs"]] == ["client1"]


def test_nodes_stay_where_they_are_and_where_they_are_put(board) -> None:
    bed = board._bed
    bed.assign("client*", "counter", Counter, elements={"step": 1})
    bed.relate("server", "counter", "client*")
    board.on_tick()

    def places() -> dict:
        return {node["name"]: (node["x"], node["y"]) for node in board._drawn["nodes"]}

    before = places()
    bed.spawn("late")
    board.on_tick()
    assert {name: at for name, at in places().items() if name != "late"} == before
    board.do("arrange", positions={"late": [500, 600]})
    assert places()["late"] == (500, 600) and bed.spec()["nodes"]["late"]["at"] == [500, 600]
    with Testbed.from_spec(bed.spec()) as other:
        twin = other.board()
        assert {node["name"]: (node["x"], node["y"]) for node in twin._drawn["nodes"]}["late"] == (
            500,
            600,
        )
    bed.remove("client2")
    board.on_tick()
    assert all(places()[name] == before[name] for name in ("server", "client1", "client3"))
    bed.spawn("client2")
    bed.relate("client2", "counter", "client1")
    board.on_tick()
    assert places() == {**before, "late": (500, 600)}  # what comes again stands where it stood
    auto = places()["client1"]
    board.do("arrange", positions={"client1": [900, 900]})
    board.undo()
    assert places()["client1"] == auto
    bed.rename("client1", "first")
    board.on_tick()
    assert places()["first"] == auto


@pytest.mark.parametrize("by", ["relationship", "engine"])
def test_a_board_rebuilt_from_its_spec_looks_the_same(board, by, tmp_path) -> None:
    bed = board._bed
    board.handle_draw(by)

    def check() -> None:
        board.on_tick()
        bed.save_spec(tmp_path / "spec.yaml")
        for source in (bed.spec(), str(tmp_path / "spec.yaml")):
            with Testbed.from_spec(source) as other:
                twin = other.board()
                assert twin._drawn == board._drawn and twin.svg() == board.svg()
                assert other.spec() == bed.spec()

    check()
    bed.assign("client*", "counter", Counter, options={"start": 1}, elements={"step": 1})
    bed.assign("server", "watcher", Watcher)
    check()
    bed.relate("server", "counter", "client*")
    check()
    bed.spawn("late{1..5}")
    bed.assign("late1", "another", Watcher)
    board.do(
        "relate", nodes=["late1", "late2"], relationship="counter", instances=["client2/counter"]
    )
    board.do("remove", nodes=["client3", "late5"])
    board.do("arrange", positions={"late2": [700, 50]})
    check()
    board.do("terminate", nodes=["server"], name="watcher")
    board.do("rename", node="late1", name="early")
    board.undo()
    board.do("migrate", role="client2/counter", to="late3")
    check()
    board.handle_tidy()
    check()


def test_a_board_that_was_not_drawn_since_looks_the_same_when_rebuilt(board) -> None:
    bed = board._bed
    bed.assign("client*", "counter", Counter, elements={"step": 1})
    bed.relate("client1", "counter", "client2")
    board.on_tick()
    bed.relate("server", "counter", "client*")
    bed.spawn("late")
    spec = bed.spec()
    board.on_tick()
    with Testbed.from_spec(spec) as other:
        assert other.board()._drawn == board._drawn


def test_a_board_of_a_checkpoint_looks_the_same(board, tmp_path) -> None:
    bed = board._bed
    bed.assign("client*", "counter", Counter, elements={"step": 1})
    bed.relate("server", "counter", "client*")
    board.on_tick()
    bed.spawn("late")
    board.on_tick()
    bed.save(tmp_path / "board.checkpoint")
    with Testbed.from_checkpoint(tmp_path / "board.checkpoint") as other:
        assert other.board()._drawn == board._drawn and other.spec() == bed.spec()


def test_a_second_board_draws_the_same_and_a_testbed_without_one_remembers_nothing(board) -> None:
    bed = board._bed
    bed.assign("client*", "counter", Counter, elements={"step": 1})
    bed.relate("server", "counter", "client*")
    board.on_tick()
    assert bed.board(names=NAMES)._drawn == board._drawn
    with Testbed(engines=0) as other:
        other.spawn("server")
        assert "board" not in other.spec()


def test_the_palette_knows_options_elements_and_what_is_asked_for(board) -> None:
    by_name = {entry["cls"]: entry for entry in board._palette}
    assert by_name["Counter"] == {
        "cls": "Counter",
        "library": False,
        "version": 1,
        "name": "counter",
        "about": "Counts.",
        "options": [{"name": "start", "type": "int", "default": "0"}],
        "elements": [{"name": "step", "type": "int", "default": None}],
        "says": "Counts.\nchannels: add",
    }
    assert (
        by_name["Watcher"]["says"] == "Watches a counter.\nchannels: lose, watch\nasks for: counter"
    )
    assert (
        by_name["FedAvgAggregator"]["library"]
        and by_name["FedAvgAggregator"]["name"] == "aggregator"
    )
    names = [entry["cls"] for entry in board._palette]
    assert names[:2] == ["Counter", "Watcher"] and "Role" not in names


def test_what_is_lacking_is_drawn_with_a_proposal(board) -> None:
    bed = board._bed
    bed.assign("server", "watcher", Watcher)
    board.on_tick()
    (need,) = board._drawn["needs"]
    assert need["role"] == "server/watcher" and need["proposal"] is None
    assert (
        need["why"]
        == "asks for 'counter', which server does not know; no role is called so: assign one on"
        " server, or relate server to roles"
    )
    bed.assign("client*", "counter", Counter, elements={"step": 1})
    board.on_tick()
    (need,) = board._drawn["needs"]
    assert need["proposal"] == {
        "nodes": ["server"],
        "relationship": "counter",
        "instances": ["client1/counter", "client2/counter", "client3/counter"],
    }
    board.do("relate", **need["proposal"])
    (need,) = board._drawn["needs"]
    assert (
        need["why"]
        == "calls 'subtract' of 'counter', which client1/counter and 2 more does not have"
    )


def test_what_the_library_asks_for_is_read_from_its_code() -> None:
    found = requirements(FederatedCoordinator)
    assert set(found) == {"trainer", "aggregator"} and found["aggregator"] == {
        "aggregate",
        "begin-anew",
    }
    assert "evaluator" not in found  # it asks whether there is one
    assert set(requirements(GossipCoordinator)) == {"peer", "trainer", "aggregator"}
    assert requirements(RingCoordinator) == {"ring": set()}
    assert requirements(DecentralisedCoordinator) == {"mixer": set()}
    assert requirements(TreeAggregator) == {"trainer": set()}


def inspected(board: Board, address: str) -> dict[str, list]:
    return {part["name"]: part["lines"] for part in board.handle_inspect(address)["parts"]}


class Sleeper(Role):
    """Sleeps until it is woken, or fails."""

    def __init__(self):
        super().__init__()
        self.woken = threading.Event()

    @Task
    def sleep(self, caller, args, payloads) -> str:
        self.woken.wait(30)
        return "woken"

    @Service
    def wake(self, caller, args, payloads) -> None:
        self.woken.set()

    @EventHandler("counter", "counted")
    def hear(self, caller, args, payloads) -> None:
        raise ValueError("too loud")


class Loud(Counter):
    counted = Event()

    @Service(expand=True)
    def shout(self, caller) -> None:
        self.counted.emit({"count": 1})


def test_it_shows_who_is_at_work_who_waits_and_what_failed(board) -> None:
    bed = board._bed
    bed.assign("client1", "sleeper", Sleeper)
    sleeping = bed.call_task("client1/sleeper", "sleep")
    until(lambda: live(bed)["work"] == {"client1/sleeper": [1, 0]}, "the handler is at work")
    shown = live(bed)
    assert (
        shown["waiting"] == ["notebook/actor waits for client1/sleeper.sleep"]
        and shown["waits"] == 1
    )
    assert shown["errors"] == {} and shown["status"] == {}
    bed.call("client1/sleeper", "wake")
    assert sleeping.result(timeout=30) == "woken"
    bed.assign("client2", "loud", Loud, elements={"step": 1})
    bed.relate("client1", "counter", "client2/loud")
    bed.call("client2/loud", "shout")
    until(lambda: live(bed)["errors"] == {"client1/sleeper": 1}, "the failure is told")
    (fault,) = live(bed)["faults"]
    assert (
        "ValueError: too loud" in fault["text"]
        and 'raise ValueError("too loud")' in fault["traceback"]
    )
    assert board.handle_show("errors")["parts"][0]["lines"] == [fault]
    found = inspected(board, "client1/sleeper")
    assert found["Errors"] == [fault] and found["client1 knows"] == [
        {"label": "counter", "code": "client2/loud"}
    ]
    assert [channel["name"] for channel in found["Channels"]] == [
        "wake",
        "sleep",
        "counted of counter",
    ]
    assert any(
        line["text"].startswith("task sleep from notebook/actor") for line in found["Last messages"]
    )
    assert inspected(board, "client2/loud")["What it is"][1:] == [
        {"label": "element step", "code": "1"}
    ]
    assert inspected(board, "client2")["What it is"] == [{"label": "lives on", "code": "notebook"}]
    with pytest.raises(TestbedError, match="there is no role client2/quiet any more"):
        board.handle_inspect("client2/quiet")


def test_a_channel_is_called_from_a_form_and_the_call_stands_in_the_code(board) -> None:
    bed = board._bed
    bed.assign("client1", "counter", Counter, elements={"step": 1})
    board.do("spawn", nodes="late")
    told: list = []
    board.send_message = lambda kind, content: told.append((kind, content))
    given = {"address": "client1/counter", "channel": "add"}
    assert (
        board.handle_form("call", given)["about"]
        == "It takes amount?. What a call does is not undone."
    )
    said = board.handle_submit("call", given, {"arguments": "amount=3 + len('ab')"})
    line = "%rml call client1/counter add amount=(3 + len('ab'))"
    assert said["lines"] == [line] and said["python"] == [
        "bed.call('client1/counter', 'add', {'amount': 3 + len('ab')})"
    ]
    until(lambda: told, "the call is answered")
    assert told == [
        ("called", {"address": "client1/counter", "line": line, "outcome": "result", "text": "5"})
    ]
    assert str(bed.runs) == "run 1: client1/counter.add, done, no rounds yet"
    assert not bed.runs[1].reported  # no page shows the board: a cell reports it
    assert board.code() == f"%rml spawn late\n{line}"
    assert board.handle_form("call", given)["fields"][0]["value"] == "amount=3 + len('ab')"
    # it is not undone: its line goes, and comes again, and that is all
    assert (
        board._history["note"]
        == "a call cannot be undone: its line goes from the code, and what it did stays"
    )
    assert board.undo() == [line] and board.code() == "%rml spawn late"
    assert board.redo() == [line] and bed.call("client1/counter", "add", {"amount": 0}) == 5
    for arguments, text in (
        ("3", "3: name the arguments, as in amount=3"),
        ("amount=", "not a Python expression"),
        ("amount=none", "name 'none' is not defined"),
    ):
        with pytest.raises(TestbedError, match=text):
            board.handle_submit("call", given, {"arguments": arguments})


def test_forms_know_what_is_there_and_what_was_typed(board) -> None:
    bed = board._bed
    bed.assign("server", "watcher", Watcher)
    form = board.handle_form(
        "assign", {"cls": "Counter", "nodes": ["client1", "client2", "client3"]}
    )
    assert form["title"] == "Put Counter on 3 nodes" and form["about"].startswith(
        "Counts. Values may speak of i, n and node"
    )
    by_key = {field["key"]: field for field in form["fields"]}
    assert (
        by_key["nodes"]["value"] == "client{1..3}" and by_key["option:start"]["placeholder"] == "0"
    )
    assert by_key["element:step"]["required"] and by_key["element:step"]["value"] is None
    values = {"nodes": "client*", "name": "counter", "option:start": "i", "element:step": "1"}
    said = board.handle_say("assign", {"cls": "Counter", "nodes": []}, values)
    assert said["lines"] == ["%rml assign client{1..3} counter=Counter(start=i) --element step=1"]
    board.handle_submit("assign", {"cls": "Counter", "nodes": []}, values)
    assert {
        field["key"]: field.get("value")
        for field in board.handle_form("assign", {"cls": "Counter", "nodes": ["server"]})["fields"]
    } == {"nodes": "server", "name": "counter", "option:start": "i", "element:step": "1"}
    form = board.handle_form(
        "relate", {"nodes": ["server"], "role": "watcher", "instances": ["client1/counter"]}
    )
    assert form["about"] == "watcher asks for counter." and form["fields"][2]["value"] == "counter"
    board.handle_submit(
        "relate",
        {"nodes": ["server"], "role": "watcher"},
        {"nodes": "server", "instances": "client1/counter", "relationship": "counter"},
    )
    board.handle_submit("rename", {"node": "client3"}, {"name": "late"})
    board.handle_submit("migrate", {"role": "late/counter"}, {"to": "server"})
    board.handle_submit("spawn", {}, {"nodes": "new{1..2}"})
    assert board.code().splitlines()[1:] == [
        "%rml relate server counter=client1/counter",
        "%rml rename client3 late",
        "%rml migrate late/counter server",
        "%rml spawn new{1..2}",
    ]
    with pytest.raises(TestbedError, match="there is no role class 'Gone' any more"):
        board.handle_form("assign", {"cls": "Gone", "nodes": []})


def test_the_widget_is_small(board) -> None:
    assert len(script(boards.__file__).encode()) <= 60_000


def test_a_lost_engine_is_drawn_with_its_cause(own_bed) -> None:
    own_bed.spawn("here", on=0)
    own_bed.spawn("there", on=1)
    board = own_bed.board(names=NAMES)
    own_bed.fleet.kill("engine1")
    until(lambda: own_bed.lost, "the engine is lost")
    board.on_tick()
    by_name = {node["name"]: node["lost"] for node in board._drawn["nodes"]}
    assert by_name == {"here": "", "there": own_bed.lost["engine1"]} and own_bed.lost["engine1"]
    assert "(lost)" in board.svg()


def test_the_picture_is_the_same_for_the_same_state(board) -> None:
    board._bed.assign("client*", "counter", Counter, elements={"step": 1})
    board._bed.relate("server", "counter", "client*")
    first, second = board.picture(), board._bed.board(names=NAMES).picture()
    assert first.svg == second.svg and first.png() == second.png()
    assert ">client2</text>" in first.svg and ">counter</text>" in first.svg


def test_a_board_of_300_nodes_is_drawn_small(board) -> None:
    bed = board._bed
    bed.spawn("peer{1..300}")
    bed.assign("peer*", "counter", Counter, elements={"step": 1})
    bed.wire("random-regular", nodes="peer*", role="counter", degree=4)
    board.on_tick()
    assert board._drawn["many"] and len(board._drawn["nodes"]) == 304
    boxes = [(node["x"], node["y"], node["w"], node["h"]) for node in board._drawn["nodes"]]
    over = [
        (a, b)
        for index, a in enumerate(boxes)
        for b in boxes[:index]
        if a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
    ]
    assert len(over) <= 15
    assert len(board.svg()) < 500_000


def test_an_unknown_way_to_draw_is_refused(board) -> None:
    with pytest.raises(TestbedError, match="by must be 'engine' or 'relationship', not 'size'"):
        board._bed.board(by="size")
