"""Events between nodes: conditions, modes, subscriptions that follow relationships, order, ends."""

import asyncio

import cloudpickle
import numpy as np
import pytest

from roleml_nb import (
    CallerError,
    Event,
    EventHandler,
    HandlerError,
    Role,
    RoleInstanceID,
    RoleMLError,
    Service,
    Task,
    attribute,
)
from roleml_nb.role import NoSuchEventError
from tests.waiting import until

cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))


class Voice(Role):
    said = Event()
    named = Event("my_custom_name")

    @Service(expand=True)
    def say(self, caller, **args):
        self.said.emit(args=args)

    @Service(expand=True)
    def say_nothing(self, caller):
        self.said.emit()
        self.named.emit(payloads={"x": 1})


class Listening(Role):
    def __init__(self, limit=2):
        super().__init__()
        self.limit = limit
        self.heard = []

    @Service(expand=True)
    def get_heard(self, caller):
        return list(self.heard)

    def note(self, source, args, payloads):
        self.heard.append(dict(args))


class All(Listening):
    @EventHandler("voice", "said")
    def on_said(self, source, args, payloads):
        self.note(source, args, payloads)

    @EventHandler("voice", "my-custom-name", expand=True)
    def on_named(self, source, x):
        self.heard.append(x)


class Large(Listening):
    @EventHandler("voice", "said", conditions={"n__ge": attribute("limit"), "word__contains": "a"})
    def on_said(self, source, args, payloads):
        self.note(source, args, payloads)


class Once(Listening):
    @EventHandler("voice", "said", mode="once", conditions={"n__gt": 1})
    def on_said(self, source, args, payloads):
        self.note(source, args, payloads)


class Choosy(Listening):
    @EventHandler("voice", "said", extra_filter=lambda instance: instance.actor_name.endswith("2"))
    def on_said(self, source, args, payloads):
        self.heard.append(source.actor_name)


class Manual(Listening):
    @Service(expand=True)
    def follow(self, caller, target, channel="said", conditions=None, mode="forever"):
        self.subscribe(target, channel, self.note, conditions=conditions, mode=mode)

    @Service(expand=True)
    def leave(self, caller, target):
        self.unsubscribe(target, "said")


class Slow(Listening):
    @EventHandler("voice", "said", expand=True)
    async def on_said(self, source, n, **_):
        self.heard.append(("begin", n))
        await asyncio.sleep(0.01 if n == 0 else 0)
        self.heard.append(("end", n))


def voices(bed, name, listener, count=1, **options):
    bed.spawn(f"{name}-ear")
    nodes = bed.spawn(*(f"{name}-v{number}" for number in range(1, count + 1)))
    nodes.assign("voice", Voice)
    bed.assign(f"{name}-ear", "ear", listener, options=options)
    bed.relate(f"{name}-ear", "voice", nodes.role("voice"))
    return f"{name}-v1/voice", f"{name}-ear/ear"


def heard(bed, ear, count):
    return until(
        lambda: len(found := bed.call(ear, "get_heard")) >= count and found,
        f"{count} events at {ear}",
    )


def test_only_what_meets_all_conditions_is_sent(bed):
    voice, ear = voices(bed, "cond", Large, limit=2)
    for args in (
        {"n": 1, "word": "abc"},
        {"n": 2, "word": "xyz"},
        {"n": 2, "word": "abc"},
        {"word": "abc"},
        {"n": None, "word": "abc"},
        {"n": 9, "word": "a"},
    ):
        bed.call(voice, "say", args)
    bed.call(voice, "say-nothing")  # no args: no condition is met
    assert heard(bed, ear, 2) == [{"n": 2, "word": "abc"}, {"n": 9, "word": "a"}]
    sent = bed.trace.messages.to_pandas().query("kind == 'event' and source == 'cond-v1/voice'")
    assert len(sent) == 2  # filtered where they are emitted


def test_an_event_without_args_reaches_who_has_no_conditions(bed):
    voice, ear = voices(bed, "noargs", All)
    bed.call(voice, "say-nothing")
    assert sorted(map(str, heard(bed, ear, 2))) == ["1", "{}"]


