"""What one sees of views and figures in a notebook that has travelled: opened the next day, trusted
or not, in JupyterLab and in Notebook 7, and as the pages that nbconvert makes of it.
"""

import nbformat
import pytest
from nbconvert import get_exporter

from tests.test_travel import FIGURE, FIRST_VIEW, RUN, TESTBED, VIEWS, execute

SEEN = """() => {
  const cells = '.jp-Notebook .jp-Cell, body > main .jp-Cell, .reveal .jp-Cell';
  const visible = (cell) =>
    [...cell.querySelectorAll('.jp-OutputArea-output')].filter((one) => one.checkVisibility());
  const seen = (one) => {
    const frame = one.querySelector('iframe.roleml-page');
    const img = one.querySelector('img');
    const disconnected = one.querySelector('.jupyter-widgets-disconnected');
    if (disconnected?.checkVisibility()) return 'disconnected';
    if (one.querySelector('.roleml-live')) return 'live';
    if (frame) {
      const view = frame.contentDocument.querySelector('#view')?.shadowRoot;
      const drawn = view?.querySelector('.traffic, .row.print');
      return frame.offsetHeight > 60 && drawn ? 'page' : 'frame';
    }
    if (img && img.checkVisibility())
      return img.naturalWidth > 100 && img.offsetHeight > 20 ? 'picture' : 'broken';
    return one.innerText.trim() && 'text: ' + one.innerText.trim();
  };
  const outputs = (cell) => visible(cell).map(seen).filter(Boolean);
  return [...document.querySelectorAll(cells)].map(outputs);
}"""
CELLS = [TESTBED.replace("ENGINES", "0"), *VIEWS.values(), RUN, FIGURE]
PICTURES = [["picture"]] * len(VIEWS)
STOPPED = [["page"] if name in ("Traffic", "LogPane") else ["picture"] for name in VIEWS]


def wait_for_seen(page, expected):
    """Wait until the cells of the views, and that of the figure, show what is expected."""
    cells = [*range(FIRST_VIEW, FIRST_VIEW + len(VIEWS)), FIRST_VIEW + len(VIEWS) + 1]
    wanted = [*expected, ["picture"]]
    chosen = f"() => {{ const all = ({SEEN})(); return {cells}.map((place) => all[place] ?? []); }}"
    try:
        page.wait_for_function(
            f"(wanted) => JSON.stringify(({chosen})()) === JSON.stringify(wanted)",
            arg=wanted,
            timeout=60_000,
        )
    except Exception:
        assert page.evaluate(chosen) == wanted
        raise


@pytest.mark.parametrize("stop", [False, True], ids=["running", "stopped"])
def test_a_saved_notebook_shows_its_pictures_the_next_day(open_notebook, stop) -> None:
    lab = open_notebook(*CELLS)
    lab.page.set_viewport_size({"width": 1280, "height": 3600})  # all is seen, and drawn
    lab.run_all()
    wait_for_seen(lab.page, [["live"]] * len(VIEWS))
    if stop:
        lab.kernel("bed.stop()")
        wait_for_seen(lab.page, STOPPED)
    kind, expected = ("stopped", STOPPED) if stop else ("running", PICTURES)
    lab.screenshot(f"travel-{kind}-alive")
    lab.command("docmanager:save")
    lab.end_kernel()
    saved = nbformat.read(lab.file, 4)
    assert lab.file.stat().st_size < 300_000 * len(VIEWS)
    for place, app in (("lab/tree", "lab"), ("notebooks", "notebook7")):
        lab.replace(saved, trusted=True)
        lab.load(place)
        wait_for_seen(lab.page, expected)
        assert "widget" not in lab.page.evaluate(
            "() => document.querySelector('.jp-Notebook').innerText"
        )
        lab.screenshot(f"travel-{kind}-{app}-trusted")
        saved.metadata["moved"] = app  # what others have changed is not trusted
        saved.cells[0].source += "\n"
        lab.replace(saved, trusted=False)
        lab.load(place)
        wait_for_seen(lab.page, PICTURES)
        lab.screenshot(f"travel-{kind}-{app}-untrusted")
    # Notebook 7's own, without any view, too
    lab.troubles[:] = [one for one in lab.troubles if "notebook_core" not in one]


@pytest.fixture(scope="module")
def executed():
    """Notebooks that nbclient has run, which stores the state of widgets, as Jupyter Book and
    Quarto do.
    """
    return {"running": execute(RUN, FIGURE), "stopped": execute(RUN, FIGURE, "bed.stop()")}


@pytest.mark.parametrize("kind", ["running", "stopped"])
def test_a_widget_whose_state_alone_is_there_draws_nothing_and_hides_no_picture(
    open_notebook, executed, kind
) -> None:
    lab = open_notebook("")
    lab.page.set_viewport_size({"width": 1280, "height": 3600})
    lab.replace(executed[kind], trusted=True)
    lab.load()
    wait_for_seen(lab.page, STOPPED if kind == "stopped" else PICTURES)
    lab.screenshot(f"travel-{kind}-state")


@pytest.mark.parametrize("format", ["html", "slides"])
@pytest.mark.parametrize("kind", ["running", "stopped"])
def test_a_page_of_nbconvert_shows_all_without_network(
    browser, executed, tmp_path, kind, format
) -> None:
    text, _ = get_exporter(format)().from_notebook_node(executed[kind])
    (tmp_path / "run.html").write_text(text)
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 3600})
    page = context.new_page()
    page.goto((tmp_path / "run.html").as_uri(), wait_until="domcontentloaded")
    try:
        wait_for_seen(page, STOPPED if kind == "stopped" else PICTURES)
    finally:
        from .lab import SCREENSHOTS

        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"travel-{kind}-{format}.png")
        context.close()
