"""Services and tasks between nodes: arguments, names, inheritance, groups, async handlers."""

import asyncio
import threading

import cloudpickle
import numpy as np
import pytest

from roleml_nb import (
    CallerError,
    HandlerError,
    Message,
    Role,
    RoleInstanceID,
    RoleMLError,
    Service,
    Task,
)
from roleml_nb.role import (
    ErrorHandlingStrategy,
    NoSuchRoleError,
    PluginAttribute,
    RoleDefinitionError,
    RoleInstances,
    scatter_arg,
    scatter_args_and_payloads,
    scatter_payloads,
)
from tests.waiting import until

cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))


class Base(Role):
    @Service
    def plain(self, caller, args, payloads):
        return str(caller), dict(args), dict(payloads)

    @Service()
    def with_parentheses(self, caller, args, payloads):
        return len(args)

    @Service("custom_name", expand=True)
    def renamed(self, caller, x, y=2):
        return x, y

    @Task(expand=True)
    def work(self, caller, x=0):
        return x * 2

    @Service(expand=True)
    def check(self, caller, x):
        self.require(x > 0, f"x must be positive, not {x}")
        return 1 / (x - 1)


class Heir(Base):
    def renamed(self, caller, x, y=3, z=4):  # handles the same channel, though undecorated
        return x, y, z

    with_parentheses = None

    @Task(expand=True)
    def extra(self, caller):
        return super().work(caller, 21)


class Caller(Role):
    @Service(expand=True)
    def relay(self, caller, channel, **given):
        return self.call("other", channel, **given)

    @Task(expand=True)
    def relay_task(self, caller, target, channel, args):
        return self.call_task(RoleInstanceID(*target), channel, args).result()

    @Service(expand=True)
    def relay_sugar(self, caller):
        return (
            self.call("other", "custom-name", x=5),
            self.call("other", "custom_name", {"x": 6}, y=7),
            self.call_task("other", "work", x=4).result(),
            self.call("other", "custom-name", message=Message({"x": 8})),
        )

    @Service(expand=True)
    def both(self, caller):
        return self.call("other", "plain", {"a": 1}, message=Message({"b": 2}))

    @Service(expand=True)
    def group(self, caller, group, channel, how, **options):
        options["on_error"] = ErrorHandlingStrategy[options.get("on_error", "RAISE_FIRST")]
        arrived = []
        given = {
            "map": {"message_map": {group[0]: Message({"x": 100})}, "args": {"x": 1}},
            "arg": {"messages": scatter_arg([{"x": n} for n in range(len(group))])},
            "payload": {
                "messages": scatter_payloads([{"x": n} for n in range(len(group))], args={"y": 9})
            },
            "both": {
                "messages": scatter_args_and_payloads(
                    [{"x": n} for n in range(len(group))], [{"y": -n} for n in range(len(group))]
                )
            },
            "all": {"args": {"x": 3}},
            "two": {"args": {"x": 2}},
        }[how]
        results = self.call_group(
            RoleInstances(group) if how == "two" else group,
            channel,
            **given,
            **options,
            on_result=lambda source, result: arrived.append(source),
        )
        return [
            (str(source), result if not isinstance(result, Exception) else type(result).__name__)
            for source, result in results
        ], len(arrived)

    @Service(expand=True)
    def of_relationship(self, caller):
        return [str(source) for source, _ in self.call_group("other", "work-service", {})]


def pair(bed, name, role=Base):
    bed.spawn(f"{name}-a", f"{name}-b")
    bed.assign(f"{name}-a", "base", role)
    bed.assign(f"{name}-b", "caller", Caller)
    bed.relate(f"{name}-b", "other", f"{name}-a/base")
    return f"{name}-a/base", f"{name}-b/caller"


def test_both_ways_to_take_a_message(bed):
    base, caller = pair(bed, "ways")
    assert bed.call(
        caller, "relay", {"channel": "plain", "args": {"a": 1}, "payloads": {"b": 2}}
    ) == ("ways-b/caller", {"a": 1}, {"b": 2})
    assert bed.call(base, "with_parentheses", {"a": 1, "b": 2}) == 2
    assert bed.call(base, "with-parentheses") == 0
    assert bed.call(base, "custom-name", {"x": 1}, {"y": 5}) == (1, 5)


def test_keywords_are_arguments(bed):
    _, caller = pair(bed, "sugar")
    assert bed.call(caller, "relay-sugar") == ((5, 2), (6, 7), 8, (8, 2))
    with pytest.raises(
        HandlerError, match="give either message= or args, payloads and keywords, not both"
    ):
        bed.call(caller, "both")


