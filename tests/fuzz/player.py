"""A role of general purpose that does what a drawn program says."""

import threading
from typing import Any

from roleml_nb import (
    CallerError,
    Event,
    EventHandler,
    HandlerError,
    NodeLost,
    Role,
    RoleInstanceID,
    Service,
    Task,
)
from tests.fuzz.values import build, change, fingerprint

__all__ = ["CHANGED", "ERRORS", "Player"]

CHANGED = "what the receiver changed is the sender's"


class Oops(Exception):
    """An error of the program's own."""


class TwoNeeded(Exception):
    """Cannot be read from a pickle: its arguments are others than those of `Exception`."""

    def __init__(self, first: str, second: str):
        super().__init__(f"{first} and {second}")


class Mute(Exception):
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def _chained() -> None:
    try:
        raise Oops("first")
    except Oops as error:
        raise ValueError("second") from error


def _raise(make: Any) -> None:
    raise make()


ERRORS = {
    "own": lambda: _raise(lambda: Oops("own", 1)),
    "key": lambda: _raise(lambda: KeyError("key")),
    "lock": lambda: _raise(lambda: Oops("lock", threading.Lock())),
    "two": lambda: _raise(lambda: TwoNeeded("1", "2")),
    "mute": lambda: _raise(Mute),
    "chained": _chained,
    "exit": lambda: _raise(lambda: SystemExit(3)),
    "interrupt": lambda: _raise(KeyboardInterrupt),
    "stop": lambda: _raise(lambda: StopIteration(1)),
    "group": lambda: _raise(lambda: ExceptionGroup("both", [Oops("a"), KeyError("b")])),
    "caller": lambda: _raise(lambda: CallerError("refused")),
    "handler": lambda: _raise(lambda: HandlerError("mine")),
    "lost": lambda: _raise(lambda: NodeLost("gone")),
    "surrogate": lambda: _raise(lambda: ValueError("\ud800")),
    "empty": lambda: _raise(ValueError),
    "lines": lambda: _raise(lambda: ValueError("one\ntwo")),
    "zero": lambda: 1 / 0,
    "timeout": lambda: _raise(lambda: TimeoutError("slow")),
    "type": lambda: _raise(lambda: TypeError("type")),
    "recursion": lambda: _recurse(),
    "generator exit": lambda: _raise(GeneratorExit),
    "no such file": lambda: open("/nowhere/at all"),
    "local": lambda: _raise(type("Local", (Exception,), {})),
    "unicode": lambda: b"\xff".decode(),
}


def _recurse() -> Any:
    return _recurse()


class Player(Role):
    spoke = Event()

    def __init__(self, tag: Any = None):
        super().__init__()
        self.tag, self.kept, self.heard = tag, {}, []

    @Service(expand=True)
    def echo(self, caller, value):
        return value

    @Service
    def entries(self, caller, args, payloads):
        return str(caller.actor_name), fingerprint(args), fingerprint(payloads)

    @Service(expand=True)
    def inspect(self, caller, value, other=None):
        return fingerprint(value), fingerprint(other)

    @Service(expand=True)
    def spoil(self, caller, value):
        refused = change(value)
        return refused, fingerprint(value)

    @Service(expand=True)
    def keep(self, caller, key, value):
        self.kept[key] = value
        return value

    @Service(expand=True)
    def kept_value(self, caller, key):
        return self.kept[key]

    @Service(expand=True)
    def spoil_kept(self, caller, key):
        return change(self.kept[key])

    @Service(expand=True)
    def make(self, caller, recipe):
        return build(recipe)

    @Service(expand=True)
    def fail(self, caller, how):
        ERRORS[how]()

    @Task(expand=True)
    def fail_later(self, caller, how):
        ERRORS[how]()

    @Service(expand=True)
    def describe(self, caller):
        return fingerprint(self.tag), [
            (key, fingerprint(value)) for key, value in self.kept.items()
        ]

    @Service(expand=True)
    def send(self, caller, recipe, target):
        """Build a value here, send it, and compare what was sent before and after."""
        value = build(recipe)
        before = fingerprint(value)
        result = self.call(_target(target), "spoil", value=value)
        assert before == fingerprint(value), CHANGED
        return result

    @Service(expand=True)
    def via(self, caller, path, how, channel, args):
        """Call the first of the path, which calls the next, and the last of them the channel."""
        target, inner = _target(path[0]), (channel, args)
        if len(path) > 1:
            inner = "via", {"path": path[1:], "how": how, "channel": channel, "args": args}
        return self._ask(target, how, *inner)

    def _ask(self, target, how, channel, args):
        if how == "task":
            return self.call_task(target, channel, args).result()
        if how == "group":
            group = target if isinstance(target, str) else [target]
            return [(str(role), result) for role, result in self.call_group(group, channel, args)]
        if how == "payloads":
            return self.call(target, channel, payloads=args)
        return self.call(target, channel, args)

    @Service(expand=True)
    async def via_async(self, caller, path, channel, args):
        return await self.call_async(_target(path[0]), channel, args)

    @Service(expand=True)
    def caught(self, caller, path, channel, args):
        """Call, and tell the error as a role sees it."""
        try:
            return self.call(_target(path[0]), channel, args)
        except Exception as error:
            return (
                type(error).__name__,
                str(error),
                error.where.get("error", "") if isinstance(error, HandlerError) else "",
            )

    @Task(expand=True)
    def work(self, caller, value, recipe=None):
        return [value, build(recipe)] if recipe else value

    @Service(expand=True)
    def speak(self, caller, recipes):
        for recipe in recipes:
            self.spoke.emit({"value": build(recipe)})
        return len(recipes)

    @EventHandler("source", "spoke", expand=True)
    def hear(self, caller, value):
        self.heard.append((str(caller), fingerprint(value)))
        if value == "fail":
            raise Oops("heard")

    @Service(expand=True)
    def heard_by_source(self, caller):
        found: dict[str, list] = {}
        for source, value in self.heard:
            found.setdefault(source, []).append(value)
        return sorted(found.items())


def _target(text: str) -> Any:
    return RoleInstanceID(*text.split("/")) if "/" in text else text
