"""Templates and rules that would never end: refused at once, with what is allowed."""

import pytest

from roleml_nb.compat.config import templates
from roleml_nb.compat.config.conductor import Expansion
from roleml_nb.compat.config.templates import producer
from roleml_nb.spec import ConfigError, read
from roleml_nb.spec.entry import Entry
from tests.fuzz.effort import within

KEEPER = "tests.spec.examples.Keeper"


@pytest.mark.parametrize(
    "text, message",
    [
        (
            "$a[1-1000000000]",
            "the template '$a[1-1000000000]' stands for more than 1,000,000 values",
        ),
        ("$c[1-600000, 700000-1400000]", "stands for more than 1,000,000 values"),
        ("$e[1-9, 4-1000000000]", "stands for more than 1,000,000 values"),
        ("~[1-99999999999999999999]", "numbers have at most 18 digits"),
        ("$r[1, 1000000000, 1, 500000000]", "stands for more than 1,000,000 values"),
        ("$r[1, " + "9" * 30 + "]", "is not well formed: write $r[first, last]"),
    ],
)
def test_templates(text, message):
    with within(20, text), pytest.raises(ValueError) as caught:
        producer(text)
    assert message in str(caught.value)
    with pytest.raises(ConfigError, match="^roles.a.k.options.start: the template"):
        read(
            {
                "profiles": [{"name": "a"}],
                "roles": {"a": {"k": {"class": KEEPER, "options": {"start": text}}}},
            }
        )


def test_ranges_that_are_drawn_from_may_be_long():
    assert 1 <= next(producer("$r[1, 100000000000000000]")) <= 10**17


def test_what_templates_and_rules_come_to_in_all(monkeypatch):
    monkeypatch.setattr(templates, "MAX_VALUES", 50_000)  # a million take a while
    profiles = [{"name": f"a{number}"} for number in range(1100)]
    with (
        within(60, "templates"),
        pytest.raises(
            ConfigError, match=r"with '\$a\[1-1000\]', more than 50,000 values are written out"
        ),
    ):
        Expansion(
            Entry.of(
                {"profiles": profiles, "roles": {".*": {"k": {"options": {"x": "$a[1-1000]"}}}}}
            )
        )
    with within(60, "rules"):
        with pytest.raises(
            ConfigError,
            match=(
                r"^relationship_rules\.\.\*\.peer: with '\.\*/k', rules relate more than 1,000,000"
                r" pairs"
            ),
        ):
            Expansion(
                Entry.of({"profiles": profiles, "relationship_rules": {".*": {"peer": ".*/k"}}})
            )
        with pytest.raises(
            ConfigError,
            match=r"^connection_rules\.0: with '\.\* \.\*', rules relate more than 1,000,000 pairs",
        ):
            Expansion(Entry.of({"profiles": profiles, "connection_rules": [".* .*"]}))
