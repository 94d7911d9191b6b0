"""Live views of a testbed in the notebook, each with its `.py`, `.js` and `.css`."""

from roleml_nb.pictures import Picture
from roleml_nb.widgets.base.view import View
from roleml_nb.widgets.board.board import Board
from roleml_nb.widgets.logs.logs import LogPane
from roleml_nb.widgets.metrics.metrics import Metrics
from roleml_nb.widgets.notifications.run_bar import RunBar
from roleml_nb.widgets.traffic.traffic import Traffic

__all__ = ["Board", "LogPane", "Metrics", "Picture", "RunBar", "Traffic", "View"]
