"""Selection of clients, on one process and on engines."""

from collections import Counter

import numpy as np
import pytest

from roleml_nb import Each, HandlerError, Role, RoleInstanceID, Service, Testbed, impl
from roleml_nb.library import (
    ClientSelector,
    DataSizeSelector,
    EpochTrainer,
    FedAvg,
    FedAvgAggregator,
    FedAvgM,
    FederatedCoordinator,
    OortSelector,
    PowerOfChoiceSelector,
)
from roleml_nb.library.federated.oort import ObservedUtility
from roleml_nb.library.federated.selection import draw_systematically, inclusion_probabilities
from roleml_nb.workload import ArrayDataset
from tests.science.federated.problems import LeastSquares, arrays, data

CLIENTS = 6


def federation(bed, name, selector, metrics=False, lr=0.01, **options):
    bed.spawn(f"{name}-client{{1..{CLIENTS}}}").assign(
        "trainer",
        EpochTrainer,
        elements={"model": impl(LeastSquares, lr), "dataset": impl(data, Each(range(CLIENTS)))},
    )
    bed.spawn(f"{name}-server")
    bed.assign(
        f"{name}-server",
        "aggregator",
        FedAvgAggregator,
        elements={"strategy": impl(FedAvg, metrics)},
    )
    bed.assign(f"{name}-server", "coordinator", FederatedCoordinator)
    bed.assign(f"{name}-server", "client-selector", selector, options=options)
    bed.relate(f"{name}-server", "trainer", f"{name}-client*/trainer")


def select(bed, name, number):
    candidates = [f"{name}-client{client}/trainer" for client in range(1, CLIENTS + 1)]
    chosen = bed.call(
        f"{name}-server/client-selector",
        "select-clients",
        {"candidates": candidates, "round": number},
    )
    return [int(client.actor_name.removeprefix(f"{name}-client")) for client in chosen]


def trained(bed, name):
    """How often each client was trained."""
    table = bed.trace.metrics.to_pandas().query("channel == 'epoch-completed' and metric == 'loss'")
    counts = table[table.node.str.startswith(f"{name}-client")].node.value_counts()
    return {int(node.removeprefix(f"{name}-client")): count for node, count in counts.items()}


def losses(w):
    return [0.5 * np.mean((x @ w - y) ** 2) for x, y in map(arrays, range(CLIENTS))]


def test_all_and_random(bed):
    federation(bed, "all", ClientSelector)
    assert select(bed, "all", 1) == [1, 2, 3, 4, 5, 6]
    federation(bed, "random", ClientSelector, fraction=0.5, seed=3)
    expected = np.random.default_rng([3, 7]).choice(6, 3, replace=False) + 1
    assert select(bed, "random", 7) == sorted(expected)


def test_without_a_seed_of_its_own_the_choice_is_of_the_testbeds_seed_tree():
    found = []
    for seed in (1, 1, 2):
        with Testbed(engines=0, seed=seed, preload=()) as bed:
            federation(bed, "tree", ClientSelector, fraction=0.5)
            found.append([select(bed, "tree", number) for number in range(1, 6)])
    assert found[0] == found[1] != found[2]
    assert len({tuple(chosen) for chosen in found[0]}) > 1


def test_by_data_size(bed):
    federation(bed, "size", DataSizeSelector, fraction=1 / 6, seed=0)
    drawn = (
        np.bincount([select(bed, "size", number)[0] for number in range(1, 401)], minlength=7)[1:]
        / 400
    )
    sizes = np.array([len(data(part)) for part in range(CLIENTS)])
    assert np.abs(drawn - sizes / sizes.sum()).max() < 0.07


class Mean:
    """Trains in one step to the mean of its targets."""

    def __init__(self):
        self.w = np.zeros(1)

    def get_params(self):
        return {"w": self.w.copy()}

    def set_params(self, params):
        self.w = np.array(params["w"])

    def train(self, data, **options):
        self.w = np.array([np.concatenate([y for _, y in data]).mean()])
        return {"loss": 1.0}

    def test(self, data):
        return {"loss": float(np.concatenate([y for _, y in data]).mean())}