def test_once_is_one_event_that_meets_the_conditions(bed):
    voice, ear = voices(bed, "once", Once)
    for number in range(5):
        bed.call(voice, "say", {"n": number})
    assert heard(bed, ear, 1) == [{"n": 2}]
    assert (
        not bed.trace.messages.to_pandas()
        .query("kind == 'event' and source == 'once-v1/voice'")
        .shape[0]
        > 1
    )


def test_an_extra_filter_chooses_among_the_members(bed):
    _, ear = voices(bed, "choosy", Choosy, count=3)
    bed.call("choosy-v*/voice", "say", {"n": 1})
    assert heard(bed, ear, 1) == ["choosy-v2"]


def test_subscriptions_follow_the_relationship_at_run_time(bed):
    voice, ear = voices(bed, "late", All)
    bed.spawn("late-v9").assign("voice", Voice)
    bed.call("late-v9/voice", "say", {"n": 0})
    bed.relate("late-ear", "voice", "late-v9/voice")
    bed.call("late-v9/voice", "say", {"n": 1})
    assert heard(bed, ear, 1) == [{"n": 1}]
    bed.relate("late-ear", "voice", "late-v9/voice", remove=True)
    bed.call("late-v9/voice", "say", {"n": 2})
    bed.call(voice, "say", {"n": 3})
    assert heard(bed, ear, 2) == [{"n": 1}, {"n": 3}]


@pytest.mark.parametrize("listener_first", [True, False])
def test_without_members_the_role_of_that_name_on_the_node_is_heard(bed, listener_first):
    node = f"local{int(listener_first)}"
    bed.spawn(node)
    for name, role in [("ear", All), ("voice", Voice)][:: 1 if listener_first else -1]:
        bed.assign(node, name, role)
    bed.call(f"{node}/voice", "say", {"n": 1})
    assert heard(bed, f"{node}/ear", 1) == [{"n": 1}]


def test_manual_subscriptions(bed):
    bed.spawn("manual-a", "manual-b")
    bed.assign("manual-a", "voice", Voice)
    bed.assign("manual-b", "ear", Manual)
    target = RoleInstanceID("manual-a", "voice")
    bed.call("manual-b/ear", "follow", {"target": target, "conditions": {"n__lt": 2}})
    for number in range(4):
        bed.call("manual-a/voice", "say", {"n": number})
    assert heard(bed, "manual-b/ear", 2) == [{"n": 0}, {"n": 1}]
    bed.call("manual-b/ear", "leave", {"target": target})
    bed.call("manual-a/voice", "say", {"n": 0})
    with pytest.raises(CallerError, match="manual-b/ear is not subscribed to manual-a/voice.said"):
        bed.call("manual-b/ear", "leave", {"target": target})
    assert bed.call("manual-b/ear", "get-heard") == [{"n": 0}, {"n": 1}]


@pytest.mark.parametrize(
    "args, error, text",
    [
        ({"channel": "siad"}, NoSuchEventError, "emits no 'siad'; did you mean 'said'"),
        ({"conditions": {"n__ne": 2}}, HandlerError, "condition 'n__ne': did you mean"),
        ({"mode": "twice"}, HandlerError, "mode must be 'once' or 'forever', not 'twice'"),
    ],
)
def test_a_wrong_subscription_is_refused(bed, args, error, text):
    bed.spawn("wrong-a", "wrong-b")
    bed.assign("wrong-a", "voice", Voice)
    bed.assign("wrong-b", "ear", Manual)
    with pytest.raises(RoleMLError) as refused:
        bed.call("wrong-b/ear", "follow", {"target": RoleInstanceID("wrong-a", "voice"), **args})
    assert text in str(refused.value)


