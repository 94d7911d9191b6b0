"""Whatever a page sends is done or refused by an error of ours, and what comes of it can be drawn,
saved and loaded.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roleml_nb import Role, Service, Testbed
from roleml_nb.magics.parsing import split
from roleml_nb.role import TestbedError
from roleml_nb.spec import read
from roleml_nb.widgets import Board
from tests.fuzz.effort import effort, within
from tests.waiting import until
from tests.widgets.board.test_board import NAMES

TEXTS = [
    "",
    "a",
    "b1",
    "b*",
    "*",
    "a/counter",
    "b1/counter",
    "counter",
    "Counter",
    "add",
    "engine",
    "relationship",
    "size",
    "notebook",
    "c{1..10000000}",
    "x y",
    "{a,b1}",
    "[",
    "\x1b[2J",
    "\x00",
    "<script>",
    "\ud800",
    "amount=1",
    "amount=",
    "1",
    "1/0",
    "nosuch",
    "Each([1])",
    "i",
    "needs",
    "errors",
    "waiting",
    "assign",
    "spawn",
    "relate",
    "migrate",
    "rename",
    "call",
    "move",
    "remove",
    "terminate",
    "arrange",
    "keep",
    "refuse",
    "x" * 3000,
    "__init__",
]
texts = st.sampled_from(TEXTS) | st.text(max_size=5)
numbers = st.integers(-5, 5) | st.floats() | st.sampled_from([10**30, True])
anything = st.recursive(
    st.none() | texts | numbers,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
NAMES_OF = [
    "gesture",
    "given",
    "kind",
    "values",
    "address",
    "by",
    "view",
    "nodes",
    "name",
    "cls",
    "options",
    "elements",
    "relationship",
    "instances",
    "remove",
    "role",
    "to",
    "conflicts",
    "node",
    "on",
    "positions",
    "channel",
    "arguments",
    "option:start",
    "element:step",
]
PREFIX = "handle_"
KINDS = sorted(name.removeprefix(PREFIX) for name in dir(Board) if name.startswith(PREFIX))


def given_to(names):
    return st.dictionaries(
        st.sampled_from(names), texts | st.lists(texts, max_size=3) | anything, max_size=6
    )


inner = given_to(NAMES_OF)
positions = st.fixed_dictionaries(
    {
        "positions": st.dictionaries(
            st.sampled_from(["a", "b1", "x"]), st.lists(numbers, max_size=3) | st.none(), max_size=2
        )
    }
)
GESTURES = st.sampled_from(
    ["arrange", "assign", "migrate", "move", "relate", "remove", "rename", "spawn", "terminate"]
)
likely = st.one_of(
    st.fixed_dictionaries(
        {
            "kind": st.just("do"),
            "content": st.fixed_dictionaries({"gesture": GESTURES, "given": inner | positions}),
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["form", "say", "submit"]),
            "content": st.fixed_dictionaries(
                {"kind": GESTURES | st.just("call"), "given": inner}, optional={"values": inner}
            ),
        }
    ),
    st.fixed_dictionaries(
        {"kind": st.sampled_from(KINDS), "content": given_to(["address", "by", "kind", "view"])}
    ),
)
messages = (
    likely
    | st.dictionaries(
        st.sampled_from(["kind", "id", "content", "view", "seen"]),
        st.sampled_from(["seen", *KINDS]) | anything,
        max_size=4,
    )
    | anything
)


class Recorder:
    """Notes what a view sends to its page."""

    def __init__(self, view):
        self.sent = []
        self.view, self.send = view, view.send
        view.send = self

    def __call__(self, content, buffers=None):
        json.dumps(content).encode()  # a page gets it as JSON
        self.sent.append(content)


@pytest.fixture(scope="module")
def board():
    with Testbed(engines=0, timeout=5.0) as bed:
        made = Board(bed, names=NAMES)
        yield made, Recorder(made)


def furnish(bed):
    extra = [node for node in bed.registry.nodes() if node not in ("a", "b1", "b2")]
    if extra:
        bed.remove(extra)
    bed.spawn("a", "b{1..2}")
    for node in ("a", "b1"):
        for role in [name for name in bed.registry.roles.get(node, {}) if name != "counter"]:
            bed.terminate(node, role)
        if "counter" not in bed.registry.roles.get(node, {}):
            bed.assign(node, "counter", NAMES["Counter"], elements={"step": 1})


@effort(250)
@given(message=messages)
def test_a_message_is_answered_or_refused(board, message):
    view, page = board
    bed = view._bed
    furnish(bed)
    view._done.clear()
    page.sent.clear()
    with within(60, message):
        view._on_message(None, message, [])
        view._request_worker.submit(lambda: page.sent.append("end"))
        until(lambda: page.sent and page.sent[-1] == "end" or "end" in page.sent, "the answer")
        for said in page.sent:
            if isinstance(said, dict) and said["kind"] == "refusal":
                assert said["error"].partition(":")[0] not in (
                    "TypeError",
                    "KeyError",
                    "AttributeError",
                    "ValueError",
                    "IndexError",
                    "OverflowError",
                    "SyntaxError",
                    "NameError",
                ), said
        json.dumps(view._drawing.draw(), allow_nan=False)
        view.svg().encode()
        read(json.loads(json.dumps(bed.spec())), NAMES, trust=True)
        for line in view.code().splitlines():
            assert split(line.removeprefix("%rml "))


def test_what_is_drawn_by_is_one_of_two(board):
    view, page = board
    page.sent.clear()
    view._on_message(None, {"kind": "draw", "id": 7, "content": {"by": "size"}}, [])
    assert until(lambda: page.sent, "the answer")[0] == {
        "kind": "refusal",
        "id": 7,
        "error": "by must be 'engine' or 'relationship', not 'size'",
    }
    with pytest.raises(TestbedError, match="by must be"):
        view._drawing.by = "\x1b"
    read(view._bed.spec())


@pytest.mark.parametrize(
    "content, error",
    [
        ({"by": 3}, "draw: by cannot be 3"),
        ({"by": "\x1b"}, "draw: by cannot be '\\x1b'"),
        ({}, "draw needs by"),
        ({"by": "engine", "to": "x"}, "draw takes no 'to'; known: by"),
        ([], "draw needs by"),
        ("engine", "a page asks with names and values, not with str"),
    ],
)
def test_what_does_not_fit_is_told(board, content, error):
    view, page = board
    page.sent.clear()
    view._on_message(None, {"kind": "draw", "id": 1, "content": content}, [])
    assert until(lambda: page.sent, "the answer")[0] == {"kind": "refusal", "id": 1, "error": error}


class Talker(Role):
    @Service(expand=True)
    def talk(self, caller, text):
        print(text)
        self.logger.warning(text)
        return text

    @Service(expand=True)
    def fail(self, caller, text):
        raise ValueError(text)


@effort(30)
@given(
    text=st.text(max_size=30)
    | st.sampled_from(
        ["\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x00", "\u202e", "\ud800", "a\rb", "<b>"]
    )
)
def test_texts_of_roles_stand_where_they_are_shown(text):
    with Testbed(engines=0) as bed:
        bed.spawn("a")
        bed.assign("a", "talker", Talker)
        bed.call("a/talker", "talk", {"text": text})
        with pytest.raises(Exception) as caught:
            bed.call("a/talker", "fail", {"text": text})
        shown = [
            str(bed.logs()),
            bed.logs().pane().svg(),
            str(caught.value),
            caught.value.remote_traceback,
        ]
    for said in shown:
        said.encode()
        assert not set(said) & set("\x1b\x00\x07\r\x9b\u202e\u2028"), ascii(said)
