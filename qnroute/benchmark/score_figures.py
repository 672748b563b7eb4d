"""Figures of evaluated models of links: their errors, and whether intervals hold what they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qnroute.benchmark.axes import INK, OTHER, QUIET, axes_or_new, quiet
from qnroute.learning.links.evaluation import LEVELS, REFERENCE, Assessment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {
    REFERENCE: INK,
    "nominal": OTHER,
    "empirical": "#9a6fb0",
    "linear": "#3d8b40",
    "gradient-boosting": "#0b6fb8",
    "mlp": "#d1660a",
    "graph": "#c0392b",
}
_LINES = {REFERENCE: "--", "nominal": ":"}


def plot_assessments(rows: Sequence[Assessment]) -> Axes:
    """A column for each target: errors above, calibration below; the first of the axes."""
    import matplotlib.pyplot as plt

    targets = list(dict.fromkeys(row.target for row in rows))
    kinds = len({row.kind for row in rows})
    height = [0.9 + 0.3 * kinds, 3.0]
    figure, axes = plt.subplots(
        2, len(targets), figsize=(1.0 + 4.0 * len(targets), sum(height) + 0.8), height_ratios=height,
        layout="constrained", squeeze=False,
    )  # fmt: skip
    for place, target in enumerate(targets):
        some = [row for row in rows if row.target == target]
        plot_errors(some, axes[0, place])
        plot_calibration(some, axes[1, place])
    figure.legend(
        *axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncols=kinds, fontsize=7, frameon=False
    )
    figure.suptitle(
        "light: error of what is seen, with its 95 % interval; dark: less what sampling explains", x=0.005, ha="left",
        fontsize=9, color=INK,
    )  # fmt: skip
    return axes[0, 0]


def plot_errors(rows: Sequence[Assessment], ax: Axes | None = None) -> Axes:
    """Root mean squared errors on one target: a bar for each kind, and in words what is better than `REFERENCE`."""
    ax = axes_or_new(ax)
    most = max(row.rmse if row.rmse_high is None else row.rmse_high for row in rows)
    for place, row in enumerate(reversed(rows)):
        colour = _COLOURS.get(row.kind, OTHER)
        ax.barh(place, row.rmse, height=0.62, color=colour, alpha=0.3)
        ax.barh(place, row.behind, height=0.62, color=colour)
        if row.rmse_low is not None:
            ax.plot([row.rmse_low, row.rmse_high], [place, place], color=INK, linewidth=1.0)
        if row.verdict != "-":
            ax.annotate(
                row.verdict, (most, place), (4, 0), textcoords="offset points", va="center", fontsize=7, color=INK
            )
    ax.set_yticks(range(len(rows)), [row.kind for row in reversed(rows)], fontsize=8)
    ax.set_xlim(0.0, 1.18 * most if most > 0 else 1.0)
    ax.set_xlabel(f"{rows[0].target}: root mean squared error", fontsize=8)
    return quiet(ax)


def plot_calibration(rows: Sequence[Assessment], ax: Axes | None = None) -> Axes:
    """What intervals hold of what was seen, beside what they say, at `LEVELS`."""
    ax = axes_or_new(ax)
    ax.plot([0, 1], [0, 1], color=QUIET, linewidth=1.0, zorder=1)
    for row in rows:
        colour = _COLOURS.get(row.kind, OTHER)
        ax.plot(
            LEVELS, row.coverages, color=colour, linestyle=_LINES.get(row.kind, "-"), linewidth=1.2, marker="o",
            markersize=2.5, label=row.kind,
        )  # fmt: skip
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.01)
    ax.set_xlabel(f"{rows[0].target}: level of the interval", fontsize=8)
    ax.set_ylabel("share of what was seen within", fontsize=8)
    return quiet(ax)
