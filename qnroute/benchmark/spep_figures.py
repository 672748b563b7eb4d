"""The figure of `bench spep`: success rates beside the printed ones and the possible, and what the sweeps change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qnroute.benchmark.axes import INK, QUIET, axes_or_new, colour_of, quiet
from qnroute.benchmark.spep import LOOKAHEAD, PRINTED, REFERENCE, SPEP, Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = {"shortest-path": "s", "reactive": "^", "spep": "o", "lookahead": "D"}


def plot_outcomes(rows: Sequence[Outcome]) -> Axes:
    """A column for each topology: success by policy above, the sweeps below; the first of the axes."""
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(row.topology for row in rows))
    policies = max(len([row for row in rows if row.topology == name and not row.sweep]) for name in names)
    sweeps = max(len({row.sweep for row in rows if row.topology == name}) - 1 for name in names)
    heights = [0.6 + 0.2 * policies, 0.6 + 0.25 * sweeps] if sweeps else [0.6 + 0.2 * policies]
    figure, axes = plt.subplots(
        len(heights), len(names), figsize=(max(3.2 * len(names) + 1.6, 5.5), sum(heights) + 0.4), squeeze=False,
        layout="constrained", height_ratios=heights,
    )  # fmt: skip
    for column, name in enumerate(names):
        some = [row for row in rows if row.topology == name]
        plot_success([row for row in some if not row.sweep], axes[0, column])
        axes[0, column].set_title(name, fontsize=10, loc="left")
        if sweeps:
            plot_sweeps([row for row in some if row.sweep and row.sweep != "threshold"], axes[1, column])
        for line in axes:
            if column:
                line[column].set_yticklabels([])
    runs = max(row.runs for row in rows)
    figure.suptitle(
        f"means and 95 % intervals of {runs} runs; dashed: what a clairvoyant serves at most; bars: printed (paper C)",
        x=0.005, ha="left", fontsize=9, color=INK,
    )  # fmt: skip
    return axes[0, 0]


def plot_success(rows: Sequence[Outcome], ax: Axes | None = None) -> Axes:
    """Success rate of each policy with its interval; grey bars where the paper's figures lie."""
    ax = axes_or_new(ax)
    for place, row in enumerate(rows[::-1]):
        colour = colour_of(row.policy)
        if row.success is None:
            continue
        if row.success_low is not None:
            ax.plot([row.success_low, row.success_high], [place, place], color=colour, linewidth=1.8)
        ax.scatter([row.success], [place], color=colour, s=18, zorder=3)
        if row.policy in (REFERENCE, SPEP):
            (low, high), shortest = PRINTED[row.topology]
            low, high = (shortest - 0.002, shortest + 0.002) if row.policy == REFERENCE else (low, high)
            ax.fill_betweenx([place - 0.4, place + 0.4], low, high, color=QUIET, linewidth=0, zorder=1)
    if rows and rows[0].possible is not None:
        ax.axvline(rows[0].possible, color=INK, linewidth=0.9, linestyle="--", zorder=1)
    ax.set_yticks(range(len(rows)), [row.policy for row in rows[::-1]], fontsize=7)
    ax.set_xlabel("success rate", fontsize=8)
    ax.set_xlim(left=0.0)
    return quiet(ax)


def plot_sweeps(rows: Sequence[Outcome], ax: Axes | None = None) -> Axes:
    """Success rate of a few policies under each change of what the paper does not print; a line is what is possible."""
    ax = axes_or_new(ax)
    sweeps = list(dict.fromkeys(row.sweep for row in rows))[::-1]
    for row in rows:
        if row.success is None:
            continue
        place, kind = sweeps.index(row.sweep), row.policy.partition(":")[0]
        ax.scatter([row.success], [place], color=colour_of(row.policy), marker=_MARKERS.get(kind, "o"), s=18, zorder=3)
        if row.possible is not None and row.policy == LOOKAHEAD:
            ax.plot([row.possible] * 2, [place - 0.35, place + 0.35], color=INK, linewidth=0.9, linestyle="--")
    for policy in dict.fromkeys(row.policy for row in rows):
        kind = policy.partition(":")[0]
        ax.scatter([], [], color=colour_of(policy), marker=_MARKERS.get(kind, "o"), s=18, label=policy)
    if rows:
        ax.legend(fontsize=6, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
    ax.set_yticks(range(len(sweeps)), sweeps, fontsize=7)
    ax.set_xlim(left=0.0)
    return quiet(ax)
