"""The record of what happened: messages and metrics."""

from .records import MessageNote, MetricNote
from .tables import Messages, Metrics
from .trace import Trace

__all__ = ["MessageNote", "Messages", "MetricNote", "Metrics", "Trace"]
