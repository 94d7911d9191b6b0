"""Views under the former names of their methods: all works on, and warns where it stands."""

import warnings

import pytest

from roleml_nb import Testbed
from roleml_nb.widgets import View
from tests.waiting import until
from tests.widgets.base.test_view import Lamp, make_visible, threads


def define_former():
    class Former(Lamp):
        def beat(self):
            self.beats += 1
            self.tell("beat", self.beats)

        def rest(self):
            self.rested = True
            super().rest()

        def ask_half(self, number):
            return number / 2

    return Former


def test_a_subclass_with_former_names_works_and_warns_at_its_class_statement():
    with pytest.warns(DeprecationWarning) as caught:
        former = define_former()
    assert sorted(str(warning.message) for warning in caught) == [
        "roleml_nb: ask_half of Former is called handle_half now; rename it",
        "roleml_nb: beat of Former is called on_tick now; rename it",
        "roleml_nb: rest of Former is called stop now; rename it",
    ]
    assert {warning.filename for warning in caught} == {__file__}
    view = former()
    try:
        make_visible(view, "page", True)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            until(lambda: view.told and view.told[-1][0]["content"] is not None, "a beat")
            view._on_message(None, {"kind": "half", "id": 1, "content": {"number": 3}}, [])
            answer = {"kind": "answer", "id": 1, "value": 1.5}
            until(lambda: answer in [content for content, _ in view.told], "the answer")
            view.stop()
        assert view.rested and view._stopped and threads("former") == []
        assert {str(warning.message) for warning in caught} == {
            "roleml_nb: tell of views is called send_message now",
            "roleml_nb: rest of views is called stop now",
        }
        assert {warning.filename for warning in caught} == {__file__}
    finally:
        view.close()


def test_an_override_by_the_former_name_calls_the_method_that_it_overrides():
    with pytest.warns(DeprecationWarning):

        class Former(Lamp):
            def beat(self):
                super().beat()

    class Present(Former):
        def on_tick(self):
            super().on_tick()

    view = Present()
    with pytest.warns(DeprecationWarning, match="^roleml_nb: beat of views is called on_tick now"):
        view.on_tick()
    assert view.beats == 1
    with pytest.warns(DeprecationWarning):
        view.beat()
    assert view.beats == 2
    view.close()


def test_a_mixin_with_former_names_works():
    class Blink:
        def beat(self):
            self.beats -= 1

    with pytest.warns(DeprecationWarning, match="^roleml_nb: beat of Blinking is called on_tick"):

        class Blinking(Blink, Lamp):
            pass

    view = Blinking()
    view.on_tick()
    assert view.beats == -1
    view.close()


def test_a_subclass_with_both_names_is_for_versions_of_both_kinds():
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        class Both(Lamp):
            def on_tick(self):
                self.beats += 10

            beat = on_tick

    view = Both()
    view.on_tick()
    assert view.beats == 10
    view.close()


def test_calls_by_former_names_work_and_warn():
    view = Lamp()
    for call, present in [
        (view.beat, "beat of views is called on_tick"),
        (lambda: view.tell("hello", 1), "tell of views is called send_message"),
        (lambda: view.ask_double(2), "ask_double of views is called handle_double"),
        (lambda: view.seen, "seen of views is called visible"),
        (view.rest, "rest of views is called stop"),
    ]:
        with pytest.warns(DeprecationWarning, match=f"^roleml_nb: {present} now$") as caught:
            call()
        assert [warning.filename for warning in caught] == [__file__]
    assert view.beats == 1 and view._stopped
    assert ({"kind": "hello", "content": 1}, "MainThread") in view.told
    view.close()


@pytest.mark.parametrize("kind", ["traffic", "metrics"])
def test_views_of_a_testbed_rest_by_that_name_too(kind):
    with Testbed(engines=0) as bed:
        view = getattr(bed, kind)()
        with pytest.warns(DeprecationWarning, match="^roleml_nb: rest of views is called stop"):
            view.rest()
        view.stop()


def test_methods_of_ipywidgets_serve_no_page():
    view = Lamp()
    for kind in ("comm_opened", "control_comm_opened"):
        assert hasattr(view, f"handle_{kind}") and view._handler(kind) is None
    assert view._handler("double") == view.handle_double
    assert view._handler("double()") is view._handler("nothing") is None
    view.close()


def test_views_have_all_former_names():
    assert all(callable(getattr(View, name)) for name in ("beat", "rest", "tell"))