def test_filters_are_kept_by_value(bed):
    """Two subscribers with conditions that come and go in memory get what is theirs."""
    bed.spawn("value-a").assign("voice", Voice)
    ears = bed.spawn("value-e{1..6}").assign("ear", Manual)
    for number, node in enumerate(ears):
        bed.call(
            f"{node}/ear",
            "follow",
            {"target": RoleInstanceID("value-a", "voice"), "conditions": {"n": number}},
        )
    for number in range(6):
        bed.call("value-a/voice", "say", {"n": number})
    for number, node in enumerate(ears):
        assert heard(bed, f"{node}/ear", 1) == [{"n": number}]


def test_async_event_handlers_run_one_at_a_time_too(bed):
    voice, ear = voices(bed, "async", Slow)
    for number in range(3):
        bed.call(voice, "say", {"n": number})
    assert heard(bed, ear, 6) == [
        (what, number) for number in range(3) for what in ("begin", "end")
    ]


def test_events_wait_while_the_listener_is_paused(bed):
    voice, ear = voices(bed, "pause", All)
    native = RoleInstanceID("pause-ear", "actor")
    bed.call(native, "change-role-status", {"name": "ear", "status": "paused"})
    for number in range(3):
        bed.call(voice, "say", {"n": number})
    bed.call(native, "change-role-status", {"name": "ear", "status": "ready"})
    assert heard(bed, ear, 3) == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_role_that_takes_the_place_of_another_keeps_those_who_follow_the_relationship(bed):
    voice, ear = voices(bed, "heir", All)
    bed.assign("heir-v1", "voice", Voice)
    bed.call(voice, "say", {"n": 1})
    assert heard(bed, ear, 1) == [{"n": 1}]


def test_a_manual_subscription_ends_with_the_emitter(bed):
    bed.spawn("ends-a", "ends-b")
    bed.assign("ends-a", "voice", Voice)
    bed.assign("ends-b", "ear", Manual)
    target = RoleInstanceID("ends-a", "voice")
    bed.call("ends-b/ear", "follow", {"target": target})
    bed.call(RoleInstanceID("ends-a", "actor"), "terminate-role", {"name": "voice"})

    def ended():
        try:
            bed.call("ends-b/ear", "leave", {"target": target})
        except CallerError as error:
            return "is not subscribed" in str(error)

    until(ended, "the subscription has ended")


def test_an_error_in_an_event_handler_reaches_the_notebook(bed):
    class Clumsy(Role):
        @EventHandler("voice", "said", expand=True)
        def on_said(self, source, n):
            raise ValueError(f"cannot bear {n}")

    voice, _ = voices(bed, "clumsy", Clumsy)
    bed.call(voice, "say", {"n": 7})
    error = until(
        lambda: [item for item in bed.errors if "cannot bear 7" in str(item)], "the error is told"
    )[0]
    assert "clumsy-ear/ear.on clumsy-v1/voice.said failed on" in str(error)
    assert 'raise ValueError(f"cannot bear {n}")' in error.remote_traceback


class Several(Listening):
    """Handlers of one event, named against the order of their definition."""

    @EventHandler("voice", "said", expand=True)
    def z_first(self, source, n, data=None):
        if data is not None:
            data[:] = 0  # its own copy
        self.heard.append(("first", n))

    @EventHandler("voice", "said", expand=True, conditions={"n__ge": attribute("limit")})
    async def m_second(self, source, n, data=None):
        await asyncio.sleep(0.01)
        self.heard.append(("second", n))

    @EventHandler("friend", "said", expand=True, mode="once", conditions={"n__gt": 0})
    def a_third(self, source, n, data=None):
        self.heard.append(("third", n if data is None else int(data.sum())))

    @Service(expand=True)
    def follow(self, caller, target):
        self.subscribe(
            target, "said", lambda source, args, payloads: self.heard.append(("by hand", args["n"]))
        )

    @Service(expand=True)
    def leave(self, caller, target):
        self.unsubscribe(target, "said")


class SeveralMore(Several):
    @EventHandler("friend", "said", expand=True)
    def also(self, source, n, data=None):
        self.heard.append(("also", n))


