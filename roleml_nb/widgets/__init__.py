"""Live views of a testbed in the notebook: each one `.py`, `.js` and `.css`, over `view` and `common.js`."""

from .board import Board
from .logs import LogPane
from .picture import Picture
from .traffic import Traffic
from .view import View

__all__ = ["Board", "LogPane", "Picture", "Traffic", "View"]