SIZES = (20, 1, 1, 1, 1, 1, 1, 1, 1, 1)


def unequal(part, value=0.0):
    return ArrayDataset(np.zeros((SIZES[part], 1)), np.full(SIZES[part], value if part else 1.0))


def rounds(bed, name, selector, number, strategy=None, values=None, **options):
    """The model after each of so many rounds; the first client has the value 1 and 20 of 29
    samples.
    """
    bed.spawn(f"{name}-client{{1..10}}").assign(
        "trainer",
        EpochTrainer,
        elements={
            "model": impl(Mean),
            "dataset": impl(unequal, Each(range(10)), Each(values or [0.0] * 10)),
        },
    )
    bed.spawn(f"{name}-server")
    bed.assign(
        f"{name}-server",
        "aggregator",
        FedAvgAggregator,
        elements={"strategy": strategy or impl(FedAvg)},
    )
    bed.assign(f"{name}-server", "coordinator", FederatedCoordinator)
    bed.assign(f"{name}-server", "client-selector", selector, options={"seed": 0, **options})
    bed.relate(f"{name}-server", "trainer", f"{name}-client*/trainer")
    found = []
    for first in range(1, number + 1):
        bed.call(f"{name}-server/coordinator", "run", {"num_rounds": 1, "first_round": first})
        found.append(bed.call(f"{name}-server/coordinator", "get-model")["w"][0])
    return found


def test_data_that_made_a_client_likely_to_be_chosen_do_not_count_twice(bed):
    """The one with 20 of 29 samples is always among 3 of 10, and counts as 20 / 29; the two others
    share the rest.
    """
    for name, strategy in (
        ("once", impl(FedAvg)),
        ("once-metrics", impl(FedAvg, metrics=True)),
        ("once-moved", impl(FedAvgM, momentum=0)),
    ):
        assert rounds(bed, name, DataSizeSelector, 3, strategy, fraction=0.3) == pytest.approx(
            [20 / 29] * 3
        )


def test_the_mean_over_selections_by_size_is_that_of_all_clients():
    """Σ n_i w_i / Σ n_i, which no choice of so many alone gives; each client is there with its
    probability.
    """
    random, sizes, values = (
        np.random.default_rng(1),
        np.arange(1.0, 11) ** 2,
        np.random.default_rng(2).normal(size=10),
    )
    probabilities = inclusion_probabilities(sizes, 4)
    assert probabilities.sum() == pytest.approx(4) and probabilities.max() <= 1
    assert (
        np.allclose(probabilities[:9] / sizes[:9], probabilities[0] / sizes[0])
        or probabilities[8] == 1
    )
    means, seen = [], np.zeros(10)
    for _ in range(4000):
        chosen = draw_systematically(probabilities, random)
        assert len(set(chosen)) == 4
        seen[chosen] += 1
        weights = sizes[chosen] / probabilities[chosen]
        means.append(weights @ values[chosen] / weights.sum())
        assert weights.sum() == pytest.approx(sizes.sum())
    assert np.abs(seen / 4000 - probabilities).max() < 0.03
    assert np.mean(means) == pytest.approx(sizes @ values / sizes.sum(), abs=0.03)


@pytest.mark.parametrize(
    "sizes, count, expected",
    [
        ([1, 1, 1, 1], 2, [0.5] * 4),
        ([20] + [1] * 9, 3, [1] + [2 / 9] * 9),
        ([5, 3], 2, [1, 1]),
        ([100, 10, 1, 1], 3, [1, 1, 0.5, 0.5]),
    ],
)
def test_probabilities_are_in_proportion_and_at_most_one(sizes, count, expected):
    assert inclusion_probabilities(np.array(sizes, float), count) == pytest.approx(expected)


