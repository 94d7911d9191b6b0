"""Errors, logs and runs in the page: seen when they happen, whether a cell runs or not."""

from tests.waiting import until

ROLES = """
from pathlib import Path
from roleml_nb import Event, EventHandler, Role, Service, Task

class Server(Role):
    round_completed = Event()

    @Task(expand=True)
    def run(self, caller, num_rounds):
        for number in range(1, num_rounds + 1):
            print("round", number)
            self.round_completed.emit({"round": number})
            self.base.host.clock.sleep(0.01)

class Client(Role):
    @EventHandler("server", "round-completed", expand=True)
    def on_round(self, source, round):
        print("heard of", round)
        if round == 3:
            raise ArithmeticError("cannot bear three")
"""
LINES = """
%load_ext roleml_nb
%rml start --engines 0
%rml spawn server client{1..2}
%rml assign server server=Server
%rml assign client* client=Client
%rml relate client* server=server/server
"""
LATER = """
import threading, time
from pathlib import Path

def later(work):
    while not Path({path!r}).exists(): time.sleep(0.01)
    work()
def train():
    bed.call("server/server", "run", {{"num_rounds": 3}})
threading.Thread(target=later, args=[train]).start()
"""


def test_an_idle_notebook_is_told_of_an_error_at_once_and_its_file_is_not_touched(
    open_notebook, tmp_path
) -> None:
    lab = open_notebook(ROLES, LINES, LATER.format(path=str(tmp_path / "go")), "1 + 1")
    lab.page.evaluate(
        "() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 2; }"
    )
    lab.command("notebook:run-all-above")
    lab.command("notebook:run-cell")
    before = lab.cells()
    (tmp_path / "go").touch()
    notice = lab.page.locator("#roleml-notices .notice")
    notice.wait_for()
    first = (
        "client1/client.on server/server.round-completed failed on the notebook: ArithmeticError:"
        " cannot bear three"
    )
    lab.page.wait_for_selector("text=(same on 2 nodes: client1, client2); see %rml errors")
    assert first in notice.inner_text() and f"{lab.name}.ipynb" in notice.inner_text()
    lab.screenshot("notice")
    assert lab.cells() == before
    lab.page.evaluate(
        "() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 3; }"
    )
    lab.command("notebook:run-cell")  # tells it, and then the card need not
    notice.wait_for(state="hidden")
    told = [output for output in lab.cells()[3]["outputs"] if output["output_type"] == "stream"]
    assert [output["name"] for output in told] == ["stderr"] and first in told[0]["text"]
    assert lab.kernel("print(len(bed.errors))") == "2"


def test_logs_and_rounds_are_followed_while_a_cell_is_busy_and_its_own_bar_stops_it(
    open_notebook,
) -> None:
    lab = open_notebook(
        ROLES.replace("round == 3", "False"),
        LINES,
        "%rml logs client* --pane",
        "%rml logs server --pane",
        "bed.run_bar()",
        "%rml call server/server run num_rounds=10_000",
    )
    lab.start()
    page = lab.page
    panes = page.locator(".logpane .pane")
    for place, words in (
        (0, "client1/client: heard of"),
        (0, "client2/client: heard of"),
        (1, "server/server: round"),
    ):
        panes.nth(place).scroll_into_view_if_needed()  # it beats only while it is seen
        page.wait_for_function(
            "([el, words]) => el.textContent.includes(words)",
            arg=[panes.nth(place).element_handle(), words],
        )
    assert (
        "server/server" not in panes.nth(0).inner_text()
        and "client" not in panes.nth(1).inner_text()
    )
    page.locator(".runbar").first.scroll_into_view_if_needed()
    page.wait_for_selector(".runbar[data-state='running']")
    rounds = "([el, least]) => Number(/round (\\d+) of 10000/.exec(el.textContent)?.[1]) > least"
    texts = [
        page.locator(".runbar .text").first.element_handle(),
        page.locator(".runbar .text").nth(1).element_handle(),
    ]
    for text in texts:  # the bar of runs, and the cell's own
        page.wait_for_function(rounds, arg=[text, 0])
        page.wait_for_function(
            rounds,
            arg=[text, int(page.evaluate("(el) => /round (\\d+)/.exec(el.textContent)[1]", text))],
        )
    assert lab.cells()[-1]["execution_count"] is None  # it is busy
    lab.screenshot("logs")
    page.locator(".runbar .stop").nth(1).click()
    until(lambda: lab.cells()[-1]["execution_count"], "the cell ends", 60)
    assert lab.kernel("print(bed.runs.under_way)") == "[]"
    outputs = lab.cells()[-1]["outputs"]
    assert outputs[0]["data"] == {}  # of the cell's own bar, nothing is left
    assert [one["traceback"] for one in outputs[1:]] == [
        ["UsageError: rml: server/server.run was interrupted with the run"]
    ]
