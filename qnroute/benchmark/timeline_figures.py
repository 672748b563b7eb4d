"""Figures of runs over time: each measure window by window, means over the runs of each policy."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qnroute.benchmark.axes import INK, axes_or_new, line_of, quiet
from qnroute.simulation.monitoring import SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from qnroute.simulation.trials import Trials


@dataclass(frozen=True)
class Window:
    """One window of one run, for a table; `surprise`, `alarm`, `retrained` and `down` of policies that learn."""

    policy: str
    seed: int
    end: int
    success: float | None
    latency: float | None
    throughput: float | None
    utilisation: float | None
    reliability: float | None
    surprise: float | None
    alarm: bool | None
    retrained: bool | None
    down: int | None


def windows(trials: Trials) -> list[Window]:
    """Every window of every run that has a timeline."""
    rows = []
    for trial in trials.trials:
        found = trial.timeline
        if found is None:
            continue
        noted = {note["slot"]: note for note in found.notes}
        for at, end in enumerate(found.end.tolist()):
            note = noted.get(end, {})
            values = {name: float(getattr(found, name)[at]) for name in SERIES}
            told = {name: note.get(name) for name in ("surprise", "alarm", "retrained", "down")}
            known = {name: value if math.isfinite(value) else None for name, value in values.items()}
            rows.append(Window(trial.policy, trial.seed, end, **known, **told))
    return rows


def plot_timelines(trials: Trials) -> Axes:
    """One panel for each measure; the first of the axes."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        len(SERIES), 1, figsize=(9.0, 1.7 * len(SERIES) + 0.6), layout="constrained", sharex=True
    )
    for ax, name in zip(axes, SERIES):
        plot_series(trials, name, ax)
    axes[-1].set_xlabel("slot", fontsize=8)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, frameon=False, loc="outside upper center", ncols=min(len(labels), 5))
    return axes[0]


def plot_series(trials: Trials, name: str, ax: Axes | None = None) -> Axes:
    """One measure over time, a line for each policy; triangles stand where a model was retrained."""
    ax, most = axes_or_new(ax), np.nan
    for place, policy in enumerate(trials.policies):
        some = [trial.timeline for trial in trials.of(policy) if trial.timeline is not None]
        if not some:
            continue
        end = min((each.end for each in some), key=len)
        values = np.array([getattr(each, name)[: len(end)] for each in some])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # windows in which no run has anything to tell
            mean = np.nanmean(values, axis=0)
        most = np.fmax(most, np.nanmax(mean, initial=0.0) if np.isfinite(mean).any() else np.nan)
        colour, style = line_of(place)
        ax.plot(end, mean, color=colour, linestyle=style, linewidth=1.3, label=policy)
        slots = {note["slot"] for each in some for note in each.notes if note["retrained"]}
        marked = np.isin(end, sorted(slots))
        if name == "success" and marked.any():
            ax.scatter(end[marked], mean[marked], marker="^", s=14, color=colour, zorder=3)
    ax.set_ylabel(name, fontsize=8, color=INK)
    if most > 0.0:
        ax.set_ylim(bottom=0.0)
    else:  # no scale is better than one of nothing
        ax.set_yticks([0.0] if most == 0.0 else [])
        ax.set_ylim(-0.1, 1.0)
    if np.isnan(most):
        ax.text(0.5, 0.5, "nothing to tell", transform=ax.transAxes, ha="center", va="center", fontsize=8, color=INK)
    return quiet(ax)
