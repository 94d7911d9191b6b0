"""The record of what happened: messages and metrics."""

from .tables import Messages, Metrics
from .trace import Trace

__all__ = ["Messages", "Metrics", "Trace"]