def test_models_chosen_by_power_of_choice_count_equally():
    """Cho et al. 2022, equation 3. The two highest losses are 1 (20 samples) and 0.8 (1 sample)."""
    with Testbed(engines=0, preload=()) as bed:
        values = [0.0, 0.8, *[0.1] * 8]
        assert rounds(
            bed, "equal", PowerOfChoiceSelector, 1, fraction=0.2, candidates=10, values=values
        ) == pytest.approx([0.9])


def test_power_of_choice_leaves_out_who_tells_no_number():
    with Testbed(engines=0, preload=()) as bed:
        values = [0.0, float("nan"), 0.5, *[0.1] * 7]
        assert rounds(
            bed, "nan", PowerOfChoiceSelector, 1, fraction=0.2, candidates=10, values=values
        ) == pytest.approx([0.75])
        assert "nan-client2/trainer told a loss of nan, and is not chosen" in str(
            bed.logs("nan-server")
        )


class Foreign(Role):
    """A selector that is no `ClientSelector`."""

    @Service(expand=True)
    def select_clients(self, caller, candidates, round):
        return [candidates[0], candidates[1]]


def test_a_selector_of_ones_own_need_not_tell_probabilities(bed):
    bed.spawn("foreign-client{1..3}").assign(
        "trainer",
        EpochTrainer,
        elements={"model": impl(Mean), "dataset": impl(unequal, Each(range(3)))},
    )
    bed.spawn("foreign-server").assign("aggregator", FedAvgAggregator)
    bed.assign("foreign-server", "coordinator", FederatedCoordinator)
    bed.assign("foreign-server", "client-selector", Foreign)
    bed.relate("foreign-server", "trainer", "foreign-client*/trainer")
    bed.call("foreign-server/coordinator", "run", {"num_rounds": 1})
    assert bed.call("foreign-server/coordinator", "get-model")["w"] == pytest.approx([20 / 21])


def test_power_of_choice_among_all_picks_the_highest_losses(bed):
    federation(bed, "choice", PowerOfChoiceSelector, fraction=0.5, candidates=CLIENTS)
    bed.call("choice-server/coordinator", "run", {"num_rounds": 1})
    highest = sorted(np.argsort(losses(np.zeros(4)))[-3:] + 1)
    assert sorted(trained(bed, "choice")) == highest


def test_power_of_choice_draws_its_candidates_by_size(bed):
    federation(bed, "drawn", PowerOfChoiceSelector, fraction=1 / 6, candidates=2, seed=5)
    bed.call("drawn-server/coordinator", "run", {"num_rounds": 1})
    sizes = np.array([len(data(part)) for part in range(CLIENTS)], float)
    drawn = np.random.default_rng([5, 1]).choice(6, 2, replace=False, p=sizes / sizes.sum())
    best = max(drawn, key=lambda part: losses(np.zeros(4))[part])
    assert list(trained(bed, "drawn")) == [best + 1]


def test_power_of_choice_draws_twice_as_many_as_it_chooses_unless_told(bed):
    federation(bed, "default", PowerOfChoiceSelector, fraction=1 / 3, seed=2)
    bed.call("default-server/coordinator", "run", {"num_rounds": 1})
    messages = bed.trace.messages.to_pandas()
    asked = messages[
        messages.source.eq("default-server/client-selector")
        & messages.channel.eq("evaluate")
        & messages.kind.eq("task")
    ]
    sizes = np.array([len(data(part)) for part in range(CLIENTS)], float)
    drawn = np.random.default_rng([2, 1]).choice(6, 4, replace=False, p=sizes / sizes.sum())
    assert set(asked.target) == {f"default-client{part + 1}/trainer" for part in drawn}
    highest = sorted(drawn, key=lambda part: -losses(np.zeros(4))[part])[:2]
    assert sorted(trained(bed, "default")) == sorted(part + 1 for part in highest)