def test_channels_are_inherited_overridden_and_taken_away(bed):
    base, caller = pair(bed, "heir", Heir)
    assert bed.call(base, "custom-name", {"x": 1}) == (1, 3, 4)
    assert bed.call(base, "extra") == 42 and bed.call(base, "work", {"x": 2}) == 4
    with pytest.raises(
        HandlerError, match="ChannelNotFoundError: .*Heir has no service 'with-parentheses'"
    ):
        bed.call(caller, "relay", {"channel": "with-parentheses"})


def test_who_is_at_fault_is_told_apart(bed):
    base, caller = pair(bed, "fault")
    with pytest.raises(CallerError, match="fault-a/base.check: x must be positive, not 0"):
        bed.call(base, "check", {"x": 0})
    with pytest.raises(HandlerError, match="fault-a/base.check failed on .*: ZeroDivisionError"):
        bed.call(base, "check", {"x": 1})
    with pytest.raises(
        HandlerError, match="ChannelNotFoundError: .*no service 'work'; it is a task: use call_task"
    ):
        bed.call(caller, "relay", {"channel": "work"})
    with pytest.raises(
        HandlerError,
        match="fault-b/caller.relay-task failed .*NoSuchRoleError: .*'bse'; did you mean 'base'",
    ):
        bed.call(
            caller, "relay-task", {"target": ("fault-a", "bse"), "channel": "work", "args": {}}
        )


def test_each_of_a_group_gets_its_message(bed):
    group = bed.spawn("scatter-{1..3}").assign("base", Base).role("base")
    bed.spawn("scatter-b").assign("caller", Caller)

    def ask(how, channel="custom-name", **options):
        results, arrived = bed.call(
            "scatter-b/caller", "group", {"group": group, "channel": channel, "how": how, **options}
        )
        assert arrived == len(results)
        return [result for _, result in results]

    assert ask("map") == [(100, 2), (1, 2), (1, 2)]
    assert ask("arg") == [(0, 2), (1, 2), (2, 2)]
    assert ask("payload") == [(0, 9), (1, 9), (2, 9)]
    assert ask("both") == [(0, 0), (1, -1), (2, -2)]
    assert ask("all") == [(3, 2)] * 3
    assert ask("two") == [(2, 2)] * 3


class Fragile(Role):
    def __init__(self, failures=0):
        super().__init__()
        self.failures, self.calls = failures, 0
        self.lock = threading.Lock()

    @Service(expand=True)
    def attempt(self, caller, x):
        with self.lock:
            self.calls += 1
            self.require(x < 100, "x must be under 100")
            if self.calls <= self.failures:
                raise OSError("not yet")
            return self.calls

    @Service(expand=True)
    def get_calls(self, caller):
        return self.calls


def test_errors_of_a_group_are_handled_as_asked(bed):
    name = "errors" + str(bed.engines)
    nodes = bed.spawn(f"{name}-{{1..3}}")
    for node, failures in zip(nodes, (0, 2, 9), strict=True):
        bed.assign(node, "fragile", Fragile, options={"failures": failures})
    group = nodes.role("fragile")
    bed.spawn(f"{name}-b").assign("caller", Caller)

    def ask(**options):
        return bed.call(
            f"{name}-b/caller",
            "group",
            {"group": group, "channel": "attempt", "how": "all", **options},
        )

    with pytest.raises(HandlerError, match="OSError: not yet"):
        ask()
    until(
        lambda: [bed.call(role, "get-calls") for role in group] == [1, 1, 1],
        "the others are called, too",
    )
    assert ask(on_error="IGNORE") == ([(str(group[0]), 2)], 1)
    assert ask(on_error="KEEP")[0] == [
        (str(group[0]), 3),
        (str(group[1]), 3),
        (str(group[2]), "HandlerError"),
    ]
    with pytest.raises(HandlerError, match="OSError: not yet"):
        ask(on_error="RETRY", retries=1)  # the third has failed five times by now
    results = ask(on_error="RETRY", retries=4)[0]  # and succeeds at the tenth
    assert [value for _, value in results] == [5, 5, 10]
    with pytest.raises(HandlerError, match="CallerError: .*x must be under 100"):
        bed.call(
            f"{name}-b/caller",
            "group",
            {"group": group, "channel": "attempt", "how": "map", "on_error": "RETRY"},
        )
    # a caller's own fault is not tried again
    assert bed.call(str(group[0]), "attempt", {"x": 1}) == 7


def test_a_group_may_be_the_name_of_a_relationship(bed):
    class Member(Role):
        @Service(expand=True)
        def work_service(self, caller):
            return 1

    members = bed.spawn("rel-{1..3}").assign("member", Member)
    bed.spawn("rel-b").assign("caller", Caller)
    bed.relate("rel-b", "other", members.role("member"))
    assert sorted(bed.call("rel-b/caller", "of-relationship")) == [
        "rel-1/member",
        "rel-2/member",
        "rel-3/member",
    ]


