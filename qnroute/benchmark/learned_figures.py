"""The figure of `bench learned`: what methods miss of the optimum against their CPU time, a panel for each family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qnroute.benchmark.axes import INK, axes_or_new, line_of, quiet
from qnroute.benchmark.learned import PROVING, Learned

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 4


def plot_rows(rows: Sequence[Learned]) -> Axes:
    """A panel for each family; the first of the axes."""
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(row.family for row in rows)) or [""]
    columns = min(len(names), _COLUMNS)
    lines = -(-len(names) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(2.6 * columns + 1.8, 2.2 * lines + 0.5), squeeze=False, layout="constrained",
        sharex=True,
    )  # fmt: skip
    for name, ax in zip(names, axes.flat):
        plot_family([row for row in rows if row.family == name], ax)
        ax.set_title(name, fontsize=9, loc="left")
    for ax in axes.flat[len(names) :]:
        ax.set_visible(False)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside right upper", fontsize=7, frameon=False)
    figure.suptitle(
        "percent missing of the proven optimum, means and 95 % intervals, against CPU time of one answer",
        x=0.005, ha="left", fontsize=9, color=INK,
    )  # fmt: skip
    return axes[0, 0]


def plot_family(rows: Sequence[Learned], ax: Axes | None = None) -> Axes:
    """What each method misses of the optimum, in percent, against the milliseconds of an answer."""
    ax = axes_or_new(ax)
    for place, row in enumerate(rows):
        if row.share is None:
            continue
        colour, missing = line_of(place)[0], 100.0 * (1.0 - row.share)
        if row.low is not None and row.method != PROVING:
            ax.plot([row.cpu_ms] * 2, [100.0 * (1.0 - row.low), 100.0 * (1.0 - row.high)], color=colour, linewidth=1.0)
        marker = "os^Dv"[place // 2 % 5]
        look = {"color": colour, "s": 18, "marker": marker, "zorder": 3, "clip_on": False}
        ax.scatter([row.cpu_ms], [missing], label=row.method, **look)
    ax.set_xscale("log")
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel("CPU ms", fontsize=7)
    return quiet(ax)
