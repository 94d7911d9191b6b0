"""Gossip learning as a program for RoleML, its roles in a module of their own path, as a package
would have them.
"""

import sys
from threading import Lock

import roleml_nb.compat
from roleml_nb import Testbed
from tests.waiting import until

roleml_nb.compat.install()

import roleml.essentials as rml  # noqa: E402
from roleml.core.role.elements import ConstructStrategy  # noqa: E402
from roleml.kits.interfaces import Runnable  # noqa: E402
from roleml.shared.collections.merger import CumulativeAddingValueMerger, ValueMerger  # noqa: E402


class Gossiper(rml.Role):
    gossip_accepted = rml.Event()
    buffer = rml.Element(
        ValueMerger,
        default_constructor=CumulativeAddingValueMerger,
        default_construct_strategy=ConstructStrategy.ONCE_EAGER,
    )

    def __init__(self):
        super().__init__()
        self.gossip_lock, self.count = Lock(), 0

    @rml.Service(expand=True)
    def accept_gossip(self, source: rml.RoleInstanceID, data: float, hops: int):
        with self.gossip_lock:
            self.buffer().push(data)
            self.count += 1
        self.gossip_accepted.emit(args={"source_name": source.actor_name, "hops": hops})

    @rml.Service(expand=True)
    def get_data(self, _):
        with self.gossip_lock:
            data, count = self.buffer().merge(), self.count
            self.buffer.reset()
            self.count = 0
            return data, count

    @rml.Service(expand=True)
    def propagate_gossip(self, _, data, hops):
        (peer,) = self.ctx.relationships.get_relationship("peer")
        self.call(peer, "accept-gossip", args={"hops": hops}, payloads={"data": data})


class Node(rml.Role):
    last_hop = 12

    def __init__(self, value: float):
        super().__init__()
        self.value = value

    @rml.EventHandler(
        "aggregator",
        "gossip-accepted",
        expand=True,
        conditions={"hops__<=": rml.attribute("last_hop")},
    )
    def on_gossip_accepted(self, *_, hops, **__):
        data, count = self.call("aggregator", "get-data")
        if count == 0:
            return
        self.value = (self.value + data) / (count + 1)
        self.call(
            "aggregator", "propagate-gossip", args={"hops": hops + 1}, payloads={"data": self.value}
        )
        if hops == self.last_hop:
            self.call_task(
                rml.RoleInstanceID("n1", "report"), "finished", payloads={"by": self.id}
            ).result()

    @rml.Service
    def get(self, caller, args, payloads):
        return self.value


class Report(rml.Role, Runnable):
    def __init__(self):
        super().__init__()
        self.started, self.by = False, []

    def run(self):
        self.started = True

    @rml.Task(expand=True)
    def finished(self, _, by: rml.RoleInstanceID):
        self.by.append(by)

    @rml.Service(expand=True)
    def names(self, _):
        return self.started, [f"{type(by).__name__} {by}" for by in self.by]


if __name__ == "__main__":
    with Testbed(engines=int(sys.argv[1]), preload=(), timeout=60) as bed:
        names = bed.spawn("n{1..4}").names
        bed.assign("n1", "report", Report)
        bed.assign("n*", "aggregator", Gossiper)
        for number, name in enumerate(names):
            bed.relate(name, "aggregator", f"{name}/aggregator")
            bed.relate(name, "peer", f"{names[(number + 1) % 4]}/aggregator")
            bed.assign(name, "node", Node, options={"value": float(number)})
        bed.call("n1/aggregator", "propagate-gossip", {"data": 0.0, "hops": 0})
        until(lambda: bed.call("n1/report", "names")[1], "the gossip has made its rounds")
        values = [bed.call(f"{name}/node", "get") for name in names]
        print(bed.call("n1/report", "names"), max(values) - min(values) < 1, list(bed.errors))