class Waiter(Role):
    """Async handlers; `arrive` gathers as many as there are to be, all at the same time in one
    event loop.
    """

    def __init__(self, parties=1):
        super().__init__()
        self.parties, self.here, self.threads = parties, 0, set()
        self.all_here = None

    @Task(expand=True)
    async def arrive(self, caller):
        self.threads.add(threading.get_ident())
        self.all_here = self.all_here or asyncio.Event()
        self.here += 1
        if self.here == self.parties:
            self.all_here.set()
        await self.all_here.wait()
        return self.here

    @Service(expand=True)
    async def ask(self, caller, x):
        first = await self.call_async("base", "custom-name", x=x)
        second = await self.call_task("base", "work", x=x)
        return first, second, Role.id.fget(self).actor_name

    @Service(expand=True)
    async def fail(self, caller):
        await asyncio.sleep(0)
        raise KeyError("async")

    @Service(expand=True)
    async def ask_to_fail(self, caller):
        await self.call_async("base", "check", x=0)

    @Service(expand=True)
    async def ask_slowly(self, caller):
        await self.call_async("waiter", "sleep", timeout=0.05)

    @Service(expand=True)
    async def sleep(self, caller):
        await asyncio.sleep(0.3)

    @Service(expand=True)
    def count_threads(self, caller):
        return len(self.threads)


def test_async_handlers_share_one_thread(bed):
    bed.spawn("arrive").assign("waiter", Waiter, options={"parties": 300})
    calls = [bed.call_task("arrive/waiter", "arrive") for _ in range(300)]
    assert [call.result(30) for call in calls] == [300] * 300
    assert bed.call("arrive/waiter", "count-threads") == 1


def test_async_handlers_call_and_fail_as_others_do(bed):
    bed.spawn("async")
    bed.assign("async", "base", Base)
    bed.assign("async", "waiter", Waiter)
    assert bed.call("async/waiter", "ask", {"x": 4}) == ((4, 2), 8, "async")
    with pytest.raises(
        HandlerError, match="async/waiter.fail failed on .*: KeyError: 'async'"
    ) as caught:
        bed.call("async/waiter", "fail")
    assert 'raise KeyError("async")' in caught.value.remote_traceback
    with pytest.raises(
        HandlerError, match="async/waiter.ask-to-fail failed .*x must be positive, not 0"
    ):
        bed.call("async/waiter", "ask-to-fail")
    with pytest.raises(
        HandlerError, match="CallTimeout: async/waiter.sleep has not answered for 0.1 s"
    ):
        bed.call("async/waiter", "ask-slowly")


def test_a_result_that_cannot_be_sent_is_an_error_of_the_handler(bed):
    class Generous(Role):
        @Service(expand=True)
        def give(self, caller):
            return threading.Lock()

    bed.spawn("generous").assign("role", Generous)
    with pytest.raises(
        HandlerError, match="generous/role.give failed on .*cannot pickle '_thread.lock' object"
    ):
        bed.call("generous/role", "give")


def test_role_ids_travel_in_payloads_and_come_out_as_such(bed):
    class Echo(Role):
        @Service("accept_gossip", expand=True)
        def accept(self, caller, update, who):
            return [type(item).__name__ for item in who], update.sum()

    bed.spawn("echo").assign("role", Echo)
    who = [RoleInstanceID("a", "b"), RoleInstanceID.of("c/d")]
    assert bed.call("echo/role", "accept-gossip", payloads={"update": np.ones(3), "who": who}) == (
        ["RoleInstanceID", "RoleInstanceID"],
        3.0,
    )


@pytest.mark.parametrize(
    "body, text",
    [
        (
            "@Service\n    def f(self, caller): ...",
            r"service Bad.f must take \(self, caller, args, payloads\)",
        ),
        ("@Task(expand=True)\n    def f(self): ...", r"task Bad.f must take \(self, caller, …\)"),
        (
            (
                "@Service('x', expand=True)\n    def f(self, caller): ...\n    @Service('x',"
                " expand=True)\n    def g(self, caller): ..."
            ),
            "'x' is declared by f and g",
        ),
    ],
)
def test_a_badly_formed_role_is_refused_where_it_is_defined(body, text):
    with pytest.raises(RoleDefinitionError, match=text):
        exec(
            f"class Bad(Role):\n    {body}",
            {"Role": Role, "Service": Service, "Task": Task, "__name__": "x"},
        )


def test_plugin_attributes_are_listed_under_their_plugin():
    class Partner(PluginAttribute):
        pass

    class One(Role):
        left = Partner()

    class Two(One):
        right = Partner()

    assert Partner.PLUGIN_NAME == "Partner"
    assert One.plugin_attributes == {"Partner": ["left"]} and Two.plugin_attributes == {
        "Partner": ["left", "right"]
    }


def test_a_role_that_is_on_no_node_says_so():
    with pytest.raises(RoleMLError, match="this Base is on no node yet"):
        Base().call("x", "y")
    assert issubclass(NoSuchRoleError, RoleMLError)
