"""Live views of a testbed in the notebook: each one `.py`, `.js` and `.css`, over `view` and `common.js`."""

from .logs import LogPane
from .picture import Picture
from .view import View

__all__ = ["LogPane", "Picture", "View"]
