"""Errors that nobody waits for: the notebook has them, with where and when."""

import json

import cloudpickle
import pytest

from roleml_nb import Event, EventHandler, HandlerError, Role, RoleInstanceID, Service, Task
from roleml_nb.role import Runnable
from roleml_nb.trace.errors import MAX_ERRORS, Errors
from tests.waiting import until


class Voice(Role):
    said = Event()

    @Service(expand=True)
    def say(self, caller, n):
        self.said.emit({"n": n})

    @Service(expand=True)
    def send_off(self, caller, name):
        self.call_task(RoleInstanceID(name, "voice"), "fail-unless", {"names": []})

    @Task(expand=True)
    def fail_unless(self, caller, names):
        if self.id.actor_name not in names:
            raise ValueError("not me")
        while True:
            self.base.host.clock.sleep(0.01)


class Ear(Role):
    @EventHandler("voice", "said", expand=True)
    def on_said(self, source, n):
        raise ValueError(f"cannot bear {n}")


class Failing(Role, Runnable):
    def run(self):
        raise ArithmeticError("in the main routine")

    def stop(self): ...


cloudpickle.register_pickle_by_value(__import__(__name__, fromlist=["_"]))


def mine(bed, name):
    return [failure for failure in bed.errors if failure.node.startswith(name)]


class Asker(Role):
    @Service(expand=True)
    def ask(self, caller):
        return self.call("me", "compute", payloads={"x": (n for n in [])})  # no generator travels

    @Service(expand=True)
    def compute(self, caller):
        return json.loads("{")


def test_a_traceback_has_the_lines_of_the_handler_and_none_of_ours(bed):
    bed.spawn("asker")
    bed.assign("asker", "asker", Asker)
    bed.relate("asker", "me", "asker/asker")
    with pytest.raises(HandlerError) as caught:
        bed.call("asker/asker", "ask")
    _, _, text = caught.value.remote_traceback.partition("was the direct cause")
    assert text.count("  File ") == 1 and "# no generator travels" in text
    assert "generator" in text.splitlines()[-1]
    with pytest.raises(HandlerError) as caught:
        bed.call("asker/asker", "compute")
    assert caught.value.remote_traceback.count("  File ") > 2  # what others raise is shown whole


def test_an_error_of_an_event_handler_is_told_with_where_and_when(bed):
    bed.spawn("told-voice", "told-ear{1..6}")
    bed.assign("told-voice", "voice", Voice)
    bed.assign("told-ear*", "ear", Ear)
    bed.relate("told-ear*", "voice", "told-voice/voice")
    before = len(bed.errors)
    bed.errors.report()  # of tests before this one
    bed.call("told-voice/voice", "say", {"n": 606})
    until(lambda: len(mine(bed, "told-ear")) == 6, "all errors are told", 30)
    failure = next(item for item in bed.errors if item.node == "told-ear2")
    assert (failure.role, failure.channel, failure.where["error"]) == (
        "ear",
        "on told-voice/voice.said",
        "ValueError",
    )
    assert failure.engine == (
        "the notebook" if not bed.engines else "engine " + bed.registry.places["told-ear2"][-1]
    )
    assert failure.time > 0 and failure.run is None
    assert (
        failure.text
        == f"told-ear2/ear.on told-voice/voice.said failed on {failure.engine}: ValueError: cannot"
        " bear 606"
    )
    assert 'raise ValueError(f"cannot bear {n}")' in failure.remote_traceback
    text = str(bed.errors)
    names = ", ".join(f"told-ear{number}" for number in range(1, 5))
    assert f"(same on 6 nodes: {names}, …)\n    Traceback (most recent call last):\n" in text
    assert text.count("cannot bear 606") == 2 and "<details><summary>" in bed.errors._repr_html_()
    assert list(bed.errors.to_pandas().tail(6)["error"]) == ["ValueError"] * 6
    news = bed.errors.report()
    assert "see %rml errors" in news and "same on 6 nodes" in news and "\n" not in news
    assert int(news.split()[0]) >= len(bed.errors) - before and bed.errors.report() == ""
    assert 'raise ValueError(f"cannot bear {n}")' in str(bed.logs("told-ear3", level="error"))


