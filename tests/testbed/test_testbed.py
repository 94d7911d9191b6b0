"""Roles on a testbed: the same tests in one process and on engines."""

import cloudpickle
import numpy as np
import pytest
import torch

from roleml_nb import (
    CallerError,
    CallTimeout,
    Each,
    Element,
    Event,
    EventHandler,
    HandlerError,
    Role,
    RoleMLError,
    Service,
    Task,
    Testbed,
    impl,
)
from roleml_nb.role import TestbedError
from tests.waiting import until


class Point:
    pass


class Voice(Role):
    said = Event()

    @Service(expand=True)
    def say(self, caller, word: str, times: int = 1):
        for number in range(times):
            self.said.emit(args={"number": number}, payloads={"word": word})
        return word

    @Service
    def mutate(self, caller, args, payloads):
        payloads["array"] += 1
        return payloads["array"]

    @Service(expand=True)
    def echo(self, caller, value):
        return value

    @Task(expand=True)
    def fail(self, caller):
        raise ValueError("broken on purpose")

    @Task(expand=True)
    def hang(self, caller, seconds: float):
        import time

        time.sleep(seconds)


class Ear(Role):
    def __init__(self):
        self.heard = []

    @EventHandler("voice", "said", expand=True)
    def on_said(self, source, number, word):
        self.heard.append((str(source), number))

    @Service(expand=True)
    def get_heard(self, caller):
        return list(self.heard)

    @Service(expand=True)
    def ask(self, caller, word):
        return self.call("voice", "say", {"word": word})

    @Service(expand=True)
    def ask_all(self, caller, group, word):
        return self.call_group(group, "say", {"word": word})

    @Task(expand=True)
    def ask_to_fail(self, caller):
        return self.call_task("voice", "fail").result()


class Needy(Role):
    text = Element(str)
    extra = Element(dict, optional=True)

    @Service(expand=True)
    def read(self, caller):
        return self.text(), self.extra.implemented


# as if defined in a notebook's cell: shipped by value, since engines cannot import this file
cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))


def pair(bed, name):
    bed.spawn(f"{name}-a", f"{name}-b")
    bed.assign(f"{name}-a", "voice", Voice)
    bed.assign(f"{name}-b", "ear", Ear)
    bed.relate(f"{name}-b", "voice", f"{name}-a/voice")
    return f"{name}-a/voice", f"{name}-b/ear"


def test_a_service_answers(bed):
    voice, ear = pair(bed, "service")
    assert bed.call(voice, "say", {"word": "hello"}) == "hello"
    assert bed.call(ear, "ask", {"word": "through the relationship"}) == "through the relationship"


def test_events_arrive_in_order(bed):
    voice, ear = pair(bed, "events")
    bed.call(voice, "say", {"word": "x", "times": 50})
    heard = until(
        lambda: (found := bed.call(ear, "get_heard")) and len(found) == 50 and found, "50 events"
    )
    assert heard == [("events-a/voice", number) for number in range(50)]


def test_events_end_with_the_relationship(bed):
    voice, ear = pair(bed, "unrelate")
    bed.relate("unrelate-b", "voice", voice, remove=True)
    bed.call(voice, "say", {"word": "x"})
    assert bed.call(ear, "get_heard") == []


def test_values_not_references(bed):
    voice, _ = pair(bed, "values")
    sent = np.zeros(100_000)
    received = bed.call(voice, "mutate", payloads={"array": sent})
    assert received[0] == 1 and sent[0] == 0
    received += 1
    tensor = bed.call(voice, "echo", payloads={"value": torch.arange(3)})
    tensor.add_(1)
    assert tensor.tolist() == [1, 2, 3]


def test_a_class_of_the_notebook_keeps_its_identity(bed):
    voice, _ = pair(bed, "identity")
    assert type(bed.call(voice, "echo", payloads={"value": Point()})) is Point


def test_group_calls_return_in_the_order_of_the_group(bed):
    _, ear = pair(bed, "group")
    nodes = bed.spawn("group-v{1..5}").assign("voice", Voice)
    group = nodes.role("voice")[::-1]
    assert bed.call(ear, "ask-all", payloads={"group": group, "word": "w"}) == [
        (item, "w") for item in group
    ]