def test_power_of_choice_draws_as_many_as_it_chooses_at_least(bed):
    federation(bed, "few", PowerOfChoiceSelector, fraction=0.5, candidates=1)
    bed.call("few-server/coordinator", "run", {"num_rounds": 1})
    assert len(trained(bed, "few")) == 3


def test_oort_tries_everyone_and_then_takes_those_that_teach_most(bed):
    """With a learning rate that leaves the losses as they are: five rounds with one new client
    each, then by utility.
    """
    federation(
        bed,
        "oort",
        OortSelector,
        metrics=True,
        lr=1e-9,
        fraction=1 / 3,
        seed=1,
        exploration=0.5,
        least=0.5,
    )
    bed.call("oort-server/coordinator", "run", {"num_rounds": 30})
    counts = trained(bed, "oort")
    worst, *_, best = (
        np.argsort([loss * len(data(part)) for part, loss in enumerate(losses(np.zeros(4)))]) + 1
    )
    assert set(counts) == set(range(1, CLIENTS + 1)) and sum(counts.values()) == 60, counts
    assert counts[best] >= counts[worst] + 4, counts


class Telling(OortSelector):
    @Service(expand=True)
    def rounds(self, caller):
        return sorted(known.round for known in self.known.values())


def test_oort_remembers_in_which_round_a_client_took_part(bed):
    """When it chooses for round 3: two in the first, and two others in the second."""
    federation(bed, "when", Telling, metrics=True, fraction=1 / 3, exploration=1.0, least=1.0)
    bed.call("when-server/coordinator", "run", {"num_rounds": 3})
    assert bed.call("when-server/client-selector", "rounds") == [1, 1, 2, 2]


def test_oort_needs_losses_and_says_so(bed):
    federation(bed, "blind", OortSelector)
    with pytest.raises(
        HandlerError, match=r"told no training loss: .*strategy=FedAvg\(metrics=True\)"
    ):
        bed.call("blind-server/coordinator", "run", {"num_rounds": 2})


def test_oorts_utility_is_equation_1():
    oort, client = OortSelector(preferred_seconds=2.0, penalty=2.0), RoleInstanceID("a", "trainer")
    oort.known[client] = ObservedUtility(utility=10.0, seconds=1.0, round=5)
    bonus = np.sqrt(0.1 * np.log(20) / 5)
    assert oort.utility(client, 20, 100.0) == pytest.approx(10 + bonus)
    assert oort.utility(client, 20, 8.0) == pytest.approx(8 + bonus)  # an outlier is clipped
    oort.known[client] = ObservedUtility(utility=10.0, seconds=4.0, round=5)
    assert oort.utility(client, 20, 100.0) == pytest.approx((10 + bonus) * (2 / 4) ** 2)


def clients(count):
    return [RoleInstanceID(f"c{number}", "trainer") for number in range(count)]


def knowing(utilities, **options):
    """An Oort selector that knows these utilities, of clients that took part in round 1."""
    oort = OortSelector(**options)
    oort.known = {
        client: ObservedUtility(value, 1.0, 1)
        for client, value in zip(clients(len(utilities)), utilities, strict=True)
    }
    return oort


def test_oorts_statistical_utility_is_the_size_times_the_loss():
    """|B| √(1/|B| Σ loss²) = 8 · 3 where each of 8 samples has a loss of 3; and it remembers when
    that was, and how long it took.
    """
    oort, (client,) = OortSelector(), clients(1)
    oort.learn({client: {"loss": 3.0, "data_size": 8, "seconds": 2.5}}, 4)
    assert oort.known[client] == ObservedUtility(utility=24.0, seconds=2.5, round=4)


