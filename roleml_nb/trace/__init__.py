"""The record of what happened: messages and metrics, and runs to compare."""

from .comparison import Comparison, compare
from .recording import Recording, RecordingError
from .run import Run
from .tables import Messages, Metrics
from .trace import Trace

__all__ = ["Comparison", "Messages", "Metrics", "Recording", "RecordingError", "Run", "Trace", "compare"]
