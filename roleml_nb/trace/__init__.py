"""The record of a testbed: messages, metrics, logs and errors; recordings, and runs to compare."""

from roleml_nb.trace.analysis.comparison import Comparison, compare
from roleml_nb.trace.analysis.runs import Run

from .logs import Logs, LogView
from .messages import Messages
from .metrics import Metrics
from .recording import Recording, RecordingError
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
