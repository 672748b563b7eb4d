"""The figures of `bench learned`: quality against CPU time, a panel for each family or case."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from qnroute.benchmark.axes import INK, axes_or_new, line_of, quiet
from qnroute.benchmark.learned_slot import PROVING, Learned
from qnroute.benchmark.learned_time import InTime
from qnroute.errors import ProblemError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 4


def plot_rows(rows: Sequence[Learned | InTime]) -> Axes:
    """A panel for each family, or case in time; the first of the axes."""
    import matplotlib.pyplot as plt

    if rows and not isinstance(rows[0], InTime) and not hasattr(rows[0], "family"):
        raise ProblemError("--plot: the case throughput has no figure; the table says it all")
    timed = bool(rows) and isinstance(rows[0], InTime)
    of = [row.case if timed else row.family for row in rows]
    names = list(dict.fromkeys(of)) or [""]
    columns = min(len(names), _COLUMNS)
    lines = -(-len(names) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(2.6 * columns + 1.8, 2.2 * lines + 0.5), squeeze=False, layout="constrained",
        sharex=True,
    )  # fmt: skip
    for place, (name, ax) in enumerate(zip(names, axes.flat)):
        (plot_case if timed else plot_family)([row for row, where in zip(rows, of) if where == name], ax)
        ax.set_title(name, fontsize=9, loc="left")
        ax.tick_params(labelbottom=place + columns >= len(names))  # the lowest of each column
    for ax in axes.flat[len(names) :]:
        ax.set_visible(False)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside right upper", fontsize=7, frameon=False)
    what = (
        "success rate in percent, means and 95 % intervals over networks, against CPU time of a slot; line: clairvoyant"
        if timed
        else "percent missing of the proven optimum, means and 95 % intervals, against CPU time"
    )
    figure.suptitle(textwrap.fill(what, 40 * columns), x=0.005, ha="left", fontsize=9, color=INK)
    return axes[0, 0]


def plot_family(rows: Sequence[Learned], ax: Axes | None = None) -> Axes:
    """What each method misses of the optimum, in percent, against the milliseconds of an answer."""
    ax = axes_or_new(ax)
    for place, row in enumerate(rows):
        if row.share is not None:
            low, high = (None, None) if row.low is None or row.method == PROVING else (1.0 - row.low, 1.0 - row.high)
            _point(ax, place, row.method, row.cpu_ms, 1.0 - row.share, low, high)
    return _finished(ax)


def plot_case(rows: Sequence[InTime], ax: Axes | None = None) -> Axes:
    """Success rates of policies in percent, against the milliseconds of a slot; and what is possible."""
    ax = axes_or_new(ax)
    for place, row in enumerate(rows):
        if row.success is not None:
            _point(ax, place, row.policy, row.cpu_ms, row.success, row.low, row.high)
    if rows and rows[0].possible is not None:
        ax.axhline(100.0 * rows[0].possible, color=INK, linewidth=0.8, linestyle=":")
    return _finished(ax)


def _point(ax: Axes, place: int, name: str, cpu_ms: float, value: float, low: float | None, high: float | None) -> None:
    colour, marker = line_of(place)[0], "os^Dv"[place // 2 % 5]
    if low is not None and high is not None:
        ax.plot([cpu_ms] * 2, [100.0 * low, 100.0 * high], color=colour, linewidth=1.0)
    ax.scatter(
        [cpu_ms], [100.0 * value], label=name, color=colour, s=18, marker=marker, zorder=3, clip_on=False
    )  # fmt: skip


def _finished(ax: Axes) -> Axes:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel("CPU ms", fontsize=7)
    return quiet(ax)
