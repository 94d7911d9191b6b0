"""What a view takes of a kernel: no thread that nobody needs, and nothing of a testbed that has
ended."""

import gc
import threading
import weakref

import pytest

from roleml_nb import Recording, Testbed
from roleml_nb.trace import Trace
from roleml_nb.trace.recording import write_recording
from roleml_nb.widgets.base import view as module
from roleml_nb.widgets.base.view import View
from tests.trace.test_recording import ABOUT
from tests.waiting import until


class Lamp(View):
    source = module.__file__.replace("base/view.py", "notifications/run_bar.py")

    def __init__(self):
        self.beats, self.told = 0, []
        super().__init__()

    def on_tick(self):
        self.beats += 1

    def handle_double(self, times):
        return times * 2

    def send(self, content, buffers=None):
        self.told.append((content, threading.current_thread().name))

    def svg(self):
        return "<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'></svg>"


def threads(name="lamp"):
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(name)]


@pytest.fixture
def lamp():
    lamp = Lamp()
    yield lamp
    lamp.close()


def make_visible(view, page, visible):
    view._on_message(None, {"kind": "seen", "view": page, "seen": visible}, [])


def test_a_view_has_a_thread_while_somebody_sees_it(lamp):
    assert threads() == [] and not lamp.visible
    for _ in range(2):
        make_visible(lamp, "page", True)
        make_visible(lamp, "other page", True)
        before = lamp.beats
        until(lambda before=before: lamp.beats > before + 1, "beats")
        assert threads() == ["lamp-ticks"]
        make_visible(lamp, "page", False)
        assert lamp.visible and threads() == ["lamp-ticks"]
        make_visible(lamp, "other page", False)
        until(lambda: threads() == [], "no thread")
    make_visible(lamp, "page", True)
    lamp.stop()
    assert threads() == []
    make_visible(lamp, "page", True)
    assert threads() == []


def test_what_is_asked_is_answered_in_order_by_one_thread_that_ends(lamp):
    for number in range(50):
        lamp._on_message(None, {"kind": "double", "id": number, "content": {"times": number}}, [])
    until(lambda: len(lamp.told) == 50, "answers")
    assert [content["value"] for content, _ in lamp.told] == [2 * number for number in range(50)]
    assert {name for _, name in lamp.told} == {"lamp-requests"}
    until(lambda: threads() == [], "no thread")
    lamp.stop()
    lamp._on_message(None, {"kind": "double", "id": 99, "content": {"times": 1}}, [])
    assert threads() == [] and len(lamp.told) == 50


def test_views_of_recordings_have_no_threads(tmp_path):
    write_recording(tmp_path / "run", Trace(1.0, lambda: None), ABOUT)
    views = [Recording.open(tmp_path / "run").traffic() for _ in range(20)]
    try:
        assert threads("traffic") == []
        make_visible(views[0], "page", True)
        views[0]._on_message(None, {"kind": "catch_up", "id": 1, "content": {"view": "page"}}, [])
        until(lambda: threads("traffic") == ["traffic-ticks"], "one thread")
        make_visible(views[0], "page", False)
        until(lambda: threads("traffic") == [], "no thread")
    finally:
        for view in views:
            view.close()


@pytest.mark.parametrize("kind", ["traffic", "board", "run_bar", "metrics"])
def test_the_kernel_lets_go_of_a_testbed_once_there_is_a_view_of_the_next_one(kind):
    def start():
        with Testbed(engines=0) as bed:
            view = getattr(bed, kind)()
        return weakref.ref(bed), view

    ended, view = start()
    model = view.model_id
    assert view.comm is not None, "a page that is loaded again finds the view"
    start()
    assert view.comm is None and "image/png" in _bundle(view) and model not in str(_bundle(view)), (
        "its picture is there"
    )
    del view
    gc.collect()
    assert ended() is None


def _bundle(view):
    bundle = view._repr_mimebundle_()
    return bundle[0] if isinstance(bundle, tuple) else bundle


def test_a_view_that_is_closed_is_not_kept_by_its_testbed():
    with Testbed(engines=0) as bed:
        views = [weakref.ref(bed.traffic()) for _ in range(3)]
        for view in views:
            view().close()
        gc.collect()
        assert [view() for view in views] == [None] * 3
