"""One run of an experiment: what some nodes did, for some time, as a curve that can be compared with others."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from roleml_nb.role import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from .trace import Trace

__all__ = ["Run"]

ROUNDS = "round-completed"
TESTS = "test-completed"


class Run:
    """A slice of a trace. See `Trace.run`, which makes one; nothing is read before it is asked for.

    Parameters
    ----------
    name : str
        What ran. Runs of one name that differ in `seed` are repetitions, of which `compare` shows mean and confidence.
    trace : Trace
    nodes : str or iterable of str, optional
        Patterns of the nodes that took part, e.g. "server client*"; all nodes when not given.
    seed : int
        Which repetition this is.
    metric : str
        What is compared: a number in the args of an event.
    channel : str, optional
        The event that carries it once per round. By default ``round-completed``, else the only one that has the metric.
    per_node : str, optional
        The event from which the spread over nodes is taken. By default `channel`, if several nodes emit it, else
        ``test-completed``, if several nodes do.
    consensus : str
        The metric that is the consensus distance, where any role emits it, or `Trace.note` noted it.
    start, stop : float, optional
        Seconds since the trace began. By default from the nodes' first message to another role on, to the end.
    max_bytes : float, optional
        Leave out what came after so many bytes were sent.
    """

    def __init__(
        self, name: str, trace: Trace, *, nodes: str | Iterable[str] | None = None, seed: int = 0, metric: str = "accuracy",
        channel: str | None = None, per_node: str | None = None, consensus: str = "consensus_distance",
        start: float | None = None, stop: float | None = None, max_bytes: float | None = None,
    ):
        self.name, self.seed, self.metric, self.channel = name, seed, metric, channel
        self.start, self.stop, self.max_bytes = start, stop, max_bytes
        self.nodes = ["*"] if nodes is None else nodes.split() if isinstance(nodes, str) else list(nodes)
        self._trace, self._per_node, self._consensus = trace, per_node, consensus

    def messages(self) -> pd.DataFrame:
        """What crossed from these nodes to others, by time; columns as of `Messages.to_pandas`, and "total", bytes so far.

        Messages between roles of one node cost nothing and are left out, and so are those that steer the testbed, and lost ones.
        """
        frame = self._trace.messages.between_nodes()
        frame = self._within(frame, "source_node")
        frame = frame[(frame["source_node"] != frame["target_node"]) & ~frame["outcome"].str.startswith("lost")]
        frame = frame.assign(total=frame["bytes"].cumsum())
        return frame if self.max_bytes is None else frame[frame["total"] <= self.max_bytes]

    @property
    def bytes(self) -> int:
        """How many were sent from node to node."""
        return int(self.messages()["bytes"].sum())

    def curve(self) -> pd.DataFrame:
        """One row per round.

        Columns: round (from 1), time (seconds since the first message), bytes (sent so far), the metric (its mean over nodes;
        a node that is behind counts with what it had last), worst, p10 and deviation (over nodes: the least, the 10th
        percentile, the standard deviation; NaN with one node) and consensus_distance (NaN where nobody emitted any).

        Raises
        ------
        ValueError
            For nodes, a metric or a channel that are not in the trace, and when several channels have the metric.
        """
        import pandas as pd

        metrics = self._within(self._trace.metrics.to_pandas(), "node")
        chosen = self._rounds(metrics)
        values = chosen.pivot_table(index="round", columns="line", values="value", aggfunc="last").ffill()
        times = chosen.groupby("round")["time"].max().cummax()
        messages = self.messages()
        curve = pd.DataFrame({"round": values.index, "time": times.to_numpy(), "bytes": _sums(messages, times.to_numpy()),
                              self.metric: values.mean(axis=1).to_numpy()})
        spread = values if values.shape[1] > 1 else self._others(metrics, times.to_numpy())
        for name, column in _spread(spread).items():
            curve[name] = column
        distances = metrics[metrics["metric"] == self._consensus]
        curve["consensus_distance"] = _as_of(distances, times.to_numpy()).mean(axis=1).to_numpy()
        if self.max_bytes is not None and len(messages):
            curve = curve[curve["time"] <= self._end()]
        curve["time"] -= self._begin(messages, chosen)
        return curve.reset_index(drop=True)

    def _within(self, frame: pd.DataFrame, side: str) -> pd.DataFrame:
        ours = frame[side].map(lambda node: any(fnmatchcase(node, pattern) for pattern in self.nodes)).astype(bool)
        frame = frame[ours]
        if self.start is not None:
            frame = frame[frame["time"] >= self.start]
        return frame if self.stop is None else frame[frame["time"] <= self.stop]

    def _rounds(self, metrics: pd.DataFrame) -> pd.DataFrame:
        """The emissions that carry the metric, with the round of each and the role that it is from ("line")."""
        known = self._trace.metrics.to_pandas()
        if metrics.empty:
            first = " ".join(self.nodes)
            raise ValueError(f"run {self.name!r}: no metrics from nodes {first!r}; {did_you_mean(first, known['node'].unique())}")
        having = metrics[metrics["metric"] == self.metric]
        if having.empty:
            raise ValueError(f"run {self.name!r}: none of its nodes emitted {self.metric!r}; "
                             f"{did_you_mean(self.metric, metrics['metric'].unique())}")
        channels = sorted(having["channel"].unique())
        channel = self.channel or (ROUNDS if ROUNDS in channels else channels[0])
        if channel not in channels:
            raise ValueError(f"run {self.name!r}: no {self.metric!r} on channel {channel!r}; {did_you_mean(channel, channels)}")
        if self.channel is None and channel != ROUNDS and len(channels) > 1:
            raise ValueError(f"run {self.name!r}: {self.metric!r} is on several channels, {', '.join(channels)}; say with "
                             "channel=… which one counts rounds")
        emitted = metrics[metrics["channel"] == channel]
        emitted = emitted.assign(line=emitted["node"] + "/" + emitted["role"])
        emitted = emitted.assign(round=emitted["step"] - emitted.groupby("line")["step"].transform("min") + 1)
        return emitted[emitted["metric"] == self.metric]

    def _others(self, metrics: pd.DataFrame, times: np.ndarray) -> pd.DataFrame:
        """Values per node from another channel, as they stood at the end of each round; of fewer than two nodes: none."""
        channel = self._per_node or TESTS
        frame = metrics[(metrics["metric"] == self.metric) & (metrics["channel"] == channel)]
        if self._per_node and frame.empty:
            raise ValueError(f"run {self.name!r}: no {self.metric!r} on channel {channel!r}; "
                             f"{did_you_mean(channel, metrics['channel'].unique())}")
        return _as_of(frame, times)

    def _begin(self, messages: pd.DataFrame, chosen: pd.DataFrame) -> float:
        if self.start is not None:
            return self.start
        return float(min([chosen["time"].min(), *messages["time"].head(1)]))

    def _end(self) -> float:
        """When the budget was spent: when the first message that exceeded it was sent."""
        whole = Run(self.name, self._trace, nodes=self.nodes, start=self.start, stop=self.stop).messages()
        beyond = whole.loc[whole["total"] > self.max_bytes, "time"]
        return float(beyond.iloc[0]) if len(beyond) else np.inf

    def __repr__(self) -> str:
        return f"<Run {self.name!r}, seed {self.seed}: {self.metric} of {' '.join(self.nodes)}; .curve(), .bytes>"


def _sums(messages: pd.DataFrame, times: np.ndarray) -> Any:
    """Bytes sent up to each time; NaN when no message was noted at all."""
    if messages.empty:
        return np.full(len(times), np.nan)
    totals = np.concatenate([[0], messages["total"].to_numpy()])
    return totals[np.searchsorted(messages["time"].to_numpy(), times, side="right")]


def _as_of(frame: pd.DataFrame, times: np.ndarray) -> pd.DataFrame:
    """The last value of each role at each time."""
    import pandas as pd

    columns = {}
    for line, part in frame.sort_values("time").groupby(frame["node"] + "/" + frame["role"]):
        known = np.concatenate([[np.nan], part["value"].to_numpy()])
        columns[line] = known[np.searchsorted(part["time"].to_numpy(), times, side="right")]
    return pd.DataFrame(columns, index=range(len(times)))


def _spread(values: pd.DataFrame) -> dict[str, np.ndarray]:
    if values.shape[1] < 2:
        return dict.fromkeys(("worst", "p10", "deviation"), np.full(len(values), np.nan))
    return {"worst": values.min(axis=1).to_numpy(), "p10": values.quantile(0.1, axis=1).to_numpy(),
            "deviation": values.std(axis=1, ddof=0).to_numpy()}