def test_oort_explores_less_from_round_to_round_down_to_a_least():
    """ε is 0.9, 0.45 and 0.225 in rounds 1 to 3, then 0.2: of 10, 1, 5.5, 7.75 and 8 are exploited,
    rounded.
    """
    oort, everybody = knowing([5.0] * 10, decay=0.5, exploration=0.9, least=0.2), clients(20)
    for number, exploited in ((1, 1), (2, 6), (3, 8), (4, 8), (50, 8)):
        chosen = oort.pick(everybody, 10, number, np.random.default_rng(number))
        assert len(set(chosen)) == 10 and len(set(chosen) & set(everybody[:10])) == exploited


UTILITIES = [3.0, 100.0, 12.0, 55.0, 8.0, 1.0, 40.0, 23.0, 61.0, 5.0, 17.0, 30.0, 2.0, 9.0]
LAST = [19, 18, 3, 15, 1, 17, 12, 19, 2, 10, 6, 18, 19, 5]
AUTHORS = {
    1: 0.185086,
    8: 0.162804,
    3: 0.112589,
    4: 0.101321,
    6: 0.090485,
    2: 0.070021,
    11: 0.069172,
    10: 0.063128,
    7: 0.057017,
    13: 0.053377,
    9: 0.035,
}
"""With what probability the authors' program (FedScale's thirdparty/oort/oort.py) draws the first
of these in round 20.
"""


def test_oort_draws_with_the_probabilities_of_the_authors_program():
    """Where one is exploited, the pool has the eleven with most utility: 8, seen in round 1, before
    12, seen in round 3.
    """
    oort = OortSelector(exploration=0.0, least=0.0)
    oort.known = {
        client: ObservedUtility(utility, 1.0, last)
        for client, utility, last in zip(clients(14), UTILITIES, LAST, strict=True)
    }
    drawn = []

    class Recorder:
        def choice(self, able, count, replace, p):
            drawn.append((dict(zip(able.tolist(), p.tolist(), strict=True)), count, replace))
            return able[:count]

    oort._exploit(clients(14), 1, 20, Recorder())
    ((found, *how),) = drawn
    assert how == [1, False] and list(found) == list(AUTHORS)
    assert found == pytest.approx(AUTHORS, abs=1e-6)


def exploited(oort, known, count, seeds=200):
    return {
        client.actor_name
        for seed in range(seeds)
        for client in oort.pick(clients(known), count, 1, np.random.default_rng(seed))
    }


def test_oorts_pool_is_what_lies_above_the_cutoff_and_more_than_so_many_times_as_many():
    """With a pool of once as many and one more, 100 and 98 of 100, 98, 90 and 10; those above 0.95
    of the edge come in as well.
    """
    assert exploited(
        knowing([100.0, 98.0, 90.0, 10.0], exploration=0.0, least=0.0, pool=1), 4, 1
    ) == {"c0", "c1"}
    assert exploited(
        knowing([100.0, 98.0, 97.0, 10.0], exploration=0.0, least=0.0, pool=1), 4, 1
    ) == {"c0", "c1", "c2"}
    assert exploited(
        knowing([100.0, 98.0, 94.0, 60.0, 20.0], exploration=0.0, least=0.0), 5, 1
    ) >= {"c0", "c1", "c2", "c3"}


def test_oort_draws_by_utility_where_the_highest_is_clipped():
    """Of 1, 2, …, 39, 1000 and 2000, the last two count as the 95 % quantile, 39; the scale is that
    of the largest.
    """
    oort = knowing([*range(1, 40), 1000.0, 2000.0], exploration=0.0, least=0.0)
    found = oort.utilities(clients(41), 1)
    assert found[0] == pytest.approx(0.001 / 1999.001) and found[38] == pytest.approx(
        38.001 / 1999.001
    )
    assert found[39] == found[40] == found[38]


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
def test_oort_goes_on_when_a_loss_is_no_number(loss, caplog):
    oort, everybody = OortSelector(exploration=0.0, least=0.0), clients(4)
    results = {
        client: {"loss": 1.0 + number, "data_size": 8, "seconds": 1.0}
        for number, client in enumerate(everybody)
    }
    results[everybody[0]]["loss"] = loss
    oort.learn(results, 1)
    assert oort.known[everybody[0]].utility == 0.0
    assert (
        f"c0/trainer told a training loss of {loss} in round 1: its utility counts as 0"
        in caplog.text
    )
    counts = Counter(
        oort.pick(everybody, 1, 2, np.random.default_rng(seed))[0].actor_name for seed in range(400)
    )
    assert counts["c3"] > counts["c2"] > counts["c1"] > counts["c0"]
    oort.known = {client: ObservedUtility(0.0, 1.0, 1) for client in everybody}
    assert len(oort.pick(everybody, 2, 2, np.random.default_rng(0))) == 2