def test_an_error_of_a_runnable_is_told_and_belongs_to_the_run_under_way(bed):
    bed.spawn("during-a", "during-b")
    bed.assign("during-a", "voice", Voice)
    run = bed.run("during-a/voice", "fail-unless", {"names": ["during-a"]})
    bed.assign("during-b", "failing", Failing)
    [failure] = until(lambda: mine(bed, "during-b"), "it is told", 30)
    assert (
        failure.run == run.number
        and failure.channel == "run"
        and "in the main routine" in failure.text
    )
    bed.stop_run()
    assert run.wait(30)


def test_a_task_that_fails_is_told_when_nobody_can_ask_for_its_end(bed):
    bed.spawn("unheard-a", "unheard-b")
    bed.assign("unheard-*", "voice", Voice)
    bed.call("unheard-a/voice", "send-off", {"name": "unheard-b"})
    [failure] = until(lambda: mine(bed, "unheard-b"), "it is told", 30)
    assert (
        failure.text.startswith("unheard-b/voice.fail-unless failed on")
        and "not me" in failure.text
    )
    with pytest.raises(HandlerError):
        bed.call("unheard-a/voice", "fail-unless", {"names": []})
    assert mine(bed, "unheard-a") == []  # somebody has asked
    # one line, and the traceback
    assert str(bed.logs("unheard-a", level="error")).count("ValueError: not me") == 2


def test_nor_does_it_matter_that_it_has_failed_before(bed):
    bed.spawn("dropped")
    bed.assign("dropped", "voice", Voice)
    task = bed.call_task("dropped/voice", "fail-unless", {"names": []})
    until(task.done, "it has failed")
    assert mine(bed, "dropped") == []  # it can still be asked for
    del task
    [failure] = until(lambda: mine(bed, "dropped"), "it is told", 30)
    assert "not me" in failure.text


def test_the_first_failures_of_many_are_told_at_once(bed):
    bed.spawn("first-{1..4}")
    bed.assign("first-*", "voice", Voice)
    with pytest.raises(
        HandlerError,
        match=(
            r"ValueError: not me \(.*\d others? (is|are) still at work: end that with"
            r" bed.stop_run\(\) or "
        ),
    ):
        bed.call("first-*/voice", "fail-unless", {"names": ["first-1"]})
    bed.stop_run()


def test_equal_failures_of_many_are_told_once(bed, monkeypatch):
    monkeypatch.setattr("roleml_nb.testbed.calls.calls.COMBINE_WINDOW_S", 30.0)
    bed.spawn("alike-{1..3}")
    bed.assign("alike-*", "voice", Voice)
    with pytest.raises(HandlerError) as caught:
        bed.call("alike-*/voice", "fail-unless", {"names": []})
    assert str(caught.value).startswith("alike-1/voice.fail-unless failed on")
    assert str(caught.value).endswith(
        "ValueError: not me (same on 3 nodes: alike-1, alike-2, alike-3)"
    )
    shown = caught.value._render_traceback_()
    assert (
        shown[0] == f"HandlerError: {caught.value}"
        and shown[1].startswith("Traceback")
        and shown[-1] == "ValueError: not me"
    )
    assert caught.value.__notes__ == [caught.value.remote_traceback.rstrip()]


def test_what_is_kept_is_bounded():
    errors = Errors(lambda: 1.0)
    assert repr(errors) == "no errors" and errors == []
    for number in range(MAX_ERRORS + 3):
        errors.append(ValueError(f"number {number % 2}"))
    assert (
        len(errors) == MAX_ERRORS and errors.numbered(3) is None and errors.numbered(1) is errors[0]
    )
    assert str(errors).splitlines()[0] == "(3 earlier ones are no longer here)"
    assert str(errors).splitlines()[1] == "[1] number 1, 500 times"
    assert (
        errors.report()
        == "1000 new errors: number 1, 500 times; number 0, 500 times; see %rml errors"
    )
    errors.append(KeyError("other"))
    assert errors.report() == "1 new error: other; see %rml errors"
    errors.clear()
    assert errors == [] and str(errors) == "no errors"


def test_the_former_name_of_a_report_warns():
    errors = Errors(lambda: 1.0)
    errors.append(ValueError("odd"))
    with pytest.warns(DeprecationWarning, match=r"^roleml_nb: .* bed.errors.report now") as caught:
        assert errors.news() == "1 new error: odd; see %rml errors"
    assert caught[0].filename == __file__
    assert errors.report() == ""
