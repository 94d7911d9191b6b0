"""Roles in RoleML's style that call each other: deep imports, both spellings, addresses in
payloads.
"""

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any, Callable, Optional, Union  # noqa: UP035  (RoleML's programs write it so)

import pytest

from roleml_nb import HandlerError
from roleml_nb.compat.core.actor.group.helpers import (
    ErrorHandlingStrategy,
    scatter_arg,
    scatter_args_and_payloads,
    scatter_payloads,
)
from roleml_nb.compat.core.actor.group.makers import Relationship, RoleInstances
from roleml_nb.compat.core.actor.group.util.collections import (
    AsynchronousKeyValueMerger,
    FilteredOut,
    TaskResultCollector,
    TaskResultFilter,
)
from roleml_nb.compat.core.context import RoleInstanceID
from roleml_nb.compat.core.role.base import Role
from roleml_nb.compat.core.role.channels import Service, Task
from roleml_nb.compat.core.role.elements import Element, Factory
from roleml_nb.compat.core.role.exceptions import CallerError as RoleMLCallerError
from roleml_nb.compat.core.role.exceptions import RoleInteractionError
from roleml_nb.compat.core.role.helpers import require_relationship
from roleml_nb.compat.core.role.types import Args, Message, MyArgs, MyPayloads, Payloads
from roleml_nb.compat.extensions.plugins.partner.base import Partner
from roleml_nb.compat.shared.collections.merger import (
    CumulativeAddingValueMerger,
    DictKeyValueMerger,
    KeyValueMerger,
    ListValueMerger,
    ValueMerger,
)

# services


class Registry(Role):
    """Keeps data with the addresses of those who gave it."""

    def __init__(self, limit: int = 3):
        super().__init__()
        self.limit = limit
        self.registry_lock = Lock()
        self.received: list[tuple[RoleInstanceID, Any]] = []

    @Service(expand=True)
    def accept_gossip(
        self,
        source: RoleInstanceID,
        data: Any,
        origin: Optional[RoleInstanceID] = None,  # noqa: UP045
    ):
        with self.registry_lock:
            if len(self.received) >= self.limit:
                raise RoleMLCallerError(f"full: {len(self.received)} of {self.limit}")
            self.received.append((origin or source, data))
            return origin, len(self.received)

    @Service("all-of-it")
    def give(self, caller: RoleInstanceID, args: Args, payloads: Payloads):
        self.require("key" in args, "a key is needed")
        return {
            "by": [RoleInstanceID(*who).actor_name for who, _ in self.received],
            args["key"]: payloads,
        }

    @Service
    @require_relationship("friend", "{sender} is a stranger")
    def secret(self, caller, args, payloads):
        return 42


class Gossip(Role):
    @Task(expand=True)
    def pass_on(self, _, target: RoleInstanceID):
        return [
            self.call("registry", "accept-gossip", payloads={"data": 1}),
            self.call(target, "accept_gossip", {"origin": self.id}, {"data": 2}),
            self.call("registry", "accept-gossip", message=Message(payloads=MyPayloads(data=3))),
            self.call(
                RoleInstanceID(*tuple(target)),
                "all-of-it",
                MyArgs(key="back"),
                MyPayloads(there=[1]),
            ),
        ]

    @Task(expand=True)
    def fail(self, _, channel: str):
        try:
            return self.call(
                "registry", channel, payloads={"data": 0} if channel == "accept-gossip" else None
            )
        except RoleMLCallerError as error:
            return str(error)


def test_services(bed, nodes):
    here, there = nodes("here", "there")
    bed.assign(there, "registry", Registry)
    bed.assign(here, "gossip", Gossip)
    bed.relate(here, "registry", f"{there}/registry")
    me = RoleInstanceID(here, "gossip")
    said = bed.call(
        f"{here}/gossip", "pass-on", payloads={"target": RoleInstanceID(there, "registry")}
    )
    assert said == [(None, 1), (me, 2), (None, 3), {"by": [here] * 3, "back": {"there": [1]}}]
    for channel, text in (
        ("accept-gossip", "full: 3 of 3"),
        ("all_of_it", "a key is needed"),
        ("secret", f"{here}/gossip is a stranger"),
    ):
        assert text in bed.call(f"{here}/gossip", "fail", {"channel": channel})
    bed.relate(there, "friend", f"{here}/gossip")
    assert bed.call(f"{here}/gossip", "fail", {"channel": "secret"}) == 42


class Careful(Role):
    @Task(expand=True)
    def try_all(self, _, here: str):
        caught = []
        for target, channel in (
            (f"{here}/nobody", "ask"),
            ("no-such-node/role", "ask"),
            (f"{here}/careful", "ask"),
            ("nothing", "ask"),
        ):
            for call in (self.call, lambda *to: self.call_task(*to).result()):
                try:
                    call(RoleInstanceID.of(target) if "/" in target else target, channel)
                except RoleInteractionError as error:
                    caught.append((type(error).__name__, isinstance(error, RoleMLCallerError)))
        return caught


def test_whatever_a_call_raises_is_an_interaction_error(bed, nodes):
    (here,) = nodes("here")
    bed.assign(here, "careful", Careful)
    names = (
        ("NoSuchRoleError", True),
        ("ActorNotFoundError", False),
        ("ChannelNotFoundError", False),
        ("CallerError", True),
    )
    assert bed.call(f"{here}/careful", "try-all", {"here": here}) == [
        name for name in names for _ in range(2)
    ]


# tasks