def test_oorts_uncertainty_brings_back_who_was_long_away():
    """Two of the same utility, 0.1, seen in rounds 1 and 25: √(0.1 log 100 / L) is 0.679 and 0.136,
    and so the first is drawn five times as often.
    """
    oort, (old, new) = OortSelector(exploration=0.0, least=0.0), clients(2)
    oort.known = {old: ObservedUtility(0.1, 1.0, 1), new: ObservedUtility(0.1, 1.0, 25)}
    assert oort.utility(old, 100, 1.0) == pytest.approx(0.77861, abs=1e-5)
    assert oort.utility(new, 100, 1.0) == pytest.approx(0.23572, abs=1e-5)
    drawn = [oort.pick([old, new], 1, 100, np.random.default_rng(seed))[0] for seed in range(2000)]
    # with no spread of the utilities, their differences are taken by 1e-4
    scaled = 0.1 * 0.001 / 1e-4
    expected = (scaled + 0.67861) / (2 * scaled + 0.67861 + 0.13572)
    assert drawn.count(old) / 2000 == pytest.approx(expected, abs=0.03)


def test_oorts_penalty_is_for_those_slower_than_preferred():
    """(T/t)^α: 6 s against 3 s, cubed, is an eighth; who is in time has neither penalty nor
    prize.
    """
    oort, (slow, fast) = OortSelector(preferred_seconds=3.0, penalty=3.0), clients(2)
    oort.known = {slow: ObservedUtility(16.0, 6.0, 1), fast: ObservedUtility(16.0, 1.0, 1)}
    assert oort.utility(slow, 1, 100.0) == pytest.approx(2.0)
    assert oort.utility(fast, 1, 100.0) == pytest.approx(16.0)


def test_oorts_pacer_grows_by_its_first_value():
    oort, (client,) = OortSelector(preferred_seconds=2.0, window=1), clients(1)
    for number, loss in enumerate([5.0, 4.0, 3.0, 2.0, 2.5, 1.0], 1):
        oort.learn({client: {"loss": loss, "data_size": 1, "seconds": 1.0}}, number)
    assert oort.preferred_seconds == 8.0  # after 5 to 4, 3 to 2, and 2.5 to 1


def test_oorts_pacer_allows_more_time_when_little_is_learnt():
    oort, client = OortSelector(preferred_seconds=2.0, window=3), RoleInstanceID("a", "trainer")
    for number, loss in enumerate([5.0, 5.0, 5.0, 1.0, 1.0, 1.0], 1):
        assert oort.preferred_seconds == 2.0
        oort.learn({client: {"loss": loss, "data_size": 10, "seconds": 3.0}}, number)
    assert oort.preferred_seconds == 4.0


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ClientSelector(fraction=0), "fraction must be more than 0 and at most 1, got 0"),
        (lambda: PowerOfChoiceSelector(candidates=0), "candidates must be 1 or more, got 0"),
        (
            lambda: OortSelector(least=0.5, exploration=0.1),
            "0 <= least <= exploration <= 1 must hold, got least=0.5, exploration=0.1",
        ),
        (lambda: OortSelector(pool=0), "pool must be 1 or more, got 0"),
    ],
)
def test_misuse_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
