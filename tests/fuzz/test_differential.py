"""A program of roles gives the same results and errors in one process, over direct links and over
the relay.
"""

import itertools
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from roleml_nb import RoleMLError, Testbed
from tests.fuzz.effort import effort, within
from tests.fuzz.player import CHANGED, ERRORS, Player
from tests.fuzz.values import RECIPES, SENDABLE, build, fingerprint

WAYS = {
    "one process": {"engines": 0},
    "direct": {"engines": 2},
    "relay": {"engines": 2, "links": ("relay",)},
}
SETTLE_S = 20.0
NUMBERS = itertools.count()
Step = tuple


@pytest.fixture(scope="module")
def beds() -> Iterator[dict[str, Testbed]]:
    made: dict[str, Testbed] = {}
    try:
        for way, how in WAYS.items():
            made[way] = Testbed(**how, timeout=60.0, preload=())
        yield made
    finally:
        for bed in made.values():
            bed.stop()


@st.composite
def programs(draw: Any) -> tuple[int, list[Step]]:
    """Draw a number of nodes, each with the roles p and q, and steps."""
    size = draw(st.integers(2, 4))
    node = st.integers(0, size - 1).map("N{}".format)
    role = st.tuples(node, st.sampled_from("pq")).map("/".join)
    nobody = st.sampled_from(["N0/none", "nowhere/p", "none", "next", "p", "N0/actor"])
    target = st.one_of(role, role, role, role, st.just("next"), nobody)
    path = st.lists(target, min_size=1, max_size=3)
    how = st.sampled_from(["call", "task", "group", "payloads"])
    error = st.sampled_from(sorted(ERRORS))
    recipe = st.tuples(st.just("recipe"), RECIPES)
    value = SENDABLE | RECIPES
    inner = st.one_of(
        st.tuples(
            st.sampled_from(["echo", "spoil", "inspect", "work"]),
            st.fixed_dictionaries({"value": value}),
        ),
        st.tuples(st.just("make"), st.fixed_dictionaries({"recipe": recipe})),
        st.tuples(st.just("work"), st.fixed_dictionaries({"value": value, "recipe": recipe})),
        st.tuples(
            st.just("send"),
            st.fixed_dictionaries({"recipe": recipe, "target": st.tuples(st.just("name"), target)}),
        ),
        st.tuples(
            st.just("keep"), st.fixed_dictionaries({"key": st.just(("plain", 1)), "value": value})
        ),
        st.tuples(st.sampled_from(["kept-value", "spoil_kept"]), st.just({"key": ("plain", 1)})),
        st.tuples(
            st.sampled_from(["fail", "fail-later"]),
            st.fixed_dictionaries({"how": error.map(lambda e: ("plain", e))}),
        ),
        st.tuples(
            st.sampled_from(["entries", "echo", "nothing", "describe", "inspect"]),
            st.dictionaries(
                st.sampled_from(["value", "valeu", "other", "caller", "self"]), value, max_size=2
            ),
        ),
    )
    begun = st.sampled_from(["call", "task"])
    steps = st.one_of(
        st.tuples(st.just("call"), begun, role, inner),
        st.tuples(st.just("through"), role, path, how, inner),
        st.tuples(st.sampled_from(["caught", "via-async"]), role, path, inner),
        st.tuples(
            st.just("speak"),
            role,
            st.lists(RECIPES | st.just(("plain", "fail")), max_size=4).map(tuple),
        ),
        st.tuples(
            st.sampled_from(["relate", "unrelate"]), node, st.sampled_from(["next", "source"]), role
        ),
        st.tuples(st.just("migrate"), role, node),
        st.tuples(st.sampled_from(["terminate", "assign"]), node, st.sampled_from("pqr"), value),
        st.tuples(st.just("rename"), node, st.sampled_from(["again", "N0"])),
        st.tuples(st.just("call"), begun, nobody, inner),
    )
    return size, draw(st.lists(steps, min_size=8, max_size=16))


