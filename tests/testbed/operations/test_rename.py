"""Nodes under another name, and on another engine."""

import pytest

from roleml_nb import Event, EventHandler, Role, Service
from roleml_nb.role import TestbedError


class Counter(Role):
    counted = Event()

    def __init__(self, start: int = 0):
        super().__init__()
        self.count = start

    @Service(expand=True)
    def add(self, caller, amount: int = 1) -> int:
        self.count += amount
        self.counted.emit({"count": self.count})
        return self.count


class Asker(Role):
    def __init__(self):
        super().__init__()
        self.heard: list[int] = []

    @Service
    def ask(self, caller, args, payloads) -> int:
        return self.call("counter", "add")

    @EventHandler("counter", "counted")
    def hear(self, caller, args, payloads) -> None:
        self.heard.append(args["count"])

    @Service
    def what(self, caller, args, payloads) -> list[int]:
        return self.heard


def deploy(bed, mark: str) -> tuple[str, str]:
    a, b = f"{mark}-a", f"{mark}-b"
    bed.spawn(a, b, seed=5)
    bed.assign(b, "counter", Counter, options={"start": 10})
    bed.relate(a, "counter", b)
    bed.relate(b, "mate", [f"{b}/counter"])
    bed.assign(a, "asker", Asker)
    bed.assign(b, "asker", Asker)
    return a, b


def test_a_renamed_node_keeps_its_state_and_who_knows_it(bed) -> None:
    from tests.waiting import until

    a, b = deploy(bed, "rename")
    assert bed.call(f"{a}/asker", "ask") == 11
    before = bed.spec()["nodes"]
    bed.arrange({b: (3, 4)})
    bed.rename(b, "rename-c")
    after = bed.spec()["nodes"]
    assert b not in after
    assert after["rename-c"] == {
        **before[b],
        "at": [3, 4],
        "relationships": {"mate": ["rename-c/counter"]},
    }
    assert after[a]["relationships"] == {"counter": ["rename-c/counter"]}
    assert bed.call(f"{a}/asker", "ask") == 12
    assert bed.call("rename-c/asker", "ask") == 13
    until(lambda: bed.call(f"{a}/asker", "what") == [11, 12, 13], "all events were heard")
    bed.remove([a, "rename-c"])


def test_what_cannot_be_renamed(bed) -> None:
    bed.spawn("noname-a", "noname-b")
    for old, new, text in (
        ("noname-a", "noname-b", "there is a node 'noname-b' already"),
        ("notebook", "x", "the notebook's own node"),
        ("noname-a", "x{1..2}", "names several nodes"),
        ("noname-*", "x", "'noname-\\*' names 2 nodes; name one"),
    ):
        with pytest.raises(TestbedError, match=text):
            bed.rename(old, new)
    bed.remove("noname-*")


def test_nodes_move_to_another_engine(bed) -> None:
    if not bed.engines:
        bed.spawn("move-a")
        assert bed.move("move-a", "notebook") == []
        with pytest.raises(TestbedError, match="no engine 3"):
            bed.move("move-a", on=3)
        bed.remove("move-a")
        return
    a, b = deploy(bed, "move")
    assert bed.call(f"{a}/asker", "ask") == 11
    before = bed.spec()["nodes"]
    there = before[b]["engine"]
    other = next(host for host in bed.fleet.alive if host != there)
    assert bed.move(b, on=int(other[6:])) == [b]
    after = bed.spec()["nodes"]
    assert after[b] == {**before[b], "engine": other} and after[a] == before[a]
    assert not any(name.endswith(".moves") for name in after)
    assert bed.call(f"{a}/asker", "ask") == 12
    status = {node.name: node for node in bed.status().nodes}
    assert status[b].engine == other[6:] and status[b].roles["counter"] == ("Counter", "ready")
    bed.remove([a, b])
