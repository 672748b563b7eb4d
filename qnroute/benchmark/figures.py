"""Figures of `bench exact`: what proof costs as problems grow, and how the gap closes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from qnroute.benchmark.exact import Proof, gap_at
from qnroute.result import PROVEN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {
    "column-generation": "#0b6fb8",
    "exact": "#0b6fb8",
    "link-flow": "#d1660a",
    "highs": "#d1660a",
    "pulp": "#3d8b40",
    "pyomo": "#8a4fa3",
}
_OTHER = "#6b7280"
_QUIET = "#b8bec6"
_LEAST = 1e-7  # gaps below this are drawn here
_WIDTH, _HEIGHT = 3.6, 7.0  # inches of a group


def plot_proofs(rows: Sequence[Proof]) -> Axes:
    """A column for each group: CPU seconds against nodes above, the gap over time below; the first of the axes."""
    import matplotlib.pyplot as plt

    groups = list(dict.fromkeys(row.group for row in rows))
    size = (max(_WIDTH * len(groups), 6.0), _HEIGHT)
    figure, axes = plt.subplots(2, len(groups), figsize=size, squeeze=False, layout="constrained")
    for (above, below), group in zip(axes.T, groups):
        some = [row for row in rows if row.group == group]
        plot_costs(some, above)
        above.set_title(group, fontsize=10, loc="left")
        plot_gaps(some, below)
    figure.suptitle("hollow: not proven", x=0.995, ha="right", fontsize=8, color=_OTHER)
    return axes[0, 0]


def plot_costs(rows: Sequence[Proof], ax: Axes | None = None) -> Axes:
    """CPU seconds of each way against the number of nodes, hollow where nothing was proven."""
    ax = _axes(ax)
    known, ways = [row for row in rows if row.cpu_s is not None], set()
    for way, kind in dict.fromkeys((row.way, _kind(row)) for row in known):
        found = sorted((row.nodes, row.cpu_s, row.status) for row in known if (row.way, _kind(row)) == (way, kind))
        nodes, seconds, status = (np.array(column) for column in zip(*found))
        colour = _COLOURS.get(way, _OTHER)
        filled = np.where(status == "optimal", colour, "white")
        ax.plot(nodes, seconds, color=colour, linewidth=1.2, zorder=2)
        ax.scatter(nodes, seconds, c=filled, edgecolors=colour, s=28, zorder=3)
        if way not in ways:
            ax.plot([], [], color=colour, marker="o", markersize=5, linewidth=1.2, label=way)
        ways.add(way)
    _finish(ax, "nodes", "CPU seconds")
    ax.set_ylim(*10.0 ** np.array([np.floor(np.log10(ax.get_ylim()[0])), np.ceil(np.log10(ax.get_ylim()[1]))]))
    _whole_ticks(ax, sorted({row.nodes for row in rows}))
    if ax.get_legend_handles_labels()[1]:
        ax.legend(fontsize=7, frameon=False, loc="best")
    return ax


def plot_gaps(rows: Sequence[Proof], ax: Axes | None = None) -> Axes:
    """The relative gap of each run over its wall-clock time, by the name of its case; lighter for smaller ones."""
    ax = _axes(ax)
    ax.axhline(PROVEN, color=_QUIET, linewidth=0.8, linestyle="--", zorder=1)
    ax.annotate("proven", (1.0, PROVEN), (-2, 2), **_AT, xycoords=("axes fraction", "data"), ha="right", color=_OTHER)
    sizes = sorted({row.nodes for row in rows})
    for row in rows:
        if not row.trace:
            continue
        seconds = np.array([point[0] for point in row.trace])
        gaps = np.maximum([gap_at(point) for point in row.trace], _LEAST)
        colour, rank = _COLOURS.get(row.way, _OTHER), (sizes.index(row.nodes) + 1) / len(sizes)
        ax.plot(seconds, gaps, drawstyle="steps-post", color=colour, alpha=0.35 + 0.65 * rank, linewidth=1.2, zorder=2)
        face = colour if gaps[-1] <= PROVEN else "white"
        ax.scatter(seconds[-1:], gaps[-1:], c=face, edgecolors=colour, s=18, zorder=3)
        ax.annotate(
            row.case.removeprefix(f"{row.group}-"), (seconds[-1], gaps[-1]), (1, 4), **_AT, color=colour, rotation=50
        )
    _finish(ax, "seconds of the clock", "relative gap")
    ax.set_ylim(_LEAST / 2, 1.5)
    return ax


_AT = {"textcoords": "offset points", "fontsize": 6.5, "zorder": 4}


def _kind(row: Proof) -> str:
    """The name of the case without its size: only such cases are joined by a line."""
    return row.case.rstrip("0123456789")


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(_WIDTH, _HEIGHT / 2))[1]


def _whole_ticks(ax: Axes, nodes: Sequence[int]) -> None:
    """Ticks where there are cases, and no others: powers of ten alone say little over one decade."""
    ax.set_xticks(nodes, [f"{n:,}" for n in nodes], rotation=40 if len(nodes) > 4 else 0)
    ax.minorticks_off()


def _finish(ax: Axes, across: str, up: str) -> None:
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel(across, fontsize=8)
    ax.set_ylabel(up, fontsize=8)
    ax.tick_params(labelsize=7)
    ax.grid(True, which="major", color=_QUIET, linewidth=0.4, alpha=0.6)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.margins(x=0.1, y=0.08)