class Run:
    """The nodes of one program on one testbed."""

    def __init__(self, bed: Testbed, prefix: str, size: int):
        self.bed, self.prefix = bed, prefix
        self.errors_before = len(bed.errors)
        self.nodes = [self.name(f"N{i}") for i in range(size)]
        bed.spawn(*self.nodes)
        for role in "pq":
            bed.assign(self.nodes, role, Player)
        bed.relate(self.nodes, "next", self.name("N1/p"))
        bed.relate(self.nodes, "source", [self.name("N0/p"), self.name("N1/q")])

    def name(self, text: str) -> str:
        return re.sub(r"\bN(?=\d)", f"{self.prefix}n", text).replace("again", f"{self.prefix}again")

    def value(self, recipe: tuple) -> Any:
        if recipe[0] == "recipe":
            return recipe[1]
        return self.name(recipe[1]) if recipe[0] == "name" else build(recipe)

    def step(self, step: Step) -> Any:
        """Return what a step gives: a comparable value, or the error's class and text."""
        try:
            result = getattr(self, "do_" + step[0].replace("-", "_"))(*step[1:])
            return "gives", self.same(repr(result))
        except RoleMLError as error:
            assert CHANGED not in str(error), error
            # "engine" is the process; "kept" numbers the failures that this process keeps for
            # replay
            where = {
                k: v for k, v in getattr(error, "where", {}).items() if k not in ("engine", "kept")
            }
            return "raises", type(error).__name__, self.same(str(error)), self.same(str(where))

    def same(self, text: str) -> str:
        """Leave out what may differ: which process, where in memory."""
        text = re.sub(r"0x[0-9a-f]+", "0x…", text)
        text = re.sub(r"\b(?:engine \d|the notebook)\b", "its process", text)
        return text.replace(self.prefix, "")

    def call(self, target: str, channel: str, args: dict[str, Any], how: str = "call") -> Any:
        before = fingerprint(args)
        call = self.bed.call if how == "call" else lambda *a: self.bed.call_task(*a).result()
        result = call(self.name(target), channel, args)
        assert fingerprint(args) == before, CHANGED
        return fingerprint(result)

    def args(self, inner: tuple[str, dict[str, tuple]]) -> dict[str, Any]:
        return {name: self.value(recipe) for name, recipe in inner[1].items()}

    def do_call(self, how: str, target: str, inner: tuple) -> Any:
        return self.call(target, inner[0], self.args(inner), how)

    def do_through(self, target: str, path: list[str], how: str, inner: tuple) -> Any:
        return self.call(
            target,
            "via",
            {
                "path": [self.name(name) for name in path],
                "how": how,
                "channel": inner[0],
                "args": self.args(inner),
            },
        )

    def do_caught(self, target: str, path: list[str], inner: tuple, channel: str = "caught") -> Any:
        return self.call(
            target,
            channel,
            {
                "path": [self.name(name) for name in path],
                "channel": inner[0],
                "args": self.args(inner),
            },
        )

    def do_via_async(self, target: str, path: list[str], inner: tuple) -> Any:
        return self.do_caught(target, path, inner, "via-async")

    def do_speak(self, target: str, recipes: tuple) -> Any:
        return self.call(target, "speak", {"recipes": recipes})

    def do_relate(self, node: str, relationship: str, role: str, *, remove: bool = False) -> None:
        self.bed.relate(self.name(node), relationship, self.name(role), remove=remove)

    def do_unrelate(self, node: str, relationship: str, role: str) -> None:
        self.do_relate(node, relationship, role, remove=True)

    def do_migrate(self, role: str, node: str) -> str:
        return str(self.bed.migrate(self.name(role), self.name(node)))

    def do_terminate(self, node: str, role: str, _: tuple) -> None:
        self.bed.terminate(self.name(node), role)

    def do_assign(self, node: str, role: str, recipe: tuple) -> None:
        self.bed.assign(self.name(node), role, Player, options={"tag": self.value(recipe)})

    def do_rename(self, node: str, name: str) -> None:
        self.bed.rename(self.name(node), self.name(name))

    def state(self) -> Any:
        """Return what all roles have and have heard, and the errors that nobody waited for."""
        found: list[Any] = []
        for instance in sorted(str(role) for role in self.roles()):
            found.append(
                (
                    self.same(instance),
                    self.bed.call(instance, "describe"),
                    self.same(str(self.bed.call(instance, "heard-by-source"))),
                )
            )
        errors = sorted(
            self.same(str(error.text)) for error in self.bed.errors[self.errors_before :]
        )
        return found, errors

    def roles(self) -> list[str]:
        known = self.bed.registry.roles
        return [
            f"{node}/{role}"
            for node in known
            if node.startswith(self.prefix)
            for role in known[node]
        ]

    def end(self) -> None:
        self.bed.remove(f"{self.prefix}*")


def compare(outcomes: dict[str, Any], step: object, program: object) -> None:
    if len(set(map(repr, outcomes.values()))) > 1:
        told = "\n".join(f"  {way}: {outcome!r}" for way, outcome in outcomes.items())
        pytest.fail(f"{step}\n{told}\nin {program}")


def settle(runs: dict[str, Run], step: object, program: object) -> None:
    """Wait until all have heard the same, twice in a row, and fail if they do not."""
    deadline, before = time.monotonic() + SETTLE_S, None
    while True:
        states = {way: run.state() for way, run in runs.items()}
        same = len(set(map(repr, states.values()))) == 1
        if same and states == before:
            return
        if not same and time.monotonic() > deadline:
            compare(states, f"after {step}", program)
        before = states
        time.sleep(0.01)


def check(beds: dict[str, Testbed], program: tuple[int, list[Step]]) -> None:
    size, steps = program
    prefix = f"e{next(NUMBERS)}"
    runs = {}
    try:
        for way, bed in beds.items():
            runs[way] = Run(bed, prefix, size)
        for step in steps:
            compare({way: run.step(step) for way, run in runs.items()}, step, program)
            if step[0] == "speak":
                settle(runs, step, program)
        settle(runs, "the last step", program)
    finally:
        for run in runs.values():
            run.end()


# Without shrinking, which takes minutes on engines: the failure names the first step that differs.
@settings(effort(3), phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(programs())
def test_programs_do_the_same_on_one_process_direct_links_and_the_relay(beds, program):
    with within(240, program):
        check(beds, program)