def test_a_pattern_calls_many(bed):
    bed.spawn("many-say-{1..3}").assign("voice", Voice)
    assert bed.call("many-say-*/voice", "say", {"word": "w"}) == {
        f"many-say-{number}": "w" for number in (1, 2, 3)
    }


def test_a_pattern_finds_the_nodes_that_have_the_role(bed):
    bed.spawn("some{1..3}")
    bed.assign(["some1", "some3"], "voice", Voice)
    assert bed.call("some*/voice", "say", {"word": "w"}) == {"some1": "w", "some3": "w"}
    with pytest.raises(RoleMLError, match="node 'some1' has no role 'vioce'; did you mean 'voice'"):
        bed.call("some*/vioce", "say")


def test_a_handlers_error_brings_its_traceback(bed):
    voice, ear = pair(bed, "errors")
    with pytest.raises(
        HandlerError, match="errors-a/voice.fail failed on .*: ValueError: broken on purpose"
    ) as caught:
        bed.call(voice, "fail")
    assert 'raise ValueError("broken on purpose")' in caught.value.remote_traceback
    assert caught.value.where["channel"] == "fail"
    with pytest.raises(
        HandlerError, match="errors-b/ear.ask-to-fail failed .*errors-a/voice.fail failed"
    ) as nested:
        bed.call(ear, "ask-to-fail")
    assert 'raise ValueError("broken on purpose")' in nested.value.remote_traceback


def test_equal_failures_are_told_once(bed):
    bed.spawn("folded{1..3}").assign("voice", Voice)
    with pytest.raises(HandlerError, match=r"same on 3 nodes: folded1, folded2, folded3"):
        bed.call("folded*/voice", "fail")


def test_a_wrong_argument_names_the_right_one(bed):
    voice, _ = pair(bed, "argument")
    with pytest.raises(CallerError, match="service 'say' takes no 'wrod'; did you mean 'word'"):
        bed.call(voice, "say", {"wrod": "x"})


@pytest.mark.parametrize(
    "act, text",
    [
        (
            lambda bed: bed.call("typo-a/vioce", "say"),
            "node 'typo-a' has no role 'vioce'; did you mean 'voice'",
        ),
        (lambda bed: bed.call("tipo-a/voice", "say"), "no node matches 'tipo-a'; did you mean"),
        (lambda bed: bed.call("typo-a/voice", "sya"), "has no channel 'sya'; did you mean 'say'"),
        (
            lambda bed: bed.assign("typo-a", "x", Needy, elements={"txt": "a"}),
            "no element 'txt'; did you mean 'text'",
        ),
        (
            lambda bed: bed.assign("typo-a", "x", Needy),
            "typo-a/x: element 'text' of Needy is not implemented",
        ),
        (
            lambda bed: bed.assign("typo-a", "x", Needy, elements={"text": None}),
            "typo-a/x: element 'text' of Needy is not implemented; give it with elements=",
        ),
        (
            lambda bed: bed.assign("typo-a", "x", Needy, elements={"text": Each([1, 2])}),
            "Each has 2 values for 1 nodes",
        ),
        (lambda bed: bed.spawn("two words"), "is not a node name"),
        (lambda bed: bed.spawn("typo-c", on=77), "no engine 77"),
        (lambda bed: bed.relate("typo-b", "voice", "typo-a/vocie"), "did you mean 'voice'"),
    ],
)
def test_bad_input_is_refused_in_one_line_and_changes_nothing(bed, act, text):
    pair(bed, "typo")
    before = bed.spec()
    with pytest.raises(RoleMLError) as refused:
        act(bed)
    assert text in str(refused.value) and "\n" not in str(refused.value)
    assert bed.spec() == before


def test_an_element_of_the_wrong_type_is_said_at_assign(bed):
    bed.spawn("wrong")
    with pytest.raises(RoleMLError, match="wrong/needy: element 'text' must be str, not int"):
        bed.assign("wrong", "needy", Needy, elements={"text": impl(int, "3")})
    assert bed.spec()["nodes"]["wrong"]["roles"] == {}


