"""Token accounts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roleml_nb import impl
from roleml_nb.library import (
    GeneralizedTokenAccount,
    Proactive,
    RandomizedTokenAccount,
    SimpleTokenAccount,
)
from tests.science.decentralised import tiny

ACCOUNTS = st.one_of(
    st.builds(SimpleTokenAccount, st.integers(0, 8)),
    st.builds(GeneralizedTokenAccount, st.integers(0, 8), st.integers(1, 8)),
    st.builds(
        lambda reserve, more: RandomizedTokenAccount(reserve + more, reserve),
        st.integers(1, 6),
        st.integers(0, 6),
    ),
)


@settings(max_examples=150, deadline=None)
@given(
    ACCOUNTS,
    st.lists(st.lists(st.booleans(), max_size=20), min_size=1, max_size=40),
    st.integers(0, 5),
)
def test_the_rate_is_bounded_however_many_messages_come_in(account, rounds, seed):
    """In any r rounds in a row, at most r + C messages (Danner and Jelasity 2018, section III)."""
    rng = np.random.default_rng(seed)
    sent = []
    for arriving in rounds:
        count = sum(account.react(useful, rng) for useful in arriving) + account.tick(rng)
        assert 0 <= account.tokens <= account.capacity
        sent.append(count)
    for first in range(len(sent)):
        for last in range(first, len(sent)):
            assert sum(sent[first : last + 1]) <= last + 1 - first + account.capacity


def test_the_formulas_of_the_paper():
    assert [SimpleTokenAccount(3).proactive(tokens) for tokens in range(5)] == [0, 0, 0, 1, 1]
    assert [SimpleTokenAccount(3).reactive(tokens, False) for tokens in range(3)] == [0, 1, 1]
    account = GeneralizedTokenAccount(20, 5)
    assert [account.reactive(tokens, True) for tokens in (0, 1, 5, 6, 20)] == [0, 1, 1, 2, 4]
    assert [account.reactive(tokens, False) for tokens in (0, 5, 6, 20)] == [0, 0, 1, 2]
    account = RandomizedTokenAccount(10, 5)
    assert [account.proactive(tokens) for tokens in (3, 4, 5, 7, 10)] == [
        0,
        0,
        pytest.approx(1 / 6),
        0.5,
        1,
    ]
    assert (account.reactive(7, True), account.reactive(7, False)) == (7 / 5, 0)
    assert Proactive().tick(np.random.default_rng(0)) and not Proactive().react(
        True, np.random.default_rng(0)
    )


def test_a_fraction_of_a_message_is_sent_by_chance():
    """Of 7 tokens and A = 5, a useful message is answered by 7/5: one always, and a second two
    times in five.
    """
    account, rng, sent = RandomizedTokenAccount(10, 5), np.random.default_rng(0), []
    for _ in range(4000):
        account.tokens = 7
        sent.append(account.react(True, rng))
        assert account.tokens == 7 - sent[-1]
    assert set(sent) == {1, 2} and np.mean(sent) == pytest.approx(7 / 5, abs=0.03)


def test_wrong_options_are_named():
    for make, text in [
        (lambda: SimpleTokenAccount(-1), "capacity must be 0 or more, got -1"),
        (lambda: GeneralizedTokenAccount(3, 0), "reserve must be 1 or more, got 0"),
        (lambda: RandomizedTokenAccount(3, 4), "reserve must be at most the capacity 3, got 4"),
    ]:
        with pytest.raises(ValueError, match=text):
            make()


def test_gossip_with_a_token_account(bed):
    """An account of capacity 3 is full after three rounds, answers what comes in, and never sends
    more than r + 3.
    """
    nodes = tiny.trainers(bed, "tokens{1..4}", 4)
    tiny.gossip(bed, nodes, "full")
    nodes.assign(
        "coordinator", tiny.GossipCoordinator, elements={"account": impl(SimpleTokenAccount, 3)}
    )
    assert bed.call("tokens1/coordinator", "run", {"num_rounds": 3})["rounds"] == 3
    assert sum(bed.call("tokens*/aggregator", "count").values()) == 0  # three rounds: three tokens
    bed.call("tokens1/coordinator", "run", {"num_rounds": 1})
    assert sum(bed.call("tokens*/aggregator", "count").values()) == 1
    bed.call("tokens*/coordinator", "run", {"num_rounds": 15}, timeout=30)
    metrics = bed.trace.metrics.to_pandas()
    sent = (
        metrics[metrics.node.str.startswith("tokens") & metrics.metric.eq("sent")]
        .groupby("node")
        .value.agg(["sum", "size"])
    )
    assert len(sent) == 4 and (sent["sum"] <= sent["size"] + 3).all() and sent["sum"].sum() > 0


def test_wrong_options_of_gossip_are_named():
    with pytest.raises(ValueError, match="mode must be 'push', 'pull' or 'push-pull', got 'pul'"):
        tiny.GossipCoordinator(mode="pul")
    with pytest.raises(
        ValueError, match="order must be 'train-merge' or 'merge-train', got 'merge'"
    ):
        tiny.GossipCoordinator(order="merge")
