"""The record of what happened: messages, metrics and logs, and runs to compare."""

from .comparison import Comparison, compare
from .logs import Logs, LogView
from .messages import Messages
from .metrics import Metrics
from .recording import Recording, RecordingError
from .run import Run
from .trace import Trace

__all__ = [
    "Comparison",
    "LogView",
    "Logs",
    "Messages",
    "Metrics",
    "Recording",
    "RecordingError",
    "Run",
    "Trace",
    "compare",
]
