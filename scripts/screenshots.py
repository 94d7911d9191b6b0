"""Make the pictures of the live views in docs/images, out of a real JupyterLab in headless
Chromium.

    python scripts/screenshots.py
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.browser.lab import Lab, browser_and_server  # noqa: E402

IMAGES = ROOT / "docs" / "images"
CELLS = [
    """
from roleml_nb import Testbed
from roleml_nb.library import EpochTrainer, FedAvgAggregator, FederatedCoordinator, ModelMaintainer
from roleml_nb.workload import digits, digits_test, mlp

bed = Testbed(engines=2)
bed.spawn("server", "client{1..8}")
board = bed.board(by="relationship")
board""",
    """
board.do("assign", nodes="client*", name="trainer", cls="EpochTrainer",
         elements={"model": "mlp(64, 10)", "dataset": "digits(part=i, parts=n)"})
board.do("assign", nodes="server", name="aggregator", cls="FedAvgAggregator")
board.do("assign", nodes="server", name="coordinator", cls="FederatedCoordinator")
board.do("assign", nodes="server", name="evaluator", cls="ModelMaintainer",
         elements={"model": "mlp(64, 10)", "dataset_test": "digits_test()"})
board.do("relate", nodes="server", relationship="trainer", instances="client*/trainer")
board.handle_tidy()
""",
    "traffic = bed.traffic()\ntraffic",
    "metrics = bed.metrics()\nmetrics",
    "run = bed.run('server/coordinator', 'run', {'num_rounds': 40})\nrun.result()",
]


def keep(lab: Lab, name: str, selector: str) -> None:
    """Keep a picture of what the selector finds."""
    found = lab.page.locator(selector).first
    found.scroll_into_view_if_needed()
    shot = lab.screenshot(name, found)
    IMAGES.mkdir(parents=True, exist_ok=True)
    Image.open(shot).convert("RGB").save(IMAGES / f"{name}.png", optimize=True)
    print(f"docs/images/{name}.png: {(IMAGES / f'{name}.png').stat().st_size // 1000} kB")


def tab(lab: Lab, name: str) -> None:
    lab.page.locator(f".traffic .tab[data-tab='{name}']").click()
    lab.page.wait_for_timeout(1500)


def seek(lab: Lab, place: int) -> int:
    """Move to a place of the time's 10,000; how many messages the graph has on their way then."""
    lab.page.locator(".traffic .scale").fill(str(place))
    lab.page.wait_for_timeout(100)
    return int(lab.page.locator(".traffic canvas").first.get_attribute("data-flying") or 0)


def take(lab: Lab) -> None:
    page = lab.page
    page.locator(".traffic").scroll_into_view_if_needed()
    page.wait_for_selector(".traffic[data-messages]:not([data-messages='0'])")
    page.locator(".traffic .speed").select_option("0.01")
    page.locator(".traffic .play").click()  # pause
    seek(lab, max(range(5000, 9900, 50), key=lambda place: seek(lab, place)))
    keep(lab, "traffic-graph", ".traffic")
    tab(lab, "space-time")
    page.locator(".traffic .tools button", has_text="all").click()
    for _ in range(4):
        page.locator(".traffic .tools button", has_text="+").click()
    seek(lab, 9600)
    page.wait_for_timeout(1000)
    keep(lab, "traffic-space-time", ".traffic")
    tab(lab, "aggregation")
    keep(lab, "traffic-aggregation", ".traffic")
    page.locator(".js-plotly-plot").scroll_into_view_if_needed()
    page.wait_for_function(
        "() => document.querySelectorAll('.js-plotly-plot .scatterlayer path.js-line').length > 3"
    )
    keep(lab, "metrics", ".jp-OutputArea-output:has(.js-plotly-plot)")
    lab.kernel("bed.call_task('server/coordinator', 'run', {'num_rounds': 1000})")
    page.locator(".card[data-node='server'] .chip[data-role='coordinator']").click()
    page.wait_for_selector(".inspector:has-text('1 running')")
    page.wait_for_selector(".chip.running", state="attached")
    keep(lab, "board", ".board")
    lab.kernel("bed.stop_run()")


def in_lab(work: Callable[[Lab], None]) -> None:
    with browser_and_server() as (browser, server):
        lab = Lab(server, browser, "screenshots", CELLS)
        lab.page.emulate_media(reduced_motion="no-preference")
        lab.run_all()
        work(lab)
        lab.kernel("bed.stop()")
        lab.close()


if __name__ == "__main__":
    in_lab(take)
