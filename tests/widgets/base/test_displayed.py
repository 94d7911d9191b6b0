"""What a view publishes in a notebook, and when it does so anew."""

import base64
import gc

import pytest

from roleml_nb import Event, Role, Task, Testbed
from roleml_nb.pictures import Picture
from roleml_nb.widgets.base import displayed
from roleml_nb.widgets.base.bundle import COMMON
from roleml_nb.widgets.base.displayed import PICTURE_TAG, WIDGET, frame, tagged
from tests.waiting import until


class Shell:
    """Stands where a kernel's shell is, and takes down what is published."""

    kernel = execution_count = 1

    def __init__(self):
        self.cell, self.callbacks, self.published = "cell-1", [], []
        self.display_pub = self.events = self

    def get_parent(self):
        return {"metadata": {"cellId": self.cell}}

    def publish(self, data, metadata, *, transient, update):
        self.published.append((transient["display_id"], dict(data), update))

    def register(self, name, callback):
        assert name == "post_run_cell"
        self.callbacks = [callback]

    def end_cell(self):
        self.published.clear()
        for callback in self.callbacks:
            callback()
        self.execution_count += 1
        return self.published[:]


class Counter(Role):
    round_completed = Event()

    @Task(expand=True)
    def run(self, caller, num_rounds):
        for number in range(num_rounds):
            self.round_completed.emit(args={"round": number, "loss": 1.0})


@pytest.fixture
def shell(monkeypatch):
    made = Shell()
    monkeypatch.setattr(displayed, "get_ipython", lambda: made)
    yield made
    gc.collect()


@pytest.fixture(params=[0, 2])
def bed(request):
    with Testbed(engines=request.param) as made:
        made.spawn("displayed-a")
        made.assign("displayed-a", "counter", Counter)
        yield made


def test_a_picture_is_renewed_at_the_end_of_cells_that_changed_it(shell, bed):
    view = bed.metrics("loss")
    view._ipython_display_()
    (picture, first, _), (widget, live, _) = shell.published
    assert set(first) == {"image/png", "text/plain"} and live == {
        WIDGET: {"version_major": 2, "version_minor": 1, "model_id": view.model_id},
        "text/html": "",
    }
    assert picture != widget
    shell.end_cell()
    assert shell.end_cell() == []
    bed.call("displayed-a/counter", "run", {"num_rounds": 2})
    ((again, second, update),) = shell.end_cell()
    assert (again, update) == (picture, True) and second["image/png"] != first["image/png"]
    assert shell.end_cell() == []


def test_a_stop_publishes_the_last_pictures_and_empties_the_widgets(shell, bed):
    board, bar = bed.board(), bed.run_bar()
    for view in (board, bar, board):
        view._ipython_display_()
    pictures, widgets = (
        [display_id for display_id, _, _ in shell.published[place::2]] for place in (0, 1)
    )
    bed.run("displayed-a/counter", "run", {"num_rounds": 2}).result(30)
    shell.published.clear()
    bed.stop()
    last = {display_id: data for display_id, data, update in shell.published if update}
    assert set(last) == {*pictures, *widgets} and all(
        last[one] == {"text/html": ""} for one in widgets
    )
    assert (
        last[pictures[1]]["text/plain"] == "<RunBar: displayed-a/counter.run, done, round 2 of 2>"
    )
    assert shell.end_cell() == []


def test_a_run_that_ends_between_cells_renews_the_picture_and_the_next_cell_does_so_again(
    shell, bed
):
    bar = bed.run_bar()
    bar._ipython_display_()
    shell.end_cell()
    shell.published.clear()
    bed.run("displayed-a/counter", "run", {"num_rounds": 2}).result(30)
    until(lambda: any(update for _, _, update in shell.published), "the picture")
    told = [data["text/plain"] for _, data, _ in (*shell.published, *shell.end_cell())]
    assert (
        told[-1] == told[0] == "<RunBar: displayed-a/counter.run, done, round 2 of 2>"
        and len(told) >= 2
    )


def test_what_a_cell_showed_before_it_ran_again_is_renewed_no_more(shell, bed):
    first, second = bed.board(), bed.board()
    first._ipython_display_()
    shell.end_cell()
    second._ipython_display_()
    (shown, _), _ = ((one[0], one[1]) for one in shell.published[-2:])
    shell.end_cell()
    bed.spawn("displayed-b")
    assert [display_id for display_id, _, _ in shell.end_cell()] == [shown]
    shell.cell = "cell-2"
    first._ipython_display_()
    shell.end_cell()
    bed.spawn("displayed-c")
    assert len(shell.end_cell()) == 2


def test_a_picture_that_cannot_be_drawn_is_no_error_of_the_cell(shell, bed, caplog):
    board = bed.board()
    board._ipython_display_()
    board.svg = lambda: 1 / 0
    shell.end_cell()
    assert "the picture of <Board: 1 node, 1 role> is as before: division by zero" in caplog.text
    del board.svg


def test_a_terminal_gets_words_and_nothing_anew(shell):
    del Shell.kernel
    try:
        with Testbed(engines=0) as bed:
            bed.board()._ipython_display_()
            assert (
                shell.published == [("", {"text/plain": "<Board: 0 nodes, 0 roles>"}, False)]
                and not shell.callbacks
            )
    finally:
        Shell.kernel = 1


def test_the_page_knows_the_mark_of_pictures():
    png = Picture("<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>", "").png()
    text = base64.b64encode(tagged(png)).decode()
    mark = base64.b64encode(PICTURE_TAG).decode()[:40]
    assert text[44:84] == mark and f'"{mark}"' in COMMON.with_suffix(".js").read_text()


def test_a_frame_is_one_line_whatever_the_page_says():
    framed = frame("<'a' & \"b\">", "it's\n<b>&amp;</b>")
    assert (
        framed.endswith("srcdoc='it&#39;s&#10;<b>&amp;amp;</b>'></iframe>") and "\n" not in framed
    )
    assert 'title="&lt;&#x27;a&#x27; &amp; &quot;b&quot;&gt;"' in framed
