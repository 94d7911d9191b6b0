"""Where nodes are drawn."""

from math import dist

from roleml_nb.widgets.base.graph_layout import places

STAR = [("server", f"client{index}") for index in range(1, 9)]
RING = [
    (f"peer{index + 1}", f"peer{(index + step) % 8 + 1}") for index in range(8) for step in (1, 3)
]


def test_parts_that_do_not_know_each_other_stand_side_by_side():
    nodes = ["server", *(f"{name}{index}" for name in ("client", "peer") for index in range(1, 9))]
    found = places(nodes, STAR + RING)
    assert found == places(nodes, RING[::-1] + STAR[::-1])
    assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in found.values())
    left, right = (
        [found[node][0] for node in found if node.startswith(name)] for name in ("client", "peer")
    )
    assert max(left) < min(right)
    assert (
        min(dist(found[one], found[other]) for one in nodes for other in nodes if one != other)
        > 0.08
    )
    assert dist(found["server"], found["client1"]) < 0.3


def test_nodes_that_know_nobody_do_not_take_a_graph_apart():
    assert places(["server", "client1", "client2"], [("server", "client1")]).keys() == {
        "server",
        "client1",
        "client2",
    }
