"""One run of an experiment: the curve of some nodes over some time, to be compared with others."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from roleml_nb.role import ArgumentError, did_you_mean
from roleml_nb.role.checks.numbers import as_count, short
from roleml_nb.trace.flows import Flow
from roleml_nb.trace.messages import Past, is_control, matches_any

if TYPE_CHECKING:
    import pandas as pd

    from roleml_nb.trace.trace import Trace

__all__ = ["Run"]

ROUND_CHANNEL = "round-completed"
TEST_CHANNEL = "test-completed"
HINT = "set bed.trace.limit higher before the run, or record in time"


class Run:
    """A slice of a trace. See `Trace.run`, which makes one; nothing is read before it is asked for.

    Parameters
    ----------
    name : str
        The name of the experiment. Runs of one name that differ in `seed` are repetitions, of which
        `compare` shows mean and confidence.
    trace : Trace
    nodes : str or iterable of str, optional
        Patterns of the nodes that took part, e.g. "server client*"; all nodes when not given.
    seed : int
        The number of the repetition.
    metric : str
        The number in the args of an event that is compared.
    channel : str, optional
        The event that carries it once per round. By default ``round-completed``, else the only one
        that has the metric.
    per_node : str, optional
        The event from which the spread over nodes is taken. By default `channel`, if several nodes
        emit it, else ``test-completed``, if several nodes do.
    consensus : str
        The metric that is the consensus distance, where a role emits it or `Trace.record` has
        recorded it.
    start, stop : float, optional
        Seconds since the trace began. By default from the nodes' first message to another role on,
        to the end.
    max_bytes : float, optional
        Leave out messages and values after so many bytes were sent.
    """

    def __init__(
        self,
        name: str,
        trace: Trace,
        *,
        nodes: str | Iterable[str] | None = None,
        seed: int = 0,
        metric: str = "accuracy",
        channel: str | None = None,
        per_node: str | None = None,
        consensus: str = "consensus_distance",
        start: float | None = None,
        stop: float | None = None,
        max_bytes: float | None = None,
    ):
        if isinstance(seed, bool) or not hasattr(seed, "__index__") or np.ndim(seed):
            raise ArgumentError(f"run {name!r}: seed must be a whole number, not {short(seed)}")
        for what, value in (("start", start), ("stop", stop), ("max_bytes", max_bytes)):
            if value is not None and (not isinstance(value, numbers.Real) or value != value):
                raise ArgumentError(f"run {name!r}: {what} must be a number, not {short(value)}")
        self.name = name
        self.seed = as_count("seed", seed)
        self.metric = metric
        self.channel = channel
        self.start, self.stop = start, stop
        self.max_bytes = max_bytes
        if nodes is None:
            self.nodes = ["*"]
        else:
            self.nodes = nodes.split() if isinstance(nodes, str) else list(nodes)
        self._trace = trace
        self._per_node = per_node
        self._consensus = consensus

    def messages(self) -> pd.DataFrame:
        """Return the messages from these nodes to others, by time.

        Columns: those of `Messages.to_pandas`, and "total", bytes so far.

        Messages between roles of one node cost nothing and are left out, and so are control
        messages and lost ones. Messages that became totals are in "total" alone (see
        `Trace.limit`). ValueError when these can't be told apart from messages outside of `start`
        and `stop`, or after `max_bytes`.
        """
        past = self._past()
        frame = self._crossing(past.bytes - past.lost_bytes)
        if self.max_bytes is None:
            return frame
        if past.bytes - past.lost_bytes > self.max_bytes:
            raise ArgumentError(
                f"run {self.name!r}: its first {self.max_bytes:,.0f} bytes were sent by messages"
                f" that are totals by now, so nobody knows which; {HINT}"
            )
        return frame[frame["total"] <= self.max_bytes]

    def _crossing(self, before: int) -> pd.DataFrame:
        """Return the single messages, which come after so many bytes."""
        frame = self._trace.messages.between_nodes()
        frame = self._within(frame, "source_node")
        frame = frame[
            (frame["source_node"] != frame["target_node"])
            & ~frame["outcome"].str.startswith("lost")
        ]
        return frame.assign(total=frame["bytes"].cumsum() + before)

    def _past(self) -> Past:
        """Return the messages of this run that became totals; ValueError when nobody knows them."""
        past = self._trace.messages.past(self._crosses)
        after = self.start is None or self.start <= past.first
        before = self.stop is None or self.stop >= past.last
        if not past.messages or (after and before):
            return past
        if (self.start is not None and self.start > past.last) or (
            self.stop is not None and self.stop < past.first
        ):
            return Past(0, 0, 0, np.inf, -np.inf)
        raise ArgumentError(
            f"run {self.name!r}: {past.messages:,} messages from {past.first:.3f} to"
            f" {past.last:.3f} s are totals by now, so nobody knows which came between its start"
            f" and its stop; {HINT}"
        )

    def _crosses(self, flow: Flow) -> bool:
        ends = flow.source.partition("/")[0], flow.target.partition("/")[0]
        return (
            ends[0] != ends[1]
            and not is_control(flow.source, flow.target)
            and self._includes(ends[0])
        )

    def _includes(self, node: str) -> bool:
        return matches_any(node, self.nodes)

    @property
    def bytes(self) -> int:
        """Bytes that were sent from node to node, also by messages that became totals.

        ValueError as of `messages`.
        """
        if self.max_bytes is None:
            past = self._past()
            return past.bytes - past.lost_bytes + int(self._crossing(0)["bytes"].sum())
        frame = self.messages()
        return int(frame["total"].iloc[-1]) if len(frame) else 0

    def curve(self) -> pd.DataFrame:
        """Return one row per round.

        Columns: round (from 1), time (seconds since the first message), bytes (sent so far; NaN
        where nobody knows any more, since messages became totals), the metric (its mean over nodes;
        a node that is behind counts with what it had last; NaN when that of a node is), worst, p10
        and deviation (over nodes: the least, the 10th percentile, the standard deviation; NaN with
        one node, and when that of a node is) and consensus_distance (NaN where nobody emitted any).

        Raises
        ------
        ValueError
            For nodes, a metric or a channel that are not in the trace, when several channels have
            the metric, and when values of the run are no longer in the trace.
        """
        import pandas as pd

        metrics = self._within(self._trace.metrics.table(), "node")
        chosen = self._rounds(metrics)
        values, known = _last_of(chosen)
        times = chosen.groupby("round")["time"].max().cummax()
        begin, sent = self._sent(times.to_numpy())
        curve = pd.DataFrame(
            {
                "round": values.index,
                "time": times.to_numpy(),
                "bytes": sent,
                self.metric: _mean(values, known),
            }
        )
        spread, spread_known = (
            (values, known) if values.shape[1] > 1 else self._others(metrics, times.to_numpy())
        )
        for name, column in _spread(spread, spread_known).items():
            curve[name] = column
        distances, distances_known = _as_of(
            metrics[metrics["metric"] == self._consensus], times.to_numpy()
        )
        curve["consensus_distance"] = _mean(distances, distances_known)
        if self.max_bytes is not None:
            curve = curve[curve["time"] <= self._end()]
        curve["time"] -= self._begin(begin, chosen)
        return curve.reset_index(drop=True)

    def _sent(self, times: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the time of the first message (or inf), and the bytes up to each time (or NaN)."""
        try:
            past = self._past()
            messages = self.messages()
        except ValueError:
            if self.max_bytes is not None:
                raise
            return self._trace.messages.past(self._crosses).first, np.full(len(times), np.nan)
        before = past.bytes - past.lost_bytes
        first = min([past.first, *messages["time"].head(1)])
        if not past.messages and messages.empty:
            return first, np.full(len(times), np.nan)
        totals = np.concatenate([[before], messages["total"].to_numpy()]).astype(float)
        sent = totals[np.searchsorted(messages["time"].to_numpy(), times, side="right")]
        return first, np.where((times >= past.last) | (times < past.first), sent, np.nan)

    def _within(self, frame: pd.DataFrame, side: str) -> pd.DataFrame:
        ours = frame[side].map(self._includes).astype(bool)
        frame = frame[ours]
        if self.start is not None:
            frame = frame[frame["time"] >= self.start]
        return frame if self.stop is None else frame[frame["time"] <= self.stop]

    def _rounds(self, metrics: pd.DataFrame) -> pd.DataFrame:
        """Return the emissions of the metric, with the round and the role ("line") of each."""
        if metrics.empty:
            known = self._trace.metrics.table()
            first = " ".join(self.nodes)
            raise ArgumentError(
                f"run {self.name!r}: no metrics from nodes {first!r}; "
                f"{did_you_mean(first, known['node'].unique())}"
            )
        having = metrics[metrics["metric"] == self.metric]
        if having.empty:
            raise ArgumentError(
                f"run {self.name!r}: none of its nodes emitted {self.metric!r}; "
                f"{did_you_mean(self.metric, metrics['metric'].unique())}"
            )
        channels = sorted(having["channel"].unique())
        channel = self.channel or (ROUND_CHANNEL if ROUND_CHANNEL in channels else channels[0])
        if channel not in channels:
            raise ArgumentError(
                f"run {self.name!r}: no {self.metric!r} on channel {channel!r}; "
                f"{did_you_mean(channel, channels)}"
            )
        if self.channel is None and channel != ROUND_CHANNEL and len(channels) > 1:
            raise ArgumentError(
                f"run {self.name!r}: {self.metric!r} is on several channels, {', '.join(channels)};"
                " say with channel=… which one counts rounds"
            )
        emitted = metrics[metrics["channel"] == channel]
        emitted = emitted.assign(line=emitted["node"] + "/" + emitted["role"])
        emitted = emitted.assign(
            round=emitted["step"] - emitted.groupby("line")["step"].transform("min") + 1
        )
        self._check_whole(channel)
        return emitted[emitted["metric"] == self.metric]

    def _check_whole(self, channel: str) -> None:
        """Raise ValueError when values of a channel in this run are no longer in the trace."""
        begin = -np.inf if self.start is None else self.start + self._trace.start
        end = np.inf if self.stop is None else self.stop + self._trace.start
        for key, series in list(self._trace.metrics.series.items()):
            within = series.gone and series.gone_until >= begin and series.first_sent <= end
            if within and key.channel == channel and self._includes(key.node):
                raise ArgumentError(
                    f"run {self.name!r}: {series.gone:,} values of {key.metric!r} that"
                    f" {key.node}/{key.role} emitted are no longer in the trace; {HINT}"
                )

    def _others(
        self, metrics: pd.DataFrame, times: np.ndarray
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return values per node, as another channel had them at the end of each round.

        There are none for fewer than two nodes.
        """
        channel = self._per_node or TEST_CHANNEL
        frame = metrics[(metrics["metric"] == self.metric) & (metrics["channel"] == channel)]
        if self._per_node and frame.empty:
            raise ArgumentError(
                f"run {self.name!r}: no {self.metric!r} on channel {channel!r}; "
                f"{did_you_mean(channel, metrics['channel'].unique())}"
            )
        return _as_of(frame, times)

    def _begin(self, first: float, chosen: pd.DataFrame) -> float:
        return float(min(chosen["time"].min(), first)) if self.start is None else self.start

    def _end(self) -> float:
        """Return the time when the first message beyond the budget was sent."""
        past = self._past()
        whole = self._crossing(past.bytes - past.lost_bytes)
        beyond = whole.loc[whole["total"] > self.max_bytes, "time"]
        return float(beyond.iloc[0]) if len(beyond) else np.inf

    def __repr__(self) -> str:
        return (
            f"<Run {self.name!r}, seed {self.seed}: {self.metric} of {' '.join(self.nodes)};"
            " .curve(), .bytes>"
        )


def _last_of(chosen: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the last value so far of each line in each round, and True where there is one.

    A value may be NaN.
    """
    import pandas as pd

    last = chosen.drop_duplicates(["round", "line"], keep="last")
    places = (
        last.assign(place=np.arange(len(last)))
        .pivot(index="round", columns="line", values="place")
        .ffill()
    )
    known = places.notna()
    values = np.where(known, last["value"].to_numpy()[places.fillna(0).to_numpy(int)], np.nan)
    return pd.DataFrame(values, index=places.index, columns=places.columns), known


def _as_of(frame: pd.DataFrame, times: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the last value of each role at each time, and True where there is one.

    A value may be NaN.
    """
    import pandas as pd

    values, known = {}, {}
    for line, part in frame.sort_values("time").groupby(frame["node"] + "/" + frame["role"]):
        place = np.searchsorted(part["time"].to_numpy(), times, side="right")
        values[line] = np.concatenate([[np.nan], part["value"].to_numpy()])[place]
        known[line] = place > 0
    index = range(len(times))
    return pd.DataFrame(values, index=index, dtype=float), pd.DataFrame(
        known, index=index, dtype=bool
    )


def _keep_nan(column: pd.Series, values: pd.DataFrame, known: pd.DataFrame) -> pd.Series:
    """Put NaN where an emitted value is NaN; pandas leaves it out as if it were not there."""
    return column.mask((values.isna() & known).any(axis=1))


def _mean(values: pd.DataFrame, known: pd.DataFrame) -> np.ndarray:
    with np.errstate(all="ignore"):  # of infinite and of huge values
        return _keep_nan(values.mean(axis=1), values, known).to_numpy()


def _spread(values: pd.DataFrame, known: pd.DataFrame) -> dict[str, np.ndarray]:
    if values.shape[1] < 2:
        return dict.fromkeys(("worst", "p10", "deviation"), np.full(len(values), np.nan))
    with np.errstate(all="ignore"):
        columns = {
            "worst": values.min(axis=1),
            "p10": values.quantile(0.1, axis=1),
            "deviation": values.std(axis=1, ddof=0),
        }
    for name, column in columns.items():
        columns[name] = _keep_nan(column, values, known).to_numpy()
    return columns
