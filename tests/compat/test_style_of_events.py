"""Roles in RoleML's style that tell each other of events, and that need elements."""

from typing import Any, Callable, Optional  # noqa: UP035  (RoleML's programs write it so)

import pytest

from roleml_nb import CallerError, HandlerError
from roleml_nb.compat.core.context import RoleInstanceID
from roleml_nb.compat.core.role.base import Role
from roleml_nb.compat.core.role.channels import Event, EventHandler, Service, attribute
from roleml_nb.compat.core.role.elements import ConstructStrategy, Element
from roleml_nb.compat.core.role.types import Args, Payloads
from roleml_nb.compat.shared.collections.merger import ListValueMerger, ValueMerger
from tests.waiting import until

# events


class Emitter(Role):
    round_completed = Event()
    finished = Event("all-done")

    @Service(expand=True)
    def tell(
        self,
        _,
        args: Optional[dict] = None,  # noqa: UP045
        payloads: Optional[dict] = None,  # noqa: UP045
        done: bool = False,  # noqa: RUF100, UP045
    ):
        (self.finished if done else self.round_completed).emit(args, payloads)


class Base(Role):
    best = 0.5

    def __init__(self):
        super().__init__()
        self.heard: list[Any] = []

    @EventHandler(
        "source",
        "round-completed",
        expand=True,
        conditions={"loss__lt": attribute("best"), "kind": "test"},
    )
    def on_round_completed(self, source, *, loss, **_):
        self.heard.append((source.instance_name, loss))

    @Service
    def get_heard(self, *_):
        return self.heard


class Listener(Base):
    @EventHandler(
        "source",
        "all_done",
        mode="once",
        extra_filter=lambda instance: instance.instance_name != "second",
    )
    def on_done(self, source, args: Args, payloads: Payloads):
        self.heard.append(("done", dict(args), dict(payloads)))

    @Service(expand=True)
    def listen(self, _, to: RoleInstanceID, **conditions: Any):
        self.subscribe(to, "round-completed", self.on_any, conditions=conditions)

    @Service(expand=True)
    def stop_listening(self, _, to: RoleInstanceID):
        self.unsubscribe(to, "round_completed")

    def on_any(self, source: RoleInstanceID, args: Args, payloads: Payloads):
        self.heard.append((source.instance_name, "any", dict(args)))


def test_events(bed, nodes):
    here, there = nodes("here", "there")
    for name in ("first", "second", "third"):
        bed.assign(there, name, Emitter)
    bed.assign(here, "listener", Listener)
    bed.relate(here, "source", [f"{there}/first", f"{there}/second"])
    told: list[Any] = [
        ("first", {"args": {"loss": 0.4, "kind": "test"}}),
        ("first", {"args": {"loss": 0.6, "kind": "test"}}),
        ("first", {"args": {"loss": 0.1, "kind": "train"}}),
        ("first", {"args": {"loss": 0.1}}),
        ("first", {}),
        ("first", {"done": True, "args": {"n": 1}, "payloads": {"big": [1]}}),
        ("first", {"done": True, "args": {"n": 2}}),
        ("second", {"done": True}),
        ("second", {"args": {"loss": 0.2, "kind": "test"}}),
    ]
    for name, what in told:
        bed.call(f"{there}/{name}", "tell", what)
    expected = [("done", {"n": 1}, {"big": [1]}), ("first", 0.4), ("second", 0.2)]

    def heard():
        return sorted(bed.call(f"{here}/listener", "get-heard"), key=repr)

    until(lambda: heard() == expected, "what passes is heard")
    third = RoleInstanceID(there, "third")
    bed.call(f"{here}/listener", "listen", {"to": third, "n__>=": 2})
    for n in (1, 2, 3):
        bed.call(str(third), "tell", {"args": {"n": n}})
    expected += [("third", "any", {"n": 2}), ("third", "any", {"n": 3})]
    until(lambda: heard() == sorted(expected, key=repr), "what was subscribed to by hand is heard")
    bed.call(f"{here}/listener", "stop-listening", {"to": third})
    bed.relate(here, "source", f"{there}/first", remove=True)
    for name in ("third", "first", "second"):
        bed.call(f"{there}/{name}", "tell", {"args": {"n": 9, "loss": 0.0, "kind": "test"}})
    expected += [("second", 0.0)]
    until(
        lambda: heard() == sorted(expected, key=repr), "only what is still subscribed to is heard"
    )
    with pytest.raises((HandlerError, CallerError), match="round-completed"):
        bed.call(f"{here}/listener", "stop-listening", {"to": third})


# elements


class Store(Role):
    buffer = Element(
        ValueMerger,
        default_constructor=ListValueMerger,
        default_construct_strategy=ConstructStrategy.ONCE_EAGER,
    )
    merge_op = Element(Callable, default_impl=lambda a, b, cnt: (a + b) / cnt)
    maybe = Element(list, optional=True)

    @Service(expand=True)
    def push(self, _, data):
        self.buffer().push(data)

    @Service(expand=True)
    def take(self, _):
        data = self.buffer().merge()
        self.buffer.reset()
        return data, self.buffer().merge(), self.merge_op()(1, 2, 3), self.maybe.implemented


def test_elements(bed, nodes):
    (here,) = nodes("here")
    bed.assign(here, "store", Store)
    for data in (1, 2):
        bed.call(f"{here}/store", "push", {"data": data})
    assert bed.call(f"{here}/store", "take") == ([1, 2], [], 1.0, False)
