"""Open live views by name: the one import upwards.

Testbeds and traces offer views of themselves, and lie below the views. So they ask here; ipywidgets
and Plotly are imported when the first view is opened.
"""

from __future__ import annotations

from typing import Any

__all__ = ["open_view"]


def open_view(name: str, *args: Any, **options: Any) -> Any:
    """Return a new ``roleml_nb.widgets.<name>(*args, **options)``."""
    from roleml_nb import widgets

    return getattr(widgets, name)(*args, **options)
