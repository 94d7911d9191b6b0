"""Pictures for places where no kernel runs: SVG, its PNG, and figures of Plotly with both."""

from .picture import Picture

__all__ = ["Picture"]