class Worker(Role):
    DEFAULT_FACTOR = 2

    scale_op: Element[Callable[[Any, int], Any]] = Element(
        Callable, default_impl=lambda a, b: a * b
    )

    def __init__(self, value: int, channel: Optional[str] = None):  # noqa: UP045
        super().__init__()
        self.value = value

    @Task(expand=True)
    def train(self, _, num_epochs: int = 1, **options):
        if options.get("fail"):
            raise RuntimeError(f"no. {self.value} is broken")
        return self.scale_op()(self.value, num_epochs)

    @Service(expand=True)
    def get_data_size(self, _, offset: int = 0, data: Iterable[int] = ()):
        if self.value == 13:
            raise RuntimeError("unlucky")
        return self.value + offset + sum(data)


class Lead(Role):
    merger = Factory(Union[ValueMerger, KeyValueMerger], default_constructor=ListValueMerger)  # noqa: UP007
    workers = Partner("worker")

    @Task(expand=True)
    def alone(self, _):
        invocation = self.call_task("worker", "train", args=dict(num_epochs=3))
        ended: list = []
        invocation.add_done_callback(lambda done: ended.append(done.result()))
        failing = self.call_task("worker", "train", args={"fail": True})
        error = failing.exception(20)
        return (
            invocation.result(timeout=20),
            type(error).__name__,
            str(error.args[0]).rpartition(": ")[2],
        )

    @Task(expand=True)
    def collect(self, _, options: Mapping[tuple[str, str], Mapping[str, Any]]):
        group = RoleInstances(options.keys()).targets
        collector = TaskResultCollector(group, merger=self.merger())
        self.call_task_group(
            group,
            "train",
            on_result=collector.push,
            message_map={
                RoleInstanceID(*source): Message(given) for source, given in options.items()
            },
        )
        return sorted(collector.merge()), sorted(collector.failed)

    @Task(expand=True)
    def collect_small(self, _):
        group = Relationship("worker").targets

        class Small(TaskResultFilter):
            def __call__(self, source, task):
                key, value = super().__call__(source, task)
                if value > 2:
                    raise FilteredOut(still_count=True)
                return key.actor_name, value

        collector = AsynchronousKeyValueMerger(
            group, merger=DictKeyValueMerger(), data_filter=Small()
        )
        self.call_task_group(group, "train", on_result=collector.push)
        return collector.result()

    @Task(expand=True)
    def scatter(self, _):
        group = sorted(self.ctx.relationships.get_relationship("worker"))
        sizes = DictKeyValueMerger()
        self.call_group(
            group,
            "get-data-size",
            messages=scatter_arg({"offset": 100 * n} for n in (1, 2, 3)),
            on_result=sizes.push,
        )
        total = CumulativeAddingValueMerger()
        for _target, size in self.call_group(
            group, "get-data-size", messages=scatter_payloads([{"data": [n]} for n in (10, 20, 30)])
        ):
            total.push(size)
        both = self.call_group(
            group,
            "get_data_size",
            messages=scatter_args_and_payloads(
                [{"offset": 1}, {"offset": 2}, {"offset": 3}],
                [{"data": [1]}, {"data": [2]}, {"data": [3]}],
            ),
        )
        one = self.call_group(
            group,
            "get-data-size",
            message=Message({"offset": 1000}),
            message_map={group[1]: Message({"offset": -1})},
        )
        partners = self.workers.service_all("get-data-size", {"offset": 5})
        return (
            [sizes.merge()[key] for key in group],
            total.merge(),
            [size for _, size in both],
            [size for _, size in one],
            sorted(size for _, size in partners),
        )

    @Task(expand=True)
    def with_errors(self, _, strategy: ErrorHandlingStrategy):
        results = self.call_group(Relationship("worker"), "get-data-size", on_error=strategy)
        return sorted(
            str(getattr(value, "args", [value])[0]).rpartition(": ")[2] for _, value in results
        )


@pytest.fixture
def team(bed, nodes):
    names = nodes("lead", "w1", "w2", "w3")
    for number, name in enumerate(names[1:], 1):
        bed.assign(name, "worker", Worker, options={"value": number})
    bed.assign(names[0], "lead", Lead)
    bed.relate(names[0], "worker", [f"{name}/worker" for name in names[1:]])
    return names


def test_tasks(bed, team):
    assert bed.call(f"{team[0]}/lead", "alone") == (3, "HandlerError", "no. 1 is broken")


def test_collectors(bed, team):
    options: dict = {
        (name, "worker"): {"num_epochs": number} for number, name in enumerate(team[1:], 1)
    }
    assert bed.call(f"{team[0]}/lead", "collect", payloads={"options": options}) == ([1, 4, 9], [])
    options[team[2], "worker"] = {"fail": True}
    assert bed.call(f"{team[0]}/lead", "collect", payloads={"options": options}) == (
        [1, 9],
        [(team[2], "worker")],
    )
    assert bed.call(f"{team[0]}/lead", "collect_small") == {team[1]: 1, team[2]: 2}


def test_scattered_messages(bed, team):
    assert bed.call(f"{team[0]}/lead", "scatter") == (
        [101, 202, 303],
        66,
        [3, 6, 9],
        [1001, 1, 1003],
        [6, 7, 8],
    )


def test_errors_in_groups(bed, team):
    bed.assign(team[2], "worker", Worker, options={"value": 13})
    strategy = ErrorHandlingStrategy
    ask = {
        which: {"strategy": getattr(strategy, which)}
        for which in ("IGNORE", "KEEP", "RAISE_FIRST", "RETRY")
    }
    assert bed.call(f"{team[0]}/lead", "with-errors", ask["IGNORE"]) == ["1", "3"]
    assert bed.call(f"{team[0]}/lead", "with-errors", ask["KEEP"]) == ["1", "3", "unlucky"]
    for which in ("RAISE_FIRST", "RETRY"):
        with pytest.raises(HandlerError, match="unlucky"):
            bed.call(f"{team[0]}/lead", "with-errors", ask[which])
