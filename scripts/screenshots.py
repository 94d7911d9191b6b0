"""Make the pictures of the live views in docs/images, out of a real JupyterLab in headless Chromium.

    python scripts/screenshots.py
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.browser.lab import FLAGS, Lab, Server, chromium  # noqa: E402

IMAGES = ROOT / "docs" / "images"
CELLS = ["""
from roleml_nb import Each, Testbed, impl
from roleml_nb.library import EpochTrainer, FedAvgAggregator, FederatedCoordinator, ModelMaintainer
from roleml_nb.workload import digits, digits_test, mlp

bed = Testbed(engines=0)
clients = bed.spawn("client{1..8}")
clients.assign("trainer", EpochTrainer, elements={
    "model": impl(mlp, 64, 10), "dataset": impl(digits, part=Each(range(8)), parts=8)})
bed.spawn("server")
bed.assign("server", "aggregator", FedAvgAggregator)
bed.assign("server", "coordinator", FederatedCoordinator)
bed.assign("server", "evaluator", ModelMaintainer, elements={
    "model": impl(mlp, 64, 10), "dataset_test": impl(digits_test)})
bed.relate("server", "trainer", clients.role("trainer"))
""", "bed.board()", "traffic = bed.traffic()\ntraffic", "metrics = bed.metrics()\nmetrics",
         "run = bed.run('server/coordinator', 'run', {'num_rounds': 40})\nrun.result()"]


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


def take(lab: Lab) -> None:
    page = lab.page
    keep(lab, "board", ".board")
    page.locator(".traffic .speed").select_option("0.1")
    page.locator(".traffic .play").click()  # pause
    page.locator(".traffic .scale").fill("9000")  # of 10,000: the last rounds
    page.locator(".traffic .play").click()
    page.wait_for_timeout(2500)
    keep(lab, "traffic-graph", ".traffic")
    page.locator(".traffic .play").click()
    tab(lab, "space-time")
    page.locator(".traffic .tools button", has_text="all").click()
    for _ in range(4):
        page.locator(".traffic .tools button", has_text="+").click()
    page.wait_for_timeout(1000)
    keep(lab, "traffic-space-time", ".traffic")
    tab(lab, "aggregation")
    keep(lab, "traffic-aggregation", ".traffic")
    page.wait_for_function("() => document.querySelectorAll('.js-plotly-plot .scatterlayer path.js-line').length > 3")
    keep(lab, "metrics", ".jp-OutputArea-output:has(.js-plotly-plot)")


def in_lab(work: Callable[[Lab], None]) -> None:
    where = chromium()
    if where is None:
        sys.exit("no Chromium here: install it, or say where it is in CHROMIUM")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=where, headless=True, args=FLAGS)
        server = Server(Path(folder))
        try:
            lab = Lab(server, browser, "screenshots", CELLS)
            lab.page.emulate_media(reduced_motion="no-preference")
            lab.run_all()
            work(lab)
            lab.kernel("bed.stop()")
            lab.close()
        finally:
            server.stop()
            browser.close()


if __name__ == "__main__":
    in_lab(take)
