"""Notebooks that travel: what a view leaves where no kernel runs, whoever has run the notebook."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

from roleml_nb.pictures.figure import PLOTLY
from roleml_nb.widgets.base.displayed import IHDR_END, MAX_PAGE_BYTES, PICTURE_TAG, WIDGET

ROOT = Path(__file__).parents[1]
LIMIT = 120
MAX_VIEW_BYTES = 300_000
TESTBED = """\
from roleml_nb import Event, Service, Task, Testbed
from roleml_nb.library.pausing import Pausable

class Rounds(Pausable):
    round_completed = Event()

    @Task(expand=True)
    def run(self, caller, num_rounds):
        for number in range(1, num_rounds + 1):
            self.before_round()
            self.call("peer", "ask", {"number": number})
            print("round", number)
            self.round_completed.emit(args={"round": number, "loss": 1 / number})
        return num_rounds

class Peer(Rounds):
    @Service(expand=True)
    def ask(self, caller, number): return number

bed = Testbed(engines=ENGINES)
bed.spawn("hub", "leaf")
bed.assign("hub", "rounds", Rounds)
bed.assign("leaf", "peer", Peer)
bed.relate("hub", "peer", "leaf/peer")
None"""
VIEWS = {
    "Board": "board = bed.board()\nboard",
    "Traffic": "traffic = bed.traffic()\ntraffic",
    "Metrics": "metrics = bed.metrics('loss rounds bytes')\nmetrics",
    "RunBar": "bed.run_bar()",
    "LogPane": "bed.logs().pane()",
}
FIRST_VIEW = 1
RUN = "rounds = bed.run('hub/rounds', 'run', {'num_rounds': 3}).result()"
FIGURE = "bed.trace.metrics.plot('loss')"
ENDED = "bed.spawn('late'); print(board, traffic.picture().text)"


def notebook(*cells, engines=0):
    sources = [TESTBED.replace("ENGINES", str(engines)), *VIEWS.values(), *cells]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in sources])
    made.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    return made


def execute(*cells, engines=0):
    made = notebook(*cells, engines=engines)
    NotebookClient(made, timeout=LIMIT).execute()
    return made


@pytest.fixture(scope="module", params=[0, 2])
def running(request):
    """A notebook whose kernel ended without a stop."""
    return execute(RUN, FIGURE, ENDED, engines=request.param)


@pytest.fixture(scope="module")
def stopped():
    return execute(RUN, FIGURE, ENDED, "bed.stop()")


def outputs(made):
    """The outputs of each view: {its name: (picture, widget)}."""
    return {
        name: [output["data"] for output in made.cells[FIRST_VIEW + place].outputs]
        for place, name in enumerate(VIEWS)
    }


def test_pictures_show_the_end_of_the_run(running):
    printed = running.cells[-1].outputs[0].text.split("\n")[0]
    pictures = {name: picture for name, (picture, _) in outputs(running).items()}
    told = {name: picture["text/plain"] for name, picture in pictures.items()}
    assert (
        told["Board"] == "<Board: 3 nodes, 2 roles>"
        and f"{told['Board']} {told['Traffic']}" == printed
    )
    assert re.fullmatch(r"<Traffic: \d+ messages, .* MB, 3 nodes>", told["Traffic"])
    assert told["LogPane"] == "<LogPane: all nodes>"
    assert told["RunBar"] == "<RunBar: hub/rounds.run, done, round 3 of 3>"
    begun = execute("print()")
    for name, picture in pictures.items():
        assert len(picture["image/png"]) > len(outputs(begun)[name][0]["image/png"]), (
            f"{name} shows more than at first"
        )


def test_each_view_leaves_a_picture_that_any_page_shows(running, stopped):
    """GitHub and nbviewer draw no widgets, and take one picture of each output that has some."""
    for made in (running, stopped):
        for picture, _ in outputs(made).values():
            assert set(picture) - {PLOTLY} == {"image/png", "text/plain"}
            png = base64.b64decode(picture["image/png"])
            assert (
                png.startswith(b"\x89PNG")
                and png[IHDR_END : IHDR_END + len(PICTURE_TAG)] == PICTURE_TAG
            )
    assert all(set(widget) == {WIDGET, "text/html"} for _, widget in outputs(running).values())
    assert all(widget["text/html"] == "" for _, widget in outputs(running).values())


def test_a_stop_leaves_no_widget_and_a_page_that_replays(stopped):
    left = {name: widget for name, (_, widget) in outputs(stopped).items()}
    assert all(list(widget) == ["text/html"] for widget in left.values())
    assert [name for name, widget in left.items() if widget["text/html"]] == ["Traffic", "LogPane"]
    assert "hub/rounds: round 3" in left["LogPane"]["text/html"]
    page = left["Traffic"]["text/html"]
    assert (
        page.startswith('<iframe class="roleml-page" title="&lt;Traffic: ')
        and len(page) <= MAX_PAGE_BYTES
    )
    assert "\n" not in page and re.search(r"https?://(?!www\.w3\.org)", page) is None
    picture, _ = outputs(stopped)["Metrics"]
    assert [trace["name"] for trace in picture[PLOTLY]["data"]][0] == "loss: hub/rounds"


def test_a_figure_is_published_with_its_picture(running):
    (output,) = running.cells[FIRST_VIEW + len(VIEWS) + 1].outputs
    assert set(output.data) == {PLOTLY, "image/png", "text/plain"}
    assert output.data["text/plain"] == "<Figure: loss over time>"


def test_a_view_takes_little_of_a_file(running, stopped, tmp_path):
    for made in (running, stopped):
        state = made.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
        most = max(len(json.dumps(data)) for data in outputs(made).values())
        assert most <= MAX_PAGE_BYTES + 60_000
        assert (
            len(json.dumps(made)) <= len(VIEWS) * MAX_VIEW_BYTES
            and max(len(json.dumps(one)) for one in state.values()) < 100_000
        )
    three = execute(*["display(bed.metrics())"] * 3, RUN)
    assert len(json.dumps(three)) <= (len(VIEWS) + 3) * MAX_VIEW_BYTES


def test_a_kernel_that_was_killed_leaves_the_picture_of_the_last_run():
    made = notebook(
        "bed.call('hub/rounds', 'run', {'num_rounds': 2})",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    )
    with pytest.raises(DeadKernelError):
        NotebookClient(made, timeout=LIMIT).execute()
    assert re.fullmatch(
        r"<Traffic: [1-9]\d* messages, .* MB, 2 nodes>", outputs(made)["Traffic"][0]["text/plain"]
    )


@pytest.mark.parametrize("kind", ["html", "slides", "markdown", "latex"])
def test_nbconvert_shows_each_picture_once(running, stopped, kind):
    from nbconvert import get_exporter

    for made in (running, stopped):
        text, resources = get_exporter(kind)().from_notebook_node(made)
        shown = {"html": r'<img[^>]*src="data:image/png', "latex": r"\\adjustimage"}
        pattern = shown.get("html" if kind == "slides" else kind, r"!\[[a-z]+\]\(output_")
        assert len(re.findall(pattern, text)) == len(VIEWS) + 1, f"{kind}: {text[-2000:]}"
        assert "model not found" not in text


def test_papermill_leaves_the_same(tmp_path):
    import papermill

    nbformat.write(notebook(RUN), tmp_path / "run.ipynb")
    done = papermill.execute_notebook(
        str(tmp_path / "run.ipynb"),
        str(tmp_path / "done.ipynb"),
        progress_bar=False,
        execution_timeout=LIMIT,
    )
    (bar, widget) = outputs(done)["RunBar"]
    assert bar["text/plain"] == "<RunBar: hub/rounds.run, done, round 3 of 3>" and WIDGET in widget


def test_nbval_compares_cells_with_views_that_were_stopped_later(stopped, tmp_path):
    made = nbformat.from_dict(stopped)
    made.metadata.pop("widgets")
    # its figure
    made.cells[FIRST_VIEW + 2].source = (
        "# NBVAL_IGNORE_OUTPUT\n" + made.cells[FIRST_VIEW + 2].source
    )
    made.cells[-3].source = "# NBVAL_IGNORE_OUTPUT\n" + made.cells[-3].source  # a figure
    nbformat.write(made, tmp_path / "run.ipynb")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--nbval",
            "--nbval-current-env",
            "--nbval-cell-timeout=100",
            "-p",
            "no:cacheprovider",
            "--nbval-sanitize-with",
            str(ROOT / "roleml_nb" / "sanitize.cfg"),
            "--rootdir",
            str(tmp_path),
            str(tmp_path / "run.ipynb"),
        ],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        cwd=tmp_path,
    )
    assert f"{len(made.cells)} passed" in done.stdout, done.stdout[-3000:]


@pytest.mark.parametrize(
    "path",
    sorted([*ROOT.glob("notebooks/**/*.ipynb"), *ROOT.glob("tutorials/*.ipynb")]),
    ids=lambda path: path.stem,
)
def test_our_own_notebooks_have_no_holes(path):
    for cell in nbformat.read(path, 4).cells:
        before = {}
        for data in (output.get("data", {}) for output in cell.get("outputs", [])):
            assert "image/svg+xml" not in data
            if WIDGET in data or PLOTLY in data:
                assert "image/png" in {**before, **data}, cell.source
            before = data
