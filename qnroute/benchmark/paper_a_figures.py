"""The figure of `bench paper-a`: paper A's measures (A7) with its printed ones (A8), scaling, failures, value lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qnroute.benchmark.axes import INK, OTHER, QUIET, axes_or_new, colour_of, line_of, quiet
from qnroute.benchmark.calibrations import Calibration
from qnroute.benchmark.link_regrets import Loss
from qnroute.benchmark.paper_a import PRINTED, Routing, Scaling
from qnroute.benchmark.recovery import FAILED, GOAL, MENDED, Recovery
from qnroute.errors import NoAnswer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEASURES = {
    "success": "success rate",
    "latency": "latency of those served (slots)",
    "throughput": "requests served per slot",
    "used": "pairs used, of those made",
}


def plot_rows(rows: Sequence[Any]) -> Axes:
    """A panel for each measure and each part that there are rows of; the first of the axes.

    Raises
    ------
    NoAnswer
        There is no such row, as where the work was interrupted early.
    """
    import matplotlib.pyplot as plt

    panels = []
    routed = [row for row in rows if isinstance(row, Routing)]
    if routed:
        whole = [row for row in routed if row.network == "all"] or routed
        panels += [lambda ax, name=name: plot_measure(whole, name, ax) for name in MEASURES]
    for kind, plot in ((Scaling, plot_scaling), (Recovery, plot_recovery), (Loss, plot_losses),
                       (Calibration, plot_calibrations)):  # fmt: skip
        some = [row for row in rows if isinstance(row, kind)]
        if some:
            panels.append(lambda ax, some=some, plot=plot: plot(some, ax))
    if not panels:
        raise NoAnswer("paper-a: found no rows that are drawn")
    columns = min(len(panels), 4)
    lines = -(-len(panels) // columns)
    _, axes = plt.subplots(lines, columns, figsize=(4.3 * columns, 3.9 * lines), squeeze=False, layout="constrained")
    for place, ax in enumerate(axes.ravel()):
        if place < len(panels):
            panels[place](ax)
        else:
            ax.set_axis_off()
    return axes[0, 0]


def plot_measure(rows: Sequence[Routing], name: str, ax: Axes | None = None) -> Axes:
    """One measure by policy; of success the interval, and crosses where paper A has its printed figure."""
    ax = axes_or_new(ax)
    for place, row in enumerate(rows[::-1]):
        value, plain = getattr(row, name), row.policy.removesuffix(" (chosen)")
        if value is None:
            continue
        if name == "success" and row.half is not None:
            ax.plot([value - row.half, value + row.half], [place, place], color=colour_of(plain), linewidth=1.8)
        ax.scatter([value], [place], color=colour_of(plain), s=22, zorder=3)
        key = "hybrid" if row.policy != plain else plain
        if name == "success" and key in PRINTED:
            ax.scatter([PRINTED[key][0]], [place], marker="x", s=26, color=INK, zorder=2)
    ax.set_yticks(range(len(rows)), [row.policy for row in rows[::-1]], fontsize=7)
    ax.set_xlabel(MEASURES[name] + ("; crosses: printed" if name == "success" else ""), fontsize=8)
    ax.set_xlim(left=0.0)
    return quiet(ax)


def plot_scaling(rows: Sequence[Scaling], ax: Axes | None = None) -> Axes:
    """Success rate against the number of nodes."""
    ax = axes_or_new(ax)
    for place, policy in enumerate(dict.fromkeys(row.policy for row in rows)):
        some = [row for row in rows if row.policy == policy]
        colour, style = line_of(place)
        ax.plot([r.nodes for r in some], [r.success for r in some], color=colour, linestyle=style, marker="o",
                markersize=3, linewidth=1.2, label=policy)  # fmt: skip
    ax.set_xscale("log", base=2)
    sizes = sorted({row.nodes for row in rows})
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.set_xlabel("nodes (requests in proportion)", fontsize=8)
    ax.set_ylabel("success rate", fontsize=8)
    ax.set_ylim(bottom=0.0)
    ax.legend(fontsize=6, frameon=False)
    return quiet(ax)


def plot_recovery(rows: Sequence[Recovery], ax: Axes | None = None) -> Axes:
    """Success of the loop that watches, of that of the one that is told, by the slots since links failed."""
    ax = axes_or_new(ax)
    for place, links in enumerate(dict.fromkeys(row.links for row in rows)):
        some = [row for row in rows if row.links == links and " to " in row.slots]
        middle = [sum(map(int, row.slots.split(" to "))) / 2 for row in some]
        colour, _ = line_of(place)
        ax.plot(middle, [row.of_known for row in some], color=colour, linewidth=1.3, label=links)
        ax.fill_between(middle, [r.low for r in some], [r.high for r in some], color=colour, alpha=0.15, linewidth=0)
        ignored = [row.ignored / row.known if row.known else float("nan") for row in some]
        ax.plot(middle, ignored, color=colour, linewidth=0.9, linestyle=":")
    ax.axvspan(0, MENDED - FAILED, color=QUIET, alpha=0.25, linewidth=0)
    ax.axhline(GOAL, color=INK, linewidth=0.8, linestyle="--")
    ax.set_xlabel("slots since links failed (shaded: down); dotted: who does not care", fontsize=7)
    ax.set_ylabel("success, of a loop that is told", fontsize=8)
    least = min(min(row.low, row.ignored / row.known if row.known else 1.0) for row in rows)
    ax.set_ylim(min(0.85, least - 0.02), max(1.1, max(row.high for row in rows) + 0.02))
    ax.legend(fontsize=6, frameon=False, loc="lower left")
    return quiet(ax)


def plot_losses(rows: Sequence[Loss], ax: Axes | None = None) -> Axes:
    """Regret by what predicts links, a colour for each objective; rings mark the kind that was chosen beforehand."""
    ax = axes_or_new(ax)
    kinds = list(dict.fromkeys(row.kind for row in rows))[::-1]
    objectives = list(dict.fromkeys(row.objective for row in rows))
    for row in rows:
        at = objectives.index(row.objective)
        place, (colour, _) = kinds.index(row.kind) + 0.2 * (at - (len(objectives) - 1) / 2), line_of(at)
        if row.low is not None:
            ax.plot([row.low, row.high], [place, place], color=colour, linewidth=1.4)
        ring = INK if row.chosen else colour
        ax.scatter([row.regret], [place], color=colour, edgecolors=ring, linewidths=1.2, s=26, zorder=3)
    for at, objective in enumerate(objectives):
        ax.scatter([], [], color=line_of(at)[0], s=20, label=objective)
    ax.set_yticks(range(len(kinds)), kinds, fontsize=7)
    ax.set_xlabel("value lost against knowing the links (rings: chosen)", fontsize=8)
    ax.set_xlim(left=0.0)
    ax.legend(fontsize=6, frameon=False)
    return quiet(ax)


def plot_calibrations(rows: Sequence[Calibration], ax: Axes | None = None) -> Axes:
    """Errors on the real series beside those of `last-value`."""
    ax = axes_or_new(ax)
    kinds = list(dict.fromkeys(row.kind for row in rows))[::-1]
    for at, windows in enumerate(dict.fromkeys(row.windows for row in rows)):
        some = [row for row in rows if row.windows == windows]
        colour, _ = line_of(at)
        places = [kinds.index(row.kind) + 0.2 * (at - 0.5) for row in some]
        ax.scatter([row.rmse for row in some], places, color=colour, s=22, zorder=3, label=f"every {windows}")
        for row, place in zip(some, places):
            if row.kind == "last-value":
                ax.axvline(row.rmse, color=colour, linewidth=0.8, linestyle="--")
            if row.verdict != "-":
                ax.annotate(row.verdict, (row.rmse, place), (5, 0), textcoords="offset points", va="center", fontsize=6,
                            color=OTHER)  # fmt: skip
    ax.set_yticks(range(len(kinds)), kinds, fontsize=7)
    ax.set_xlabel("error of predicted gate errors, thousandths (ibmq_kolkata)", fontsize=7)
    ax.set_xlim(left=0.0)
    ax.legend(fontsize=6, frameon=False)
    return quiet(ax)