def test_an_event_is_handled_by_all_its_handlers_in_the_order_of_their_definition(bed):
    voice, ear = voices(bed, "several", SeveralMore)
    for number in range(3):
        bed.call(voice, "say", {"n": number})
    assert heard(bed, ear, 4) == [("first", 0), ("first", 1), ("first", 2), ("second", 2)]
    bed.relate("several-ear", "friend", voice)  # the same emitter in another relationship
    for _ in range(2):
        bed.call(ear, "follow", {"target": voice})
    for data in (np.ones(3), np.ones(100_000)):
        bed.call(voice, "say", {"n": 2, "data": data})
    assert heard(bed, ear, 15)[4:] == [
        ("first", 2),
        ("second", 2),
        ("third", 3),
        ("also", 2),
        ("by hand", 2),
        ("by hand", 2),
        ("first", 2),
        ("second", 2),
        ("also", 2),
        ("by hand", 2),
        ("by hand", 2),
    ]


def test_each_of_several_handlers_ends_by_itself(bed):
    voice, ear = voices(bed, "apart", SeveralMore)
    bed.relate("apart-ear", "friend", voice)
    bed.relate("apart-ear", "voice", voice, remove=True)
    bed.call(voice, "say", {"n": 5})
    assert heard(bed, ear, 2) == [("third", 5), ("also", 5)]
    bed.relate("apart-ear", "voice", voice)
    bed.relate("apart-ear", "friend", voice, remove=True)
    bed.call(voice, "say", {"n": 1})
    bed.call(voice, "say", {"n": 6})
    assert heard(bed, ear, 5)[2:] == [("first", 1), ("first", 6), ("second", 6)]
    bed.call(ear, "leave", {"target": voice})
    bed.call(voice, "say", {"n": 7})
    sent = bed.trace.messages.to_pandas().query("kind == 'event' and source == 'apart-v1/voice'")
    assert len(sent) == 3  # each once, for whoever wants it


def test_several_handlers_move_and_change_with_their_role(bed):
    voice, ear = voices(bed, "moving", Several)
    bed.spawn("moving-to")
    bed.relate("moving-ear", "friend", voice)
    native = RoleInstanceID("moving-ear", "actor")
    bed.call(native, "change-role-status", {"name": "ear", "status": "paused"})
    for number in range(4):
        bed.call(voice, "say", {"n": number})
    bed.migrate(ear, "moving-to")
    ear = "moving-to/ear"
    bed.call(
        RoleInstanceID("moving-to", "actor"),
        "change-role-status",
        {"name": "ear", "status": "ready"},
    )
    expected = [
        ("first", 0),
        ("first", 1),
        ("third", 1),
        ("first", 2),
        ("second", 2),
        ("first", 3),
        ("second", 3),
    ]
    assert heard(bed, ear, 7) == expected
    bed.call(voice, "say", {"n": 4})
    assert heard(bed, ear, 9)[7:] == [("first", 4), ("second", 4)]

    class Changed(Listening):
        @EventHandler("voice", "said", expand=True)
        def before(self, source, n, data=None):
            self.heard.append(("before", n))

        @EventHandler("voice", "said", expand=True)
        def z_first(self, source, n, data=None):
            self.heard.append(("changed", n))

    Changed.__name__ = Changed.__qualname__ = "Several"
    bed.update(Changed)
    bed.call(voice, "say", {"n": 5})
    assert heard(bed, ear, 11)[9:] == [("before", 5), ("changed", 5)]


def test_listening_to_what_is_not_emitted_is_refused(bed):
    class Deaf(Role):
        @EventHandler("voice", "siad")
        def on_siad(self, source, args, payloads): ...

    class Mute(Role):
        @Task(expand=True)
        def wait(self, caller): ...

    bed.spawn("mute-a", "mute-b")
    bed.assign("mute-b", "ear", Deaf)
    bed.assign("mute-a", "voice", Mute)
    with pytest.raises(RoleMLError, match="mute-a/voice emits no 'siad'; there are none"):
        bed.relate("mute-b", "voice", "mute-a/voice")
