"""What a line of %rml says: options anywhere, values as they are, errors in one line."""

import pytest

from roleml_nb.magics.arguments import HelpRequested, parse
from roleml_nb.magics.parsing import BadLine, element, evaluate, split


def given(line):
    return parse(split(line))


@pytest.mark.parametrize("line", ["spawn a --on 0 b", "spawn --on 0 a b", "spawn a b --on 0"])
def test_options_may_stand_anywhere(line):
    said = given(line)
    assert (said.subcommand.name, said.nodes, said.on) == ("spawn", ["a", "b"], "0")


def test_assign_takes_roles_and_elements_in_any_order():
    said = given(
        "assign c* t=T(lr=0.1, name='a b') --element model=mlp(64, 10) u=U --element"
        " data=digits(part=i, parts=n)"
    )
    assert said.nodes == "c*" and said.roles == ["t=T(lr=0.1, name='a b')", "u=U"]
    assert said.element == ["model=mlp(64, 10)", "data=digits(part=i, parts=n)"]


def test_call_takes_arguments_after_the_timeout():
    said = given("call s/c run --timeout 2.5 rounds=-1 names=['a', 'b c']")
    assert (said.target, said.channel, said.timeout) == ("s/c", "run", 2.5)
    assert said.args == ["rounds=-1", "names=['a', 'b c']"]


@pytest.mark.parametrize(
    "line, text",
    [
        (
            "start --engines two",
            "argument --engines: invalid int value: 'two'; see %rml start --help",
        ),
        ("start --engine 2", "--engine 2; did you mean '--engines'? See %rml start --help"),
        ("call s/c", "the following arguments are required: channel"),
        ("stauts", "no command 'stauts'; did you mean 'status' or 'start'?"),
    ],
)
def test_what_cannot_be_parsed_is_said_in_one_line(line, text):
    with pytest.raises(BadLine) as refused:
        given(line)
    assert text in str(refused.value) and "\n" not in str(refused.value)


def test_help_does_not_depend_on_the_terminal(monkeypatch):
    texts = []
    for columns in ("40", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        with pytest.raises(HelpRequested) as asked:
            given("assign --help")
        texts.append(str(asked.value))
    assert texts[0] == texts[1] and "a role of that name on a node is replaced" in texts[0]


def test_an_element_that_is_a_call_is_not_made_here():
    made = element(
        "make(size, part=i, of=n)", {"make": lambda *a, **k: 1 / 0, "size": 3}, ["a", "b"]
    )
    assert (
        made.args == (3,)
        and made.kwargs["part"].values == [0, 1]
        and made.kwargs["of"].values == [2, 2]
    )
    assert element("[node]", {}, ["a", "b"]).values == [["a"], ["b"]]


@pytest.mark.parametrize(
    "source, text",
    [
        ("five(1)", "five(1): five is no function but int"),
        ("str(*[1])", "cannot be used here"),
        ("1 +", "is not a Python expression"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("fife", "name 'fife' is not defined; did you mean 'five'?"),
    ],
)
def test_bad_values_are_said_in_one_line(source, text):
    with pytest.raises(BadLine) as refused:
        element(source, {"five": 5}, ["a"])
    assert text in str(refused.value) and "\n" not in str(refused.value)


def test_split_closes_what_was_opened():
    assert split("x='it\\'s' y=\"a b\"") == ["x='it\\'s'", 'y="a b"']
    assert split("") == split("   ") == []
    with pytest.raises(BadLine, match=r"\) is missing"):
        split("x=f(1")


def test_the_users_names_are_not_changed():
    names = {"x": 1}
    assert evaluate("[i + x for x in range(2)]", names, ["a", "b"]).values == [[0, 1], [1, 2]]
    assert names == {"x": 1}
