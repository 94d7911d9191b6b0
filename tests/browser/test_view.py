"""What all views share, in the page: requests and answers, refusals, the theme, who looks, the page
without a kernel.
"""

VIEW = '''
import tempfile, threading
from pathlib import Path
from traitlets import Unicode
from roleml_nb import RoleMLError
from roleml_nb.widgets import View
lamp_file = Path(tempfile.mkdtemp()) / "lamp.py"
lamp_file.with_suffix(".css").write_text(".shown { color: var(--accent); }")
lamp_file.with_suffix(".js").write_text("""
export default () => ({ render({ model, el }) {
  const view = openView({ model, el }, "lamp");
  const shown = tag("output", { class: "shown" });
  const button = (kind) => tag("button", { class: kind, onclick: async () => {
    try { shown.textContent = await view.request(kind, { times: 3 }); }
    catch (error) { shown.textContent = error.message; }
  } }, kind);
  view.root.append(...["double", "refuse", "fail", "release"].map(button));
  view.root.append(shown, tag("b", { class: "beats" }));
  view.onTrait("_word", (word) => { view.root.dataset.word = word; });
  view.onMessage("beat", (count) => { view.root.querySelector(".beats").textContent = count; });
  return view.close;
} });
""")
class Lamp(View):
    source = str(lamp_file)
    _word = Unicode("dark").tag(sync=True)
    count = 0
    def handle_double(self, times): return f"{times * 2} on {threading.current_thread().name[:13]}"
    def handle_refuse(self, times): raise RoleMLError("not today")
    def handle_fail(self, times): return 1 / 0
    def handle_release(self, times): go.set()
    def svg(self): return '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"/>'
    def describe(self): return f"<Lamp: {self._word}>"
    def on_tick(self):
        self.count += 1
        self.send_message("beat", self.count)
lamp = Lamp()
lamp
'''


def test_a_page_asks_and_the_kernel_answers_also_while_a_cell_runs(open_notebook) -> None:
    lab = open_notebook(
        VIEW,
        "import time; go = threading.Event(); busy = True\nwhile not go.is_set(): time.sleep(0.01)",
    )
    lab.start()
    shown, page = lab.page.locator(".lamp .shown"), lab.page
    page.locator(".lamp .double").click()
    page.wait_for_function(
        "(el) => el.textContent === '6 on lamp-requests'", arg=shown.element_handle()
    )
    page.locator(".lamp .refuse").click()
    page.wait_for_function("(el) => el.textContent === 'not today'", arg=shown.element_handle())
    page.locator(".lamp .fail").click()
    page.wait_for_function(
        "(el) => el.textContent === 'ZeroDivisionError: division by zero'",
        arg=shown.element_handle(),
    )
    page.locator(".lamp .release").click()
    assert lab.kernel("print(go.is_set())") == "True"


def test_a_view_that_begins_late_hears_the_kernel(open_notebook) -> None:
    lab = open_notebook(VIEW + "lamp._word = 'light'\nlamp")
    lab.page.evaluate(
        "() => { const limit = AbortSignal.timeout; AbortSignal.timeout = () =>"
        " limit.call(AbortSignal, 0); }"
    )
    lab.run_all()  # anywidget has no patience at all now
    lab.page.wait_for_selector(".lamp[data-word='light']")
    lab.page.locator(".lamp .double").click()
    lab.page.wait_for_selector(".lamp .shown:has-text('6 on lamp-requests')")
    lab.kernel("lamp._word = 'late'")
    lab.page.wait_for_selector(".lamp[data-word='late']")
    lab.troubles.clear()  # what anywidget says of it


def test_it_beats_while_it_is_seen_and_rests_otherwise(open_notebook) -> None:
    lab = open_notebook(VIEW, "lamp._word = 'light'")
    lab.run_all()
    page = lab.page
    page.wait_for_function(
        "(el) => Number(el.textContent) > 3", arg=page.locator(".lamp .beats").element_handle()
    )
    assert page.locator(".lamp").get_attribute("data-word") == "light"
    page.evaluate("() => document.querySelector('.jp-Notebook').style.display = 'none'")
    lab.kernel(
        "import time\nend = time.time() + 60\nwhile lamp.visible and time.time() < end:"
        " time.sleep(0.01)"
    )
    assert lab.kernel("print(lamp.visible)") == "False"
    lab.kernel("lamp.stop()")
    assert (
        lab.kernel("print([t.name for t in threading.enumerate() if t.name.startswith('lamp')])")
        == "[]"
    )


def test_the_theme_is_followed(open_notebook) -> None:
    lab = open_notebook(VIEW)
    lab.run_all()
    lab.theme("JupyterLab Light")  # another test may have left it dark
    lamp = lab.page.locator(".lamp").element_handle()
    colour = "(el) => getComputedStyle(el.getRootNode().host).backgroundColor"
    assert lab.page.evaluate(colour, lamp) == "rgb(255, 255, 255)"
    lab.theme("JupyterLab Dark")
    lab.page.wait_for_function(f"(el) => ({colour})(el) === 'rgb(22, 25, 29)'", arg=lamp)
    lab.theme("JupyterLab Light")


def test_a_page_without_a_kernel_draws_the_view(open_notebook, browser, tmp_path) -> None:
    lab = open_notebook(
        VIEW + f"lamp._word = 'blue'\nlamp.to_html({str(tmp_path / 'lamp.html')!r})"
    )
    lab.run_all()
    context = browser.new_context(offline=True)
    page, troubles = context.new_page(), []
    page.on("console", lambda said: troubles.append(said.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto((tmp_path / "lamp.html").as_uri())
    page.wait_for_selector(".lamp[data-word='blue']")
    assert page.title() == "<Lamp: blue>"
    page.locator(".lamp .double").click()
    page.wait_for_function(
        "(el) => el.textContent === 'no kernel is behind this page'",
        arg=page.locator(".lamp .shown").element_handle(),
    )
    assert troubles == []
    context.close()


def test_a_script_with_former_names_works_and_warns(open_notebook, browser, tmp_path) -> None:
    former = VIEW.replace("view.request(", "view.ask(")
    former = former.replace("view.onTrait(", "view.follow(").replace("view.onMessage(", "view.on(")
    lab = open_notebook(former + f"lamp.to_html({str(tmp_path / 'lamp.html')!r})")
    lab.run_all()
    context = browser.new_context(offline=True)
    page, told = context.new_page(), []
    page.on("console", lambda message: told.append((message.type, message.text)))
    page.goto((tmp_path / "lamp.html").as_uri())
    page.wait_for_selector(".lamp[data-word='dark']")
    page.locator(".lamp .double").click()
    page.wait_for_selector(".lamp .shown:has-text('no kernel is behind this page')")
    assert told == [
        ("warning", "roleml_nb: follow of views is called onTrait now"),
        ("warning", "roleml_nb: on of views is called onMessage now"),
        ("warning", "roleml_nb: ask of views is called request now"),
    ]
    context.close()


def test_the_notebook_keeps_a_picture(open_notebook) -> None:
    lab = open_notebook(VIEW, "lamp.picture()")
    lab.run_all()
    (picture, widget), (still,) = (
        [output["data"] for output in cell["outputs"]] for cell in lab.cells()
    )
    assert picture["text/plain"] == still["text/plain"] == "<Lamp: dark>"
    assert set(picture) == set(still) == {"text/plain", "image/png"}
    assert set(widget) == {"application/vnd.jupyter.widget-view+json", "text/html"}
