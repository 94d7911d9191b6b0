"""Roles that the configurations of these tests speak of."""

import os
import signal
from collections.abc import Callable
from typing import Any

from roleml_nb import Element, Role, Runnable, Service


class Keeper(Role):
    """Says what it was made with."""

    store: Any = Element(dict, default_constructor=dict)
    function: Any = Element(Callable, optional=True, type_check=False)

    def __init__(self, start: int = 0, **options: Any):
        super().__init__()
        self.start, self.options = start, options

    @Service(expand=True)
    def get(self, caller):
        return {"start": self.start, "options": self.options, "store": dict(self.store())}

    @Service(expand=True)
    def context(self, caller):
        return self.ctx.workdir, self.ctx.src, self.ctx.seed

    @Service(expand=True)
    def apply(self, caller, value):
        return self.function()(value)

    @Service(expand=True)
    def members(self, caller, relationship):
        return [str(item) for item in self.ctx.relationships.members(relationship)]


class Needy(Role):
    store: Any = Element(dict)

    def __init__(self, size: int):
        super().__init__()
        self.size = size


class SmallKeeper(Keeper):
    pass


class Plain(Role):
    pass


class Killer(Role):
    def __init__(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Broken(Role):
    def __init__(self):
        raise RuntimeError("broken on purpose")


class Caller(Role, Runnable):
    """Calls the relationship `keeper` as soon as it is ready."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: Any = None

    def run(self) -> None:
        self.heard = self.call("keeper", "get")["start"]

    def stop(self) -> None:
        pass

    @Service(expand=True)
    def get_heard(self, caller):
        return self.heard


def make_store(**entries: Any) -> dict:
    return {"made": True, **entries}


def double(value: int) -> int:
    return 2 * value


class Adder:
    """Makes a callable."""

    def __init__(self, amount: int = 100):
        self.amount = amount

    def __call__(self, value: int = 0) -> int:
        return value + self.amount


def add_initial(store: dict) -> None:
    store["initialized"] = True


settings = {"from": "a module"}
"""Neither a class nor a function."""
