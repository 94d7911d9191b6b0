"""Draw docs/board.png: the board in JupyterLab and Chromium, while federated learning runs on it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser.lab import FLAGS, Lab, Server, chromium  # noqa: E402

CELL = '''
from roleml_nb import Each, Testbed, impl
from roleml_nb.library import EpochTrainer, FedAvgAggregator, FederatedCoordinator
from roleml_nb.workload import digits, mlp
bed = Testbed(engines=2)
server, clients = bed.spawn("server"), bed.spawn("client{1..8}")
board = bed.board(by="relationship")
board.do("assign", nodes="client*", name="trainer", cls="EpochTrainer",
         elements={"model": "mlp(64, 10)", "dataset": "digits(part=i, parts=n)"})
board.do("assign", nodes="server", name="aggregator", cls="FedAvgAggregator")
board.do("assign", nodes="server", name="coordinator", cls="FederatedCoordinator")
board.do("relate", nodes="server", relationship="trainer", instances="client*/trainer")
board.ask_tidy()
board
'''


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(Path(folder))
        try:
            browser = playwright.chromium.launch(executable_path=chromium(), headless=True, args=FLAGS)
            lab = Lab(server, browser, "board", [CELL])
            lab.run_all()
            board = lab.page.locator(".board[data-ready='1']")
            board.evaluate("(board) => board.getRootNode().host.scrollIntoView({block: 'start'})")
            lab.kernel("bed.call_task('server/coordinator', 'run', {'num_rounds': 1000})")
            lab.page.locator(".card[data-node='server'] .chip[data-role='coordinator']").click()
            lab.page.wait_for_selector(".inspector:has-text('1 running')")
            lab.page.wait_for_selector(".chip.running", state="attached")
            board.screenshot(path=ROOT / "docs" / "board.png")
            lab.kernel("bed.stop_run(); bed.stop()")
            lab.close()
        finally:
            server.stop()


if __name__ == "__main__":
    main()
