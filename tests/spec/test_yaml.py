"""YAML with includes, and where errors point."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from roleml_nb.spec import ConfigError
from roleml_nb.spec.yaml import dump, read_file


def error(name: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_file(name)
    return str(caught.value)


def test_a_file_and_parts_of_it_are_included(write):
    name = write(
        main=(
            "whole: !include parts/a.yaml\nword: !include ./parts/a.yaml one\ndeep: !include"
            " parts/a.yaml five.six.1.seven\n"
        ),
        parts__a="one: two\nfive:\n  six:\n    - nothing\n    - {seven: eight}\n",
    )
    assert read_file(name).plain() == {
        "whole": {"one": "two", "five": {"six": ["nothing", {"seven": "eight"}]}},
        "word": "two",
        "deep": "eight",
    }


def test_included_files_include_relative_to_themselves(write):
    name = write(
        main="x: !include parts/a.yaml\n", parts__a="y: !include b.yaml z\n", parts__b="z: 3\n"
    )
    assert read_file(name).plain() == {"x": {"y": 3}}


def test_merging_keeps_what_is_written_here(write):
    name = write(
        main=(
            "here: 1\n<<: !include a.yaml\n<<: !include b.yaml deep\nanchor: &x {p:"
            " anchor}\nlist:\n  <<: [*x, !include b.yaml deep]\n"
        ),
        a="here: 2\nthere: 3\n",
        b="deep:\n  p: 4\n  q: 5\n",
    )
    assert read_file(name).plain() == {
        "here": 1,
        "there": 3,
        "p": 4,
        "q": 5,
        "anchor": {"p": "anchor"},
        "list": {"p": "anchor", "q": 5},
    }


def test_entries_know_their_file_line_and_key(write):
    name = write(
        main="\nroles:\n  <<: !include parts/a.yaml\n  own:\n    class: x\n",
        parts__a="# comment\nclient.*:\n  trainer:\n    class: y\n",
    )
    roles = read_file(name).mapping()["roles"].mapping()
    assert roles["own"].mapping()["class"].where == "main.yaml:5: roles.own.class"
    assert (
        roles["client.*"].mapping()["trainer"].mapping()["class"].where
        == "parts/a.yaml:4: roles.client.*.trainer.class"
    )


def test_a_template_may_begin_with_an_at_sign(write):
    assert read_file(write(main="a: @[1-3]\nb: ~[1-3]\nc: ^[1, 3]\n")).plain() == {
        "a": "@[1-3]",
        "b": "~[1-3]",
        "c": "^[1, 3]",
    }


@pytest.mark.parametrize(
    "files, text",
    [
        (
            {"main": "a: 1\nb: [1\n"},
            "main.yaml:3: not YAML: expected ',' or ']', but got '<stream end>'",
        ),
        (
            {"main": "a: 1\nb: @x\n"},
            "main.yaml:2: not YAML: found character '@' that cannot start any token",
        ),
        (
            {"main": "a: 1\nb: 2\na: 3\n"},
            "main.yaml:3: the key 'a' stands here a second time (first: main.yaml:1)",
        ),
        (
            {"main": "a: 1\nb: !include aa.yaml\n", "a": ""},
            "main.yaml:2: b: !include: no file aa.yaml; did you mean 'a.yaml'",
        ),
        (
            {"main": "a: !include a.yaml foo.bra\n", "a": "foo: {bar: 1}"},
            "main.yaml:1: a: !include a.yaml foo.bra: no key 'bra' there; did you mean 'bar'?",
        ),
        (
            {"main": "a: !include a.yaml b c\n"},
            "main.yaml:1: a: write !include FILE or !include FILE key.key",
        ),
        (
            {"main": "<<: !include a.yaml\n", "a": "[1]"},
            "main.yaml:1: <<: only a mapping can be merged into a mapping",
        ),
        (
            {"main": "a: !include a.yaml\n", "a": "b: !include main.yaml\n"},
            "a.yaml:1: a.b: !include in a circle: main.yaml → a.yaml → main.yaml",
        ),
        (
            {"main": "a: !secret x\n"},
            (
                "main.yaml:1: a: cannot read 'x': could not determine a constructor for the tag"
                " '!secret'"
            ),
        ),
        ({"main": "a: !x {}\n"}, "main.yaml:1: a: unknown tag '!x'; known: !include"),
        ({"main": "a: &a [*a]\n"}, "main.yaml:1: a.0: an alias that contains itself"),
        ({"main": "? [1]\n: 2\n"}, "main.yaml:1: a key must be a plain value"),
        (
            {"main": "a: 2024-99-99\n"},
            "main.yaml:1: a: cannot read '2024-99-99': month must be in 1..12",
        ),
        ({"main": "a: 1\n--- \nb: 2\n"}, "main.yaml:2: not YAML: but found another document"),
    ],
)
def test_errors_point_at_file_and_line(write, files, text):
    assert error(write(**files)).startswith(text)


def test_a_file_that_cannot_be_read(write, tmp_path):
    write(main="")
    assert (
        error("mian.yaml")
        == "mian.yaml: cannot be read: No such file or directory; did you mean 'main.yaml'?"
    )
    (tmp_path / "bytes.yaml").write_bytes(b"a: \xff\n")
    assert error("bytes.yaml") == "bytes.yaml: cannot be read: it is not UTF-8 text"


def test_an_empty_file_is_nothing(write):
    assert read_file(write(main="# nothing\n")).plain() is None


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(plain)
def test_what_is_dumped_reads_the_same(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "dumped.yaml"
    path.write_text(dump(data), encoding="utf-8", newline="")
    assert read_file(path).plain() == data == yaml.safe_load(dump(data))
