"""Input that would never end: refused at once, with what is allowed."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roleml_nb import Testbed
from roleml_nb.role import TestbedError
from roleml_nb.role.checks.names import did_you_mean, natural_key
from roleml_nb.spec import ConfigError, read
from roleml_nb.spec import yaml as config_yaml
from roleml_nb.spec.matching import matching
from roleml_nb.spec.patterns import expand
from roleml_nb.spec.yaml import read_file
from tests.fuzz.effort import within

KEEPER = "tests.spec.examples.Keeper"


@pytest.mark.parametrize(
    "pattern, text",
    [
        (
            "c{1..10000000}",
            "'c{1..10000000}' makes more than 100,000 names, and a pattern makes at most so many",
        ),
        ("c{1..1000}x{1..1000}", "'c{1..1000}x{1..1000}' makes more than 100,000 names"),
        ("{a,b}" * 200, "makes more than 100,000 names"),
        (
            "c{1..99999999999999999999}",
            "'c{1..99999999999999999999}': a number of a range has at most 18 digits",
        ),
        ("c{1.." + "9" * 5000 + "}", "a number of a range has at most 18 digits"),
        ("c" * 20_000, "'" + "c" * 50 + "'… has 20,000 letters, and a pattern at most 10,000"),
    ],
)
def test_patterns_of_nodes(bed, pattern, text):
    before = bed.spec()
    with within(20, pattern[:50]):
        for attempt in (bed.spawn, lambda pattern: read({"nodes": {pattern: {}}})):
            with pytest.raises(TestbedError) as caught:
                attempt(pattern)
            assert text in str(caught.value)
        if "{" in pattern:
            for attempt in (bed.select, bed.logs):
                with pytest.raises(TestbedError, match="more than 100,000 names|at most 18 digits"):
                    attempt(pattern)
    assert bed.spec() == before


def test_many_names_are_made_and_in_their_order():
    assert expand("c{1..50000}")[::49999] == ["c1", "c50000"]
    assert expand("{a,b}{1..2}") == ["a1", "a2", "b1", "b2"] and expand(
        "{{1,2}..3}x".replace("{{", "n{{")
    ) == ["n1x", "n2x", "n3x", "n2x", "n3x"]
    assert expand("a" + "{1..1}" * 1500)[0] == "a" + "1" * 1500


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)+$", "(.*)*x", "(a|a)*!", "([a-z]+)*!", "(a*)*$"]
)
def test_patterns_of_actors_are_matched_without_going_back(pattern):
    run = {
        "profiles": [{"name": "a" * 60 + "b"}, {"name": "aaa"}],
        "roles": {pattern: {"k": KEEPER}},
    }
    with within(20, pattern):
        plan = read(run)
    assert [name for name, node in plan.nodes.items() if node.roles] == [
        name for name in ("aaa",) if pattern in ("(a+)+$", "(a|aa)+$", "(a*)*$")
    ]


def test_patterns_that_need_going_back_are_for_trusted_files():
    run = {
        "profiles": [{"name": "server"}, {"name": "client"}],
        "roles": {"(?!server).*": {"k": {"class": KEEPER}}},
    }
    with pytest.raises(
        ConfigError,
        match=(
            r"^roles\.\(\?!server\)\.\*: '\(\?!server\)\.\*' is matched without going back"
            r" \(invalid perl "
            r"operator: \(\?!\), so without look-around and back-references; write it otherwise, or"
        ),
    ):
        read(run)
    assert [name for name, node in read(run, trust=True).nodes.items() if node.roles] == ["client"]


@pytest.mark.parametrize(
    "pattern, text",
    [
        ("(", "'(' is not a regular expression: missing ), unterminated subpattern at position 0"),
        ("a" * 1001, "has 1,001 letters, and a pattern at most 1,000"),
        ("(" * 900, "is not a regular expression"),
        ("((a{1,1000}){1,1000}){1,1000}", "is matched without going back"),
        (
            r"é\w",
            (
                r"'é\\w': \w, \d, \s, \b and (?i) know ASCII alone, which 'é\\w' is not; write"
                r" \p{L} for a letter, \p{N} for a digit"
            ),
        ),
    ],
)
def test_patterns_that_cannot_be_matched(pattern, text, capfd):
    with within(20, pattern[:50]), pytest.raises(ValueError) as caught:
        matching(pattern, ["a"])
    assert text in str(caught.value) and capfd.readouterr().err == ""


parts = st.sampled_from(
    [
        "a",
        "b",
        "1",
        ".",
        "-",
        "_",
        r"\d",
        r"\w",
        r"\.",
        "[ab]",
        "[^a]",
        "[a-z0-9]",
        "(a|b)",
        "(?:ab)",
        "(?P<n>a)",
        "x*",
        "a+",
        "b?",
        "a{2}",
        "a{,2}",
        "a{1,3}",
        ".*",
        ".+?",
        "^",
        "$",
        r"\b",
        "(?i:A)",
    ]
)


@given(
    st.lists(parts, max_size=5, unique=True).map("".join),
    st.lists(st.text(alphabet="ab1.-_xA", min_size=1, max_size=6), max_size=5),
)
def test_other_patterns_match_as_pythons_do(pattern, names):
    assert matching(pattern, names) == [name for name in names if re.fullmatch(pattern, name)]


def test_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(config_yaml, "MAX_ENTRIES", 50_000)
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
    )
    (tmp_path / "a.yaml").write_text(bomb)
    (tmp_path / "b.yaml").write_text("x: " + "[" * 2000 + "]" * 2000)
    (tmp_path / "c.yaml").write_text("".join(f"{'  ' * n}a:\n" for n in range(150)))
    for letter, after in zip("defgh", "efghi", strict=True):
        (tmp_path / f"{letter}.yaml").write_text(
            "".join(f"k{n}: !include {after}.yaml\n" for n in range(30))
        )
    (tmp_path / "i.yaml").write_text("x: 1\n")
    (tmp_path / "sparse.yaml").touch()
    with open(tmp_path / "sparse.yaml", "r+b") as file:
        file.truncate(64_000_001)
    deep = "has more than 100 mappings and lists within each other"
    for name, text in (
        (
            "a.yaml",
            "has more than 50,000 values, aliases and included files counted wherever they stand",
        ),
        ("b.yaml", deep),
        ("c.yaml", deep),
        ("d.yaml", "!include: more than 1,000 files, counted wherever they are included"),
        ("/dev/zero", "cannot be read: it is no file"),
        (".", ".: cannot be read: it is a folder"),
        ("sparse.yaml", "cannot be read: it has 64,000,001 bytes, and at most 64,000,000 are read"),
    ):
        with within(120, name), pytest.raises(ConfigError) as caught:
            read_file(name)
        assert text in str(caught.value)


def test_data_that_hold_themselves():
    data: dict = {"nodes": {}}
    data["nodes"]["a"] = data
    with pytest.raises(
        ConfigError,
        match=(
            r"^nodes\.a\.nodes\.a\.nodes: goes on deeper than 100 mappings and lists; does it hold"
            r" itself\?$"
        ),
    ):
        read(data)


def test_engines():
    with pytest.raises(TestbedError, match="^engines must be from 0 to 1,000, not 1000000$"):
        Testbed(engines=1_000_000)
    with pytest.raises(TestbedError, match="^engines must be from 0 to 1,000, not 1000000$"):
        Testbed.from_spec({"engines": 1_000_000, "nodes": {}})


def test_names_are_compared_as_long_as_that_takes_no_time():
    many = [f"{letter}{number}" for letter in string.ascii_lowercase for number in range(4000)]
    with within(30, "comparing"):
        assert did_you_mean("c" * 100_000, many).startswith("known: a0, a1")
        assert "did you mean 'q77'" in did_you_mean("q77x", many)
    for name in ("a1²", "a" + "9" * 5000, "٣"):
        assert natural_key(name) == natural_key(name)
    assert sorted(["a10", "a9", "a" + "9" * 5000, "a1²"], key=natural_key)[:2] == ["a1²", "a9"]
