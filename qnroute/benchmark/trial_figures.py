"""Figures of simulated policies: the four measures of paper C with their intervals, and two distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qnroute.benchmark.axes import INK, OTHER, QUIET, axes_or_new, colour_of, quiet
from qnroute.benchmark.statistics import mean_interval
from qnroute.simulation.measures import METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from qnroute.simulation.trials import Trials

_LINES = ("-", "--", ":", "-.")


def plot_trials(trials: Trials) -> Axes:
    """Each measure of C12 by policy above; below, latency and fidelity of what was served; the first of the axes."""
    import matplotlib.pyplot as plt

    height = 2.2 + 0.24 * len(trials.policies)
    figure, axes = plt.subplots(2, 4, figsize=(13.0, 2 * height), layout="constrained", squeeze=False)
    grid = axes[1, 0].get_gridspec()
    for ax in axes[1]:
        ax.remove()
    for ax, metric in zip(axes[0], METRICS):
        plot_measure(trials, metric, ax)
        if ax is not axes[0, 0]:
            ax.set_yticklabels([])
    plot_distribution(trials, "latencies", "latency of served requests (slots)", figure.add_subplot(grid[1, :2]))
    last = plot_distribution(trials, "fidelities", "fidelity of served requests", figure.add_subplot(grid[1, 2:]))
    if last.get_legend_handles_labels()[1]:
        last.legend(fontsize=7, frameon=False, loc="upper left")
    runs = len(trials.of(trials.policies[0]))
    figure.suptitle(f"{_called(trials)}: {runs} runs, mean and 95 % interval", x=0.005, ha="left", fontsize=10)
    return axes[0, 0]


def plot_measure(trials: Trials, metric: str, ax: Axes | None = None) -> Axes:
    """One measure: a point for each policy with its interval, and a faint dot for each run."""
    ax = axes_or_new(ax)
    for place, name in enumerate(trials.policies):
        values = trials.values(name, metric)
        colour, found = colour_of(name), mean_interval(values)
        ax.scatter(values, np.full(len(values), place), s=8, color=QUIET, zorder=1)
        if found.value is None:
            continue
        if found.low is not None:
            ax.plot([found.low, found.high], [place, place], color=colour, linewidth=2.0, zorder=2)
        ax.scatter([found.value], [place], color=colour, s=26, zorder=3)
    if metric == "success" and trials.bounds:
        possible = [bound.bound / bound.requests for bound in trials.bounds.values() if bound.requests]
        middle = mean_interval(possible).value
        if middle is not None:
            ax.axvline(middle, color=INK, linewidth=0.9, linestyle="--", zorder=1)
            ax.annotate(
                "clairvoyant", (middle, len(trials.policies) - 0.5), (-3, 0), textcoords="offset points", ha="right",
                va="center", fontsize=7, color=INK,
            )  # fmt: skip
    ax.set_yticks(range(len(trials.policies)), trials.policies, fontsize=8)
    ax.set_ylim(-0.7, len(trials.policies) - 0.1)
    ax.set_xlabel(METRICS[metric], fontsize=8)
    return quiet(ax)


def plot_distribution(trials: Trials, what: str, label: str, ax: Axes | None = None) -> Axes:
    """Share of all requests served by so late a slot, or at so high a fidelity at most, for each policy."""
    ax = axes_or_new(ax)
    for place, name in enumerate(trials.policies):
        some = trials.of(name)
        if not some:
            continue
        found = np.sort(np.concatenate([getattr(trial, what) for trial in some]))
        total = sum(trial.measures.requests for trial in some)
        if not len(found) or not total:
            continue
        share = np.arange(1, len(found) + 1) / total
        ax.step(
            found, share, where="post", color=colour_of(name), linewidth=1.2, label=name,
            linestyle=_LINES[0] if colour_of(name) != OTHER else _LINES[place % len(_LINES)],
        )  # fmt: skip
    ax.set_xlabel(label, fontsize=8)
    ax.set_ylabel("share of all requests, cumulative", fontsize=8)
    ax.set_ylim(bottom=0.0)
    return quiet(ax)


def _called(trials: Trials) -> str:
    scenario = trials.scenario
    network = scenario.network if isinstance(scenario.network, str) else scenario.network.name
    return scenario.name or network or "a network"
