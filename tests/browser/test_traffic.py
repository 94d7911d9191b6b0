"""Traffic in the page: live while a cell is busy, exact, in time, replayed, and without a
kernel.
"""

import json

import pytest

FEDAVG = """
from pathlib import Path
from roleml_nb import Each, Testbed, impl
from roleml_nb.library import EpochTrainer, FedAvgAggregator, FederatedCoordinator
from roleml_nb.workload import digits, mlp

bed = Testbed(engines=1, preload=())
nodes = bed.spawn("client{1..4}")
nodes.assign("trainer", EpochTrainer, elements={
    "model": impl(mlp, 64, 10), "dataset": impl(digits, part=Each(range(4)), parts=4)})
bed.spawn("server")
bed.assign("server", "aggregator", FedAvgAggregator)
bed.assign("server", "coordinator", FederatedCoordinator)
bed.relate("server", "trainer", nodes.role("trainer"))
"""
GOSSIP = """
from pathlib import Path
from roleml_nb import Each, Testbed, impl
from roleml_nb.library import EpochTrainer, GossipAggregator, GossipCoordinator
from roleml_nb.workload import digits, mlp

bed = Testbed(engines=0)
nodes = bed.spawn("peer{1..5}")
nodes.assign("trainer", EpochTrainer, elements={
    "model": impl(mlp, 64, 10), "dataset": impl(digits, part=Each(range(5)), parts=5)})
nodes.assign("aggregator", GossipAggregator)
nodes.assign("coordinator", GossipCoordinator)
bed.wire("ring", nodes="peer*")
"""
UNTIL = """
import time
end = time.time() + 100  # should the test fail
while not Path({path!r}).exists() and time.time() < end:
    bed.call({target!r}, "run", {{"num_rounds": 1}})
"""
TOTALS = """
import json
between = bed.trace.messages.between_nodes()
print(json.dumps([len(between), float(between["bytes"].sum())]))
"""


def counted(lab, least: int, limit: int = 60) -> None:
    """Wait until the page has counted so many messages."""
    lab.page.wait_for_function(
        "([el, least]) => Number(el.dataset.messages) >= least",
        arg=[lab.page.locator(".traffic").element_handle(), least],
        timeout=limit * 1000,
    )


def busy(lab) -> bool:
    """Whether the last cell still runs; the kernel's own status is of whichever shell spoke
    last.
    """
    return lab.cells()[-1]["execution_count"] is None


def data(page) -> dict[str, str]:
    return page.locator(".traffic .stage").evaluate("(el) => ({ ...el.dataset })")


def tab(page, name: str) -> None:
    page.locator(f".traffic .tab[data-tab='{name}']").click()
    page.wait_for_selector(f".traffic[data-tab='{name}']")


def equals_the_trace(lab) -> list[float]:
    """Wait until the page's totals are those of the trace."""
    totals = json.loads(lab.kernel(TOTALS))
    lab.page.wait_for_function(
        "([el, [messages, size]]) => Number(el.dataset.messages) === messages &&"
        " Number(el.dataset.bytes) === size",
        arg=[lab.page.locator(".traffic").element_handle(), totals],
    )
    return totals


