"""What cannot be sent is refused where it would be sent, with the entry's name, and changes
nothing.
"""

import re
import threading

import pytest

from roleml_nb import Element, Event, HandlerError, Role, RoleMLError, Service, Task, impl
from roleml_nb.role import SerializationError, TestbedError
from tests.waiting import until

LOCK = "_thread.lock, which cannot be sent (cannot pickle '_thread.lock' object)"


class Giver(Role):
    done = Event()
    element = Element(object, optional=True)

    def __init__(self, option=None):
        super().__init__()

    @Service(expand=True)
    def give(self, caller, what: str):
        return {"generator": (n for n in (1, 2)), "lock": {"inner": [threading.Lock()]}, "fine": 7}[
            what
        ]

    @Task(expand=True)
    def give_later(self, caller, what: str):
        return self.give(caller, what)

    @Service(expand=True)
    async def give_async(self, caller, what: str):
        return self.give(caller, what)

    @Service
    def take(self, caller, args, payloads):
        return len(args) + len(payloads)

    @Service(expand=True)
    def send(self, caller, how: str):
        lock = threading.Lock()
        ways = {
            "call": lambda: self.call("other", "take", {"x": lock}),
            "payload": lambda: self.call("other", "take", {}, {"x": [lock]}),
            "task": lambda: self.call_task("other", "take_later", {"x": lock}),
            "group": lambda: self.call_group("other", "take", {"x": lock}),
            "tasks": lambda: self.call_task_group("other", "take_later", {"x": lock}),
            "emit": lambda: self.done.emit({"x": lock}),
        }
        try:
            ways[how]()
        except RoleMLError as error:
            return type(error).__name__, str(error)

    @Task
    def take_later(self, caller, args, payloads):
        return 0


class Hearer(Role):
    def __init__(self):
        super().__init__()
        self.heard = 0

    @Service
    def listen(self, caller, args, payloads):
        self.subscribe(args["to"], "done", self._hear)

    def _hear(self, source, args, payloads):
        self.heard += 1


def deploy(bed, name):
    bed.spawn(f"{name}1", f"{name}2")
    bed.assign([f"{name}1", f"{name}2"], "giver", Giver)
    bed.relate(f"{name}1", "other", f"{name}2/giver")
    return f"{name}1/giver"


@pytest.mark.parametrize("channel", ["give", "give_later", "give_async"])
def test_results(bed, channel):
    giver = deploy(bed, "result-" + channel.replace("_", "-"))
    with pytest.raises(
        HandlerError,
        match=re.escape(
            "SerializationError: the result is a generator, which cannot be sent (cannot pickle"
            " 'generator' object); send a list of what it gives"
        ),
    ):
        bed.call(giver, channel, {"what": "generator"})
    with pytest.raises(
        HandlerError, match=re.escape(f"SerializationError: the result['inner'][0] is a {LOCK}")
    ):
        bed.call(giver, channel, {"what": "lock"})
    assert bed.call(giver, channel, {"what": "fine"}) == 7


@pytest.mark.parametrize("how", ["call", "payload", "task", "group", "tasks", "emit"])
def test_arguments(bed, how):
    giver = deploy(bed, f"argument-{how}-")
    bed.assign(f"argument-{how}-2", "hearer", Hearer)
    bed.call(f"argument-{how}-2/hearer", "listen", {"to": giver})
    kind, text = bed.call(giver, "send", {"how": how})
    assert kind == "SerializationError"
    assert text.startswith(
        f"payload 'x'[0] is a {LOCK}" if how == "payload" else f"argument 'x' is a {LOCK}"
    )
    assert bed.call(giver, "give", {"what": "fine"}) == 7


def test_arguments_from_the_notebook(bed):
    giver = deploy(bed, "notebook")
    with pytest.raises(
        SerializationError, match=re.escape("argument 'x' is a generator, which cannot be sent")
    ):
        bed.call(giver, "take", {"x": (n for n in (1, 2))})
    with pytest.raises(SerializationError, match="payload 'x' is a generator"):
        bed.call_task(giver, "take", {}, {"x": (n for n in (1, 2))})
    with pytest.raises(SerializationError, match="argument 'x' is a generator"):
        bed.run(giver, "take", {"x": (n for n in (1, 2))})
    assert bed.call("notebook[12]/giver", "take", {"x": 1}) == {"notebook1": 1, "notebook2": 1}
    until(lambda: not bed.waiting(), "nothing waits")


def test_classes_and_functions(bed):
    """What a cell has defined is sent by value, with all that it holds."""
    names = {"Role": Role, "threading": threading, "__name__": "__main__"}
    exec(
        """
class Guarded(Role):
    gate = threading.Lock()

lock = threading.Lock()

class Using(Role):
    def __init__(self):
        super().__init__()
        self.lock = lock

def build():
    return lock
""",
        names,
    )
    bed.spawn("code1")
    for name, where in (("Guarded", "attribute 'gate'"), ("Using", "global 'lock'")):
        text = f"role {name} (its {where}) is a {LOCK}"
        with pytest.raises(SerializationError, match=re.escape(text)):
            bed.assign("code1", "guarded", names[name])
    text = f"element 'element' (its global 'lock') is a {LOCK}"
    with pytest.raises(SerializationError, match=re.escape(text)):
        bed.assign("code1", "giver", Giver, elements={"element": impl(names["build"])})
    assert bed.spec()["nodes"]["code1"]["roles"] == {}


def test_options_and_elements(bed):
    bed.spawn("given1")
    with pytest.raises(
        TestbedError,
        match=re.escape(
            "assign giver=Giver on given1: option 'option' is a generator, which cannot be sent"
        ),
    ):
        bed.assign("given1", "giver", Giver, options={"option": (n for n in (1, 2))})
    with pytest.raises(
        TestbedError,
        match=re.escape(f"assign giver=Giver on given1: element 'element'.impl['l'] is a {LOCK}"),
    ):
        bed.assign("given1", "giver", Giver, elements={"element": {"l": threading.Lock()}})
    with pytest.raises(
        TestbedError,
        match=re.escape(
            f"assign giver=Giver on given1: element 'element'.arguments[0] is a {LOCK}"
        ),
    ):
        bed.assign("given1", "giver", Giver, elements={"element": impl(list, threading.Lock())})
    assert bed.spec()["nodes"]["given1"]["roles"] == {} and bed.status()
    bed.assign("given1", "giver", Giver, options={"option": 1})
    assert bed.call("given1/giver", "give", {"what": "fine"}) == 7