def test_elements_are_made_on_the_node_with_values_per_node(bed):
    nodes = bed.spawn("each{1..3}")
    nodes.assign("needy", Needy, elements={"text": impl(str, Each(["a", "b", "c"]))})
    assert bed.call("each*/needy", "read") == {
        "each1": ("a", False),
        "each2": ("b", False),
        "each3": ("c", False),
    }


def test_a_call_that_takes_too_long_says_what_it_waited_for(bed):
    voice, _ = pair(bed, "slow")
    with pytest.raises(CallTimeout, match="slow-a/voice.hang has not answered for 0.1 s"):
        bed.call(voice, "hang", {"seconds": 0.5}, timeout=0.1)
    assert bed.call(voice, "say", {"word": "still usable"}) == "still usable"


def test_doing_it_twice_is_harmless(bed):
    for _ in range(2):
        voice, ear = pair(bed, "twice")
    bed.call(voice, "say", {"word": "x", "times": 3})
    until(lambda: len(bed.call(ear, "get_heard")) == 3, "three events, each once")


def test_the_trace_has_every_message_and_metric(bed):
    voice, _ = pair(bed, "traced")
    for _ in range(7):
        bed.call(voice, "say", {"word": "x"})
    messages = bed.trace.messages.to_pandas()
    mine = messages[(messages.target == voice) & (messages.channel == "say")]
    assert len(mine) == 7 and set(mine.outcome) == {"delivered"} and (mine.bytes > 0).all()
    metrics = bed.trace.metrics.to_pandas()
    assert list(metrics[metrics.node == "traced-a"].step) == list(range(1, 8))


def test_only_managers_steer_a_node(bed):
    class Thief(Role):
        @Service(expand=True)
        def steal(self, caller):
            from roleml_nb import RoleInstanceID

            return self.call(RoleInstanceID("victim", "actor"), "get-roles")

    bed.spawn("victim", "thief")
    bed.assign("thief", "thief", Thief)
    with pytest.raises(
        HandlerError, match="victim/actor.get-roles: thief/thief is not a manager of this node"
    ):
        bed.call("thief/thief", "steal")


def test_nested_waiting_tasks_do_not_starve_the_pool(bed):
    class Chain(Role):
        @Task(expand=True)
        def descend(self, caller, depth):
            return (
                0
                if depth == 0
                else 1 + self.call_task("chain", "descend", {"depth": depth - 1}).result()
            )

    bed.spawn("deep").assign("chain", Chain)
    invocations = [bed.call_task("deep/chain", "descend", {"depth": 20}) for _ in range(6)]
    assert [invocation.result(20) for invocation in invocations] == [20] * 6


def test_an_interrupt_ends_the_wait_at_once_and_the_testbed_stays_usable(bed):
    import os
    import signal
    import threading

    voice, _ = pair(bed, "interrupt")
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        bed.call(voice, "hang", {"seconds": 3})
    assert bed.call(voice, "say", {"word": "still usable"}) == "still usable"


def test_pinned_engines_keep_to_a_core_each():
    import os

    class Where(Role):
        @Service(expand=True)
        def look(self, caller):
            import os

            tasks = [int(name) for name in os.listdir("/proc/self/task")]
            return {(*os.sched_getaffinity(task), os.sched_getscheduler(task)) for task in tasks}

    with Testbed(engines=2, pin=True, preload=()) as bed:
        bed.spawn("a", on=0)
        bed.spawn("b", on=1)
        bed.assign("*", "where", Where)
        found = [bed.call(f"{node}/where", "look") for node in "ab"]
        allowed = sorted(os.sched_getaffinity(0))
        assert found == [{(allowed[number % len(allowed)], os.SCHED_BATCH)} for number in range(2)]
    with pytest.raises(
        TestbedError, match="pin=True is for engines that this testbed starts, on Linux"
    ):
        Testbed(engines=0, pin=True)
