"""Metrics and the bar of runs in the page: they grow while a run goes on, and the bar steers it."""

from .test_traffic import FEDAVG

EMBEDDED = FEDAVG.replace("Testbed(engines=1, preload=())", "Testbed(engines=0)")


LINES = "() => document.querySelectorAll('.js-plotly-plot .scatterlayer path.js-line').length > 1"


def state(page, name: str) -> None:
    page.wait_for_function(
        "([el, name]) => el.querySelector('.text').textContent.startsWith(name)",
        arg=[page.locator(".runbar").element_handle(), name],
    )


def test_curves_grow_and_the_bar_pauses_steps_and_stops(open_notebook) -> None:
    lab = open_notebook(
        EMBEDDED,
        "metrics = bed.metrics('loss bytes')\nmetrics",
        "run = bed.run('server/coordinator', 'run', {'num_rounds': 100_000})",
    )
    lab.run_all()
    page = lab.page
    page.wait_for_selector(".runbar[data-state='running']")
    page.wait_for_function(LINES)
    page.locator(".runbar .pause").click()
    state(page, "paused")
    lab.kernel(
        "import time\nend = time.time() + 60\nbefore = -1\nwhile run.progress.done != before and"
        " time.time() < end:\n"
        # the round that was under way ends
        "    before = run.progress.done; time.sleep(0.5)"
    )
    done = int(lab.kernel("print(run.progress.done)"))
    page.locator(".runbar .step").click()
    lab.kernel(f"while run.progress.done < {done + 1} and time.time() < end: time.sleep(0.01)")
    page.locator(".runbar .pause").click()  # go on
    state(page, "running")
    lab.kernel(f"while run.progress.done < {done + 3} and time.time() < end: time.sleep(0.01)")
    assert int(lab.kernel("print(run.progress.done)")) >= done + 3
    lab.theme("JupyterLab Dark")
    lab.screenshot("metrics-dark")
    lab.theme("JupyterLab Light")
    lab.screenshot("metrics")
    page.locator(".runbar .stop").click()
    page.wait_for_selector(".runbar[data-state='stopped']")
    assert lab.kernel("print(run.state, bed.runs.under_way)") == "stopped []"
    still = lab.cells()[1]["outputs"][0]["data"]
    assert (
        set(still) == {"image/png", "text/plain"}
        and still["text/plain"] == "<Metrics: loss, bytes>"
    )


def test_curves_are_drawn_by_a_slow_page_and_by_one_that_is_loaded_again(open_notebook) -> None:
    lab = open_notebook(
        EMBEDDED,
        "bed.run('server/coordinator', 'run', {'num_rounds': 5}).result()",
        "metrics = bed.metrics('loss bytes')\nmetrics",
    )
    session = lab.context.new_cdp_session(lab.page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 8})  # Plotly alone needs seconds now
    lab.run_all()
    lab.page.wait_for_function(LINES)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    lab.command("docmanager:save")
    lab.load()
    lab.page.wait_for_function(LINES)


def test_the_bar_keeps_a_call_that_has_ended(open_notebook) -> None:
    lab = open_notebook(
        "%load_ext roleml_nb\n%rml start --engines 0",
        EMBEDDED.replace("bed = Testbed(engines=0)", ""),
        "bed.run_bar()",
        "%rml call server/coordinator run num_rounds=2",
    )
    lab.run_all()
    lab.page.wait_for_selector(".runbar[data-state='done']:has-text('round 2 of 2')")
