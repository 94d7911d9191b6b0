"""Runs side by side, over seeds: a table, a summary, a picture."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from roleml_nb.role import ArgumentError
from roleml_nb.role.checks.arguments import checked
from roleml_nb.role.checks.numbers import as_number, check_number, short

from .runs import Run

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

__all__ = ["Comparison", "compare"]

AXES = ("round", "bytes", "time")
MAX_NAMED_RUNS = 3
"""Runs that the note of a comparison names."""


@partial(checked, exempt=("runs",))
def compare(runs: Iterable[Run], *, confidence: float = 0.95) -> Comparison:
    """Compare runs: those of one name are repetitions, over seeds.

    Parameters
    ----------
    runs : iterable of Run
        See `Trace.run`; of one testbed or of several. All of one metric.
    confidence : float
        Of the bands, more than 0 and less than 1: Student's t interval of the mean over seeds.

    Raises
    ------
    ValueError
        When there are no runs, two have the same name and seed, metrics differ, `confidence` is out
        of range, or a run has no round; and as in `Run.curve`.
    """
    given = list(runs)
    for run in given:
        if not isinstance(run, Run):
            raise ArgumentError(
                "compare takes runs, such as bed.trace.run('fedavg', nodes='server client*'), not"
                f" {run!r}"
            )
    if not given:
        raise ArgumentError(
            "there are no runs to compare: give some, such as bed.trace.run('fedavg', nodes='server"
            " client*')"
        )
    confidence = check_number("confidence", confidence, 0, 1, above=True, below=True)
    metrics = {run.metric for run in given}
    if len(metrics) > 1:
        raise ArgumentError(
            f"runs of one metric can be compared, and these have {', '.join(sorted(metrics))}"
        )
    seen = set()
    for run in given:
        if (run.name, run.seed) in seen:
            raise ArgumentError(
                f"there are two runs {run.name!r} with seed {run.seed}: give repetitions seeds of"
                " their own, seed=…"
            )
        seen.add((run.name, run.seed))
    return Comparison(given, confidence)


class Comparison:
    """Runs that `compare` has compared. Their traces are read once, when it is made."""

    def __init__(self, runs: list[Run], confidence: float):
        self.metric = runs[0].metric
        self.confidence = confidence
        self.names = list(dict.fromkeys(run.name for run in runs))
        """Of the runs, in the order given."""
        self._curves: dict[tuple[str, int], pd.DataFrame] = {}
        for run in runs:
            self._curves[run.name, run.seed] = run.curve()
        for (name, seed), curve in self._curves.items():
            if curve.empty:
                raise ArgumentError(
                    f"run {name!r}, seed {seed}, has completed no round within its max_bytes; give"
                    " it more, or none"
                )

    def to_pandas(self) -> pd.DataFrame:
        """Return the tidy table: one row per run, seed and round.

        Columns: run, seed, and those of `Run.curve`.
        """
        import pandas as pd

        frames = []
        for (name, seed), curve in self._curves.items():
            frames.append(curve.assign(run=name, seed=seed)[["run", "seed", *curve.columns]])
        return pd.concat(frames, ignore_index=True)

    def summary(self, target: float | None = None) -> pd.DataFrame:
        """Return the end of each run: one row per name, means over its seeds.

        Columns: seeds, rounds, time, bytes; the metric in the last round, with low and high, the
        ends of its confidence interval (NaN with one seed, or equal ones); worst, p10 and deviation
        over nodes; consensus_distance. Where the metric of a seed is not finite in the last round,
        neither is the mean, and there is a column not_finite: of how many seeds, such as "1 of 3".
        With a `target` also reached (how many seeds ever had it, such as "2 of 3"), and
        round_to_target, bytes_to_target, time_to_target: means over all seeds, NaN unless all
        reached it, since a mean over those that did would flatter the run; `to_target` has each.
        """
        import pandas as pd

        rows = []
        for name in self.names:
            curves = self._of(name)
            last = pd.DataFrame([curve.iloc[-1] for curve in curves])
            odd = int((~np.isfinite(last[self.metric].astype(float))).sum())
            mean, low, high = self._interval(name, last[[self.metric]].to_numpy().T)
            row: dict[str, Any] = {
                "run": name,
                "seeds": len(curves),
                "rounds": last["round"].mean(),
                "time": last["time"].mean(),
                "bytes": last["bytes"].mean(),
                self.metric: mean[0],
                "low": low[0],
                "high": high[0],
            }
            for column in ("worst", "p10", "deviation"):
                row[column] = last[column].mean(skipna=odd == 0)
            row["consensus_distance"] = last["consensus_distance"].mean()
            if self._not_finite:
                row["not_finite"] = f"{odd} of {len(curves)}"
            if target is not None:
                took = self.to_target(target).query("run == @name")
                row["reached"] = f"{took['round'].notna().sum()} of {len(took)}"
                for axis in AXES:
                    row[f"{axis}_to_target"] = took[axis].mean(skipna=False)
            rows.append(row)
        return pd.DataFrame(rows).set_index("run")

    def to_target(self, target: float) -> pd.DataFrame:
        """Return the cost of each run until its metric was `target` or more for the first time.

        There is one row per run and seed. Columns: run, seed, round, bytes, time; NaN where it
        never was.
        """
        import pandas as pd

        if not isinstance(target, numbers.Real) or target != target:
            raise ArgumentError(f"target must be a number, got {short(target)}")
        target = as_number("target", target)
        rows = []
        for (name, seed), curve in self._curves.items():
            row: dict[str, Any] = {"run": name, "seed": seed}
            reached = curve[curve[self.metric] >= target]
            for axis in AXES:
                row[axis] = reached[axis].iloc[0] if len(reached) else np.nan
            rows.append(row)
        return pd.DataFrame(rows)

    @property
    def note(self) -> str:
        """A line about the confidence bands, and about numbers that are not finite or not known.

        Runs of one seed, or of equal ones, have no band, since nothing is known of their spread.
        """
        single, without = [], []
        equal_seeds = []
        for name in self.names:
            for seeds in self.equal(name):
                named = ", ".join(map(str, seeds))
                equal_seeds.append(f"seeds {named} of {name} are equal in every round")
            if len(self._of(name)) < 2:
                single.append(name)
            elif self._all_equal(name):
                without.append(name)
        if equal_seeds:
            equal_seeds.append(
                "repetitions differ where models and data have the seed of their testbed, or one"
                " that is given"
            )
        if len(single) == len(self.names):
            band = (
                "no confidence bands: one seed each, so nothing is known of the spread over seeds"
            )
        elif len(single) + len(without) == len(self.names):
            band = "no confidence bands: nothing is known of the spread over seeds"
        else:
            band = f"bands: {100 * self.confidence:g} % confidence interval of the mean over seeds"
            band += f"; none for {', '.join(single)}: one seed" if single else ""
        return "; ".join([band, *equal_seeds, *self._describe_numbers()])

    def _describe_numbers(self) -> list[str]:
        """Say which runs have numbers that are not finite, or are not known any more."""
        remarks, odd, unknown = [], [], []
        for (name, seed), first in self._not_finite.items():
            odd.append(f"{name} seed {seed} from round {first:g} on")
        for (name, seed), curve in self._curves.items():
            if curve["bytes"].isna().any() and curve["bytes"].notna().any():
                unknown.append(f"{name} seed {seed}")
        if odd:
            remarks.append(
                f"{self.metric} is not finite in {_first_of(odd)}, and neither is a mean with it"
            )
        if unknown:
            remarks.append(
                f"early bytes of {_first_of(unknown)} are not known: the messages are totals by now"
            )
        return remarks

    def equal(self, name: str) -> list[list[Any]]:
        """Group the seeds of a run that brought the same numbers in every round.

        Groups of one seed are left out.
        """
        groups: dict[bytes, list[Any]] = {}
        for (run, seed), curve in self._curves.items():
            if run == name:
                brought = curve[[self.metric, "worst", "p10", "deviation", "consensus_distance"]]
                groups.setdefault(brought.to_numpy(float).tobytes(), []).append(seed)
        return [seeds for seeds in groups.values() if len(seeds) > 1]

    def _all_equal(self, name: str) -> bool:
        return any(len(seeds) == len(self._of(name)) for seeds in self.equal(name))

    @property
    def _not_finite(self) -> dict[tuple[str, int], float]:
        """{(name, seed): the first round whose metric is not finite}, for runs that have one."""
        found = {}
        for key, curve in self._curves.items():
            odd = curve[~np.isfinite(curve[self.metric].astype(float))]
            if len(odd):
                found[key] = float(odd["round"].iloc[0])
        return found

    def band(self, name: str, axis: str = "round") -> pd.DataFrame:
        """Return mean and confidence interval of a run's metric over its seeds, along an axis.

        The axis is "round", "bytes" or "time".

        Columns: the axis, mean, low, high (NaN with one seed, or equal ones). Where only some seeds
        have a value there is no row; between its rounds, a run counts with what it had last. Where
        a seed's metric is NaN, so is the mean.
        """
        import pandas as pd

        if axis not in AXES:
            raise ArgumentError(f"axis must be one of {', '.join(AXES)}, got {axis!r}")
        curves, points = [], []
        begin, end = -np.inf, np.inf
        for whole in self._of(name):
            curve = whole.dropna(subset=[axis])
            if curve.empty:
                return pd.DataFrame(columns=[axis, "mean", "low", "high"])
            at = curve[axis].to_numpy(float)
            curves.append(curve)
            points.append(at)
            begin = max(begin, at[0])
            end = min(end, at[-1])
        grid = np.unique(np.concatenate(points))
        grid = grid[(grid >= begin) & (grid <= end)]
        values = []
        for curve, at in zip(curves, points, strict=True):
            places = np.searchsorted(at, grid, side="right") - 1
            values.append(curve[self.metric].to_numpy()[places])
        mean, low, high = self._interval(name, np.column_stack(values))
        return pd.DataFrame({axis: grid, "mean": mean, "low": low, "high": high})

    def plot(self, target: float | None = None, title: str | None = None) -> go.Figure:
        """Plot the metric along all axes, its spread over nodes, and the consensus distance.

        `target` is drawn as a line, with the bytes that each run took to reach it.
        """
        from .comparison_picture import draw

        return draw(self, target, title)

    def _interval(self, name: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if self._all_equal(name):
            values = values[:, :1]
        return mean_and_interval(values, self.confidence)

    def _of(self, name: str) -> list[pd.DataFrame]:
        return [curve for (run, _), curve in self._curves.items() if run == name]

    def __repr__(self) -> str:
        return (
            f"<Comparison of {', '.join(self.names)} by {self.metric}; .summary(target=…), .plot(),"
            f" .to_pandas(); {self.note}>"
        )


def _first_of(runs: list[str]) -> str:
    """Join the first names of runs; an ellipsis stands for the others."""
    named = runs[:MAX_NAMED_RUNS]
    return ", ".join([*named, "…"] if len(runs) > MAX_NAMED_RUNS else named)


def mean_and_interval(
    values: np.ndarray, confidence: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean and Student's t interval of each row of values of shape (points, seeds).

    With one seed the interval is NaN.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # of infinite and of huge values
        mean = values.mean(1)
        seeds = values.shape[1]
        if seeds < 2:
            return mean, np.full(len(mean), np.nan), np.full(len(mean), np.nan)
        # Student's quantile, as scipy.stats.t has it, which takes a second longer to import
        from scipy.special import stdtrit

        half = stdtrit(seeds - 1, (1 + confidence) / 2) * values.std(1, ddof=1) / np.sqrt(seeds)
        return mean, mean - half, mean + half
