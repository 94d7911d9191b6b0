"""Mergers, and the collectors that fill them from any thread."""

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from roleml_nb.role import (
    AsynchronousKeyValueMerger,
    CumulativeAddingValueMerger,
    CumulativeValueMerger,
    DictKeyValueMerger,
    ErrorHandlingStrategy,
    FilteredOut,
    HandlerError,
    KeyValueMerger,
    ListValueMerger,
    MergerTimeoutError,
    MergingFailedError,
    RoleInstanceID,
    TaskResultCollector,
    TaskResultFilter,
    make_kv_merger,
)

A, B = RoleInstanceID("a", "trainer"), RoleInstanceID("b", "trainer")


class InPlaceSum(CumulativeValueMerger):
    def cumulate(self, current_value, new_value):
        current_value += new_value
        return current_value


def done(result=None, error=None) -> Future:
    future: Future = Future()
    future.set_exception(error) if error else future.set_result(result)
    return future


def test_value_mergers():
    values, total, sums = ListValueMerger(), CumulativeAddingValueMerger(), InPlaceSum()
    for value in (1, 2, 3):
        values.push(value)
        total.push(value)
        sums.push(value)
    assert (values.merge(), total.merge(), sums.merge()) == ([1, 2, 3], 6, 6)
    assert CumulativeAddingValueMerger().merge() is None


@pytest.mark.parametrize("merger", [InPlaceSum, CumulativeAddingValueMerger])
def test_what_was_pushed_first_is_never_added_into(merger):
    weights, merging = np.ones(3), merger()
    merging.push(weights)
    merging.push(np.ones(3))
    assert list(merging.merge()) == [2, 2, 2] and list(weights) == [1, 1, 1]


def test_mergers_with_keys():
    pairs, agnostic = DictKeyValueMerger(), make_kv_merger(ListValueMerger())
    for key, value in ((A, 1), (B, 2), (A, 3)):
        pairs.push(key, value)
        agnostic.push(key, value)
    assert pairs.merge() == {A: 3, B: 2} and agnostic.merge() == [1, 2, 3]
    assert pairs.allow_append and not agnostic.disposable


def test_a_value_merger_serves_where_one_with_keys_is_asked_for():
    assert isinstance(ListValueMerger(), KeyValueMerger) and not isinstance([], KeyValueMerger)
    collector = AsynchronousKeyValueMerger([A], merger=ListValueMerger())
    collector.push(A, 1)
    assert collector.result(0) == [1]


def test_a_merger_waits_for_its_targets_which_are_told_apart_by_value():
    merger = AsynchronousKeyValueMerger([("a", "trainer"), B], merger=DictKeyValueMerger())
    with pytest.raises(
        MergerTimeoutError, match=r"no result yet from \('a', 'trainer'\), b/trainer"
    ):
        merger.result(0)
    with ThreadPoolExecutor(2) as pool:
        pool.submit(merger.push, A, 1).result()
        assert merger.result(0, ready_required=False) == {A: 1}
        pool.submit(merger.push, B, 2)
        assert merger.result(10) == {A: 1, B: 2} == merger.merge()


def test_a_key_that_is_no_target_or_comes_twice_is_refused_and_spoils_the_result():
    merger = AsynchronousKeyValueMerger([A], merger=ListValueMerger())
    with pytest.raises(KeyError, match="b/trainer is none of the targets: a/trainer"):
        merger.push(B, 1)
    with pytest.raises(MergingFailedError, match="b/trainer is none of the targets"):
        merger.result(0)
    merger = AsynchronousKeyValueMerger([A, B], merger=ListValueMerger())
    merger.push(A, 1)
    with pytest.raises(TypeError, match="a/trainer was pushed before"):
        merger.push(A, 1)


def test_with_allow_append_a_key_may_come_again_and_failures_are_the_pushers_own():
    merger = AsynchronousKeyValueMerger(None, merger=InPlaceSum(), allow_append=True)
    merger.push_bulk([(A, 1), (A, 2)])
    with pytest.raises(TypeError):
        merger.push(B, "text")
    assert merger.result(0) == 3


class TakesOnce(DictKeyValueMerger):
    allow_append = False


def test_allow_append_needs_a_merger_that_does():
    with pytest.raises(TypeError, match="TakesOnce takes each key only once"):
        AsynchronousKeyValueMerger([A], merger=TakesOnce(), allow_append=True)


def test_a_filter_may_change_leave_out_or_put_off():
    def positive(key, value):
        if value < 0:
            raise FilteredOut(still_count=value < -1)
        return key.actor_name, value * 10

    merger = AsynchronousKeyValueMerger([A, B], merger=DictKeyValueMerger(), data_filter=positive)
    merger.push_bulk([(A, -1), (B, -2)])
    with pytest.raises(MergerTimeoutError, match="from a/trainer;"):
        merger.result(0)
    merger.push(A, 1)
    assert merger.result(0) == {"a": 10} and not merger.failed


def test_nothing_to_wait_for():
    assert TaskResultCollector([], merger=ListValueMerger()).result(0) == []
    collector = TaskResultCollector(
        None, merger=ListValueMerger(), on_error=ErrorHandlingStrategy.RAISE_FIRST
    )
    assert collector.result(0) == []
    collector.push(A, done(error=HandlerError("no data")))
    with pytest.raises(MergingFailedError, match="no data"):
        collector.result(0)


def test_a_collector_leaves_out_what_failed_and_says_so(caplog):
    collector = TaskResultCollector([A, B], merger=ListValueMerger())
    error = HandlerError("no data")
    collector.push(A, done(1))
    collector.push(B, done(error=error))
    assert collector.result(0) == [1] and collector.failed == {B: error}
    assert "the task on b/trainer failed and is left out: no data" in caplog.text


def test_when_all_failed_there_is_nothing_to_merge():
    collector = TaskResultCollector([A, B], merger=ListValueMerger())
    for target in (A, B):
        collector.push(target, done(error=HandlerError("no data")))
    with pytest.raises(
        MergingFailedError, match="all of a/trainer, b/trainer failed; the last with: no data"
    ):
        collector.result(0)


def test_a_collector_fails_at_the_first_failure_or_keeps_it():
    error = HandlerError("no data")
    collector = TaskResultCollector(
        [A, B], merger=ListValueMerger(), on_error=ErrorHandlingStrategy.RAISE_FIRST
    )
    collector.push(B, done(error=error))
    with pytest.raises(MergingFailedError, match="no data"):
        collector.result(10)
    collector = TaskResultCollector(
        [A, B], merger=DictKeyValueMerger(), on_error=ErrorHandlingStrategy.KEEP
    )
    collector.push(A, done(1))
    collector.push(B, done(error=error))
    assert collector.result(0) == {A: 1, B: error}
    with pytest.raises(ValueError, match="RETRY"):
        TaskResultFilter(ErrorHandlingStrategy.RETRY)