@pytest.fixture
def offline(browser):
    """Open a page from disk, with no network; it must say nothing on the console."""
    opened, troubles = [], []

    def open_it(path):
        context = browser.new_context(
            offline=True, viewport={"width": 1000, "height": 800}, reduced_motion="reduce"
        )
        opened.append(context)
        page = context.new_page()
        page.on("console", lambda said: troubles.append(said.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector(".traffic[data-ready='1']")
        return page

    yield open_it
    for context in opened:
        context.close()
    assert troubles == []


def test_federated_averaging_is_seen_while_the_cell_is_busy(open_notebook, tmp_path) -> None:
    stop = tmp_path / "stop"
    lab = open_notebook(
        FEDAVG,
        "view = bed.traffic()\nview",
        UNTIL.format(path=str(stop), target="server/coordinator"),
    )
    lab.page.emulate_media(reduced_motion="no-preference")
    lab.start()
    page = lab.page
    page.wait_for_selector(".traffic[data-ready='1']")
    counted(lab, 100)
    page.wait_for_function(
        "(el) => Number(el.dataset.flying) > 0",
        arg=page.locator(".traffic .stage").element_handle(),
    )
    page.wait_for_timeout(600)  # for a picture with many on their way
    lab.screenshot("traffic-graph", page.locator(".traffic"))
    before = int(page.locator(".traffic").get_attribute("data-messages"))
    counted(lab, before + 50)
    assert busy(lab)
    stop.touch()

    totals = equals_the_trace(lab)
    assert data(page)["nodes"] == "5"
    tab(page, "matrix")
    page.wait_for_selector(f".traffic .totals .bytes[data-bytes='{totals[1]:.0f}']")
    lab.screenshot("traffic-matrix", page.locator(".traffic"))
    page.locator(".traffic select.node").select_option("client2")
    page.wait_for_function(
        "([el, all]) => Number(el.dataset.messages) < all / 2",
        arg=[page.locator(".traffic").element_handle(), totals[0]],
    )
    page.locator(".traffic select.node").select_option("")

    tab(page, "space-time")
    page.locator(".traffic .tools button", has_text="all").click()
    page.wait_for_function(
        "(el) => Number(el.dataset.lines) > 50 && Number(el.dataset.bars) > 20",
        arg=page.locator(".traffic .stage").element_handle(),
    )
    lab.theme("JupyterLab Dark")
    lab.screenshot("traffic-space-time-dark", page.locator(".traffic"))
    lab.theme("JupyterLab Light")
    lab.kernel("bed.stop()")
    assert (
        lab.kernel(
            "import threading; print([t.name for t in threading.enumerate() if"
            " t.name.startswith('traffic')])"
        )
        == "[]"
    )


def test_gossip_is_seen_paused_zoomed_into_and_saved(open_notebook, offline, tmp_path) -> None:
    stop, saved = tmp_path / "stop", tmp_path / "traffic.html"
    lab = open_notebook(
        GOSSIP,
        "view = bed.traffic()\nview",
        UNTIL.format(path=str(stop), target="peer*/coordinator"),
    )
    lab.start()
    page = lab.page
    page.wait_for_selector(".traffic[data-ready='1']")
    counted(lab, 100)
    assert busy(lab)
    stop.touch()
    totals = equals_the_trace(lab)
    live = page.locator(".traffic .live")
    assert live.get_attribute("aria-pressed") == "true"
    page.locator(".traffic .play").click()
    page.wait_for_function(
        "(el) => el.getAttribute('aria-pressed') === 'false'", arg=live.element_handle()
    )
    lab.theme("JupyterLab Dark")
    lab.screenshot("traffic-graph-dark", page.locator(".traffic"))

    lab.kernel(f"view.to_html({str(saved)!r})")
    alone = offline(saved)
    assert alone.locator(".traffic").get_attribute("data-tab") == "graph"
    alone.wait_for_function(
        "([el, all]) => Number(el.dataset.messages) === all",
        arg=[alone.locator(".traffic").element_handle(), totals[0]],
    )
    tab(alone, "space-time")
    stage = alone.locator(".traffic .stage")
    alone.wait_for_function("(el) => Number(el.dataset.bars) > 10", arg=stage.element_handle())
    lines = int(data(alone)["lines"])
    alone.locator(".traffic .tools button", has_text="+").click()
    alone.wait_for_function(
        "([el, lines]) => Number(el.dataset.lines) < lines", arg=[stage.element_handle(), lines]
    )
    time = alone.locator(".traffic .time")
    ended = time.text_content()
    alone.locator(".traffic .scale").press("Home")
    alone.wait_for_function(
        "([el, ended]) => el.textContent !== ended", arg=[time.element_handle(), ended]
    )
    begun = time.text_content()
    alone.locator(".traffic .speed").select_option("0.1")
    alone.locator(".traffic .play").click()
    alone.wait_for_function(
        "([el, begun]) => el.textContent !== begun", arg=[time.element_handle(), begun]
    )


def test_a_recording_is_replayed_with_its_aggregations(open_notebook, tmp_path) -> None:
    where = str(tmp_path / "run.recording")
    lab = open_notebook(
        FEDAVG.replace("engines=1, preload=()", "engines=0")
        + "bed.call('server/coordinator', 'run', {'num_rounds':"
        f" 20}})\nbed.record({where!r})\nbed.stop()",
        "from roleml_nb.trace import Recording\nrecording ="
        f" Recording.open({where!r})\nrecording.traffic()",
    )
    lab.page.emulate_media(reduced_motion="no-preference")
    lab.run_all()
    page = lab.page
    page.wait_for_selector(".traffic[data-ready='1']")
    counted(lab, int(lab.kernel("print(len(recording.messages.between_nodes()))")))
    stage = page.locator(".traffic .stage").element_handle()
    page.locator(".traffic .speed").select_option("0.1")
    page.locator(".traffic .scale").fill("9000")
    page.locator(".traffic .play").click()
    page.wait_for_function("(el) => Number(el.dataset.flying) > 0", arg=stage)
    tab(page, "aggregation")
    page.wait_for_selector("text=round 20: 4 arrived")


def test_what_happened_last_stays_in_sight_also_when_an_answer_was_told_before_its_call(
    open_notebook,
) -> None:
    lab = open_notebook(
        "import time\nfrom roleml_nb import Testbed\nbed = Testbed(engines=0)\nbed.spawn('a', 'b')",
        "bed.traffic()",
    )
    lab.run_all()
    page, ends = lab.page, "'ask', 50, 'direct', begin + {}, begin + {}, 'delivered', ''"
    page.wait_for_selector(".traffic[data-ready='1']")
    tab(page, "space-time")
    lab.kernel(
        "begin = time.time()\nbed.trace.add([(1, 'reply', 'b/there', 'a/here',"
        f" {ends.format(0.2, 0.3)})], [])"
    )
    counted(lab, 1)
    lab.kernel(f"bed.trace.add([(1, 'service', 'a/here', 'b/there', {ends.format(0, 0.1)})], [])")
    counted(lab, 2)
    clock = page.locator(".traffic .time")
    # longer than it shows
    page.wait_for_function(
        "([el, rest]) => parseFloat(el.textContent) > rest + 6",
        arg=[clock.element_handle(), float(clock.text_content().split()[0])],
    )
    assert page.locator(".traffic .live").get_attribute("aria-pressed") == "true"
    assert (data(page)["lines"], data(page)["bars"]) == ("2", "1")
