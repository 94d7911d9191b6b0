"""Live views of a testbed in the notebook: each one `.py`, `.js` and `.css`, over `view` and
`common.js`.
"""

from roleml_nb.pictures import Picture

from .board import Board
from .logs import LogPane
from .metrics import Metrics
from .run_bar import RunBar
from .traffic import Traffic
from .view import View

__all__ = ["Board", "LogPane", "Metrics", "Picture", "RunBar", "Traffic", "View"]
