"""Figures of a study of samplers: success and time against sweeps, energies, degrees, penalties, chains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from qnroute.benchmark.chances import Interval
from qnroute.benchmark.qubo_findings import Run, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#0b6fb8", "#d1660a", "#3d8b40", "#8a4fa3", "#b8336a", "#6b7280")
_QUIET, _INK = "#b8bec6", "#30363d"
_PENALTIES = {tick: f"{tick:g}" for tick in (0.25, 0.5, 1.0, 2.0, 4.0, 10.0)}
_ACROSS = 2
_WIDTH, _HEIGHT = 4.6, 3.3  # inches of a panel
Panel = Callable[[Study, "Axes | None"], "Axes"]


def plot_study(study: Study) -> Axes:
    """All panels that there are figures for; the first of the axes."""
    import matplotlib.pyplot as plt

    panels: list[Panel] = []
    if study.runs:
        panels += [plot_success, plot_times, plot_energies]
    panels.append(plot_degrees)
    if study.penalties:
        panels.append(plot_penalties)
    if any(each.found for each in study.embeddings):
        panels.append(plot_chains)
    down = -(-len(panels) // _ACROSS)
    figure, axes = plt.subplots(
        down, _ACROSS, figsize=(_ACROSS * _WIDTH, down * _HEIGHT), squeeze=False, layout="constrained"
    )
    for ax, panel in zip(axes.flat, panels):
        panel(study, ax)
    for ax in axes.flat[len(panels) :]:
        ax.axis("off")
    figure.suptitle(
        f"{study.name}: {study.title['model']}, {study.size.variables} variables", fontsize=10, x=0.01, ha="left"
    )
    return axes[0, 0]


def plot_success(study: Study, ax: Axes | None = None) -> Axes:
    """Share of reads near the reference against sweeps, as drawn and repaired, with 95 % intervals."""
    ax, rules = _axes(ax), study.problem is not None
    for colour, runs in _by_sampler(study):
        if rules:
            _line(ax, runs, [run.within_repaired for run in runs], colour, "--", None)
        _line(ax, runs, [run.within for run in runs], colour, "-", runs[0].sampler)
    ax.set_ylim(-0.03, 1.03)
    title = "full: as drawn; hollow: repaired" if rules else "reads that come near"
    up = f"reads within {100 * study.near:g} %"
    return _finish(ax, "sweeps", up, title, ticks=_sweeps(study), legend=True)


def plot_times(study: Study, ax: Axes | None = None) -> Axes:
    """TTS99 against sweeps with 95 % intervals, the better of drawn and repaired; triangles are lower limits."""
    ax, limits = _axes(ax), False
    for colour, runs in _by_sampler(study):
        found = [min((run.tts99_ms, run.tts99_repaired_ms), key=lambda each: each.value or np.inf) for run in runs]
        _line(ax, runs, found, colour, "-", None)
        for run, each in zip(runs, found):
            if each.value is None and each.low is not None:
                ax.plot([_across(run)], [each.low], marker="^", color=colour, markersize=6, markerfacecolor="white")
                limits = True
    ax.set_yscale("log")
    title = "time to target; triangles: never reached, a lower limit" if limits else "time to target"
    return _finish(ax, "sweeps", "TTS99, CPU ms", title, ticks=_sweeps(study))


def plot_energies(study: Study, ax: Axes | None = None) -> Axes:
    """Energies of each sampler's longest run, above that of the reference."""
    ax = _axes(ax)
    for colour, runs in _by_sampler(study):
        counts = np.array(runs[-1].energies) / max(sum(runs[-1].energies), 1)
        ax.stairs(counts, study.energy_edges, color=colour, fill=True, alpha=0.35)
        ax.stairs(counts, study.energy_edges, color=colour, linewidth=1.0)
    shown = [
        edge
        for _, runs in _by_sampler(study)
        for edge in np.array(study.energy_edges[1:])[np.array(runs[-1].energies) > 0]
    ]
    ax.set_xlim(study.energy_edges[0], max(shown))
    ax.axvline(0.0, color=_INK, linewidth=0.8, linestyle="--")
    return _finish(ax, "energy above the reference", "share of reads", "energies, with the most sweeps of each")


def plot_degrees(study: Study, ax: Axes | None = None) -> Axes:
    """How many variables have how many couplers."""
    ax = _axes(ax)
    counts = np.array(study.size.degrees or (0,))
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.yaxis.get_major_locator().set_params(integer=True)
    width = max(len(counts) // 40, 1)
    grouped = np.add.reduceat(counts, np.arange(0, len(counts), width))
    middle = np.arange(len(grouped)) * width + (width - 1) / 2.0
    ax.bar(middle, grouped, width=0.9 * width, color=_COLOURS[5])
    return _finish(ax, "couplers of a variable", "variables", f"couplers: density {100 * study.size.density:.3g} %")


def plot_penalties(study: Study, ax: Axes | None = None) -> Axes:
    """Feasible reads and what they are worth, against penalties in units of what provably suffices."""
    ax = _axes(ax)
    strength = [each.strength for each in study.penalties]
    feasible = [each.feasible for each in study.penalties]
    _band(ax, strength, feasible, _COLOURS[0])
    ax.plot(
        strength,
        [each.value for each in feasible],
        color=_COLOURS[0],
        marker="o",
        markersize=4,
        label="feasible as drawn",
    )
    repaired = [np.nan if each.ratio_repaired is None else each.ratio_repaired for each in study.penalties]
    ax.plot(
        strength, repaired, color=_COLOURS[1], marker="s", markersize=3, linestyle="--", label="mean value, repaired"
    )
    below = [each.strength for each in study.penalties if each.ground_feasible is False]
    ax.plot(below, np.full(len(below), -0.05), linestyle="", marker="x", color=_COLOURS[4], markersize=5,
            label="ground state breaks rules")  # fmt: skip
    ax.axvline(1.0, color=_INK, linewidth=0.8, linestyle="--")
    ax.annotate(
        "proven to suffice", (1.0, 0.5), (3, 0), textcoords="offset points", fontsize=7, rotation=90, va="center"
    )
    ax.set_ylim(-0.1, 1.05)
    how = study.penalties[0]
    said = how.sampler if how.sweeps is None else f"{how.sampler}, {how.sweeps} sweeps"
    return _finish(ax, "penalty, in units of what suffices", "share", said, ticks=_PENALTIES, legend=True)


def plot_chains(study: Study, ax: Axes | None = None) -> Axes:
    """Lengths of the chains of each embedding."""
    ax = _axes(ax)
    for colour, each in zip(_COLOURS, (each for each in study.embeddings if each.found)):
        counts = np.bincount([len(chain) for chain in each.chains])
        label = f"{each.topology} {each.size}: {each.used:,} qubits"
        ax.stairs(counts[1:], np.arange(len(counts)) + 0.5, color=colour, linewidth=1.4, label=label)
    return _finish(ax, "qubits of a chain", "variables", "minor embeddings", legend=True)


def _by_sampler(study: Study) -> list[tuple[str, list[Run]]]:
    names = list(dict.fromkeys(run.sampler for run in study.runs))
    return [(colour, [run for run in study.runs if run.sampler == name]) for colour, name in zip(_COLOURS * 2, names)]


def _sweeps(study: Study) -> dict[float, str]:
    """Where runs stand, and what stands there."""
    return {_across(run): "none" if run.sweeps is None else f"{run.sweeps:g}" for run in study.runs}


def _across(run: Run) -> float:
    """Where a run stands; samplers that know no sweeps stand at 1."""
    return run.sweeps or 1


def _line(ax: Axes, runs: list[Run], shown: list[Interval], colour: str, style: str, label: str | None) -> None:
    across = [_across(run) for run in runs]
    _band(ax, across, shown, colour)
    values = [np.nan if each.value is None else each.value for each in shown]
    face, size = (colour, 4) if style == "-" else ("white", 7)
    ax.plot(
        across, values, color=colour, linestyle=style, marker="o", markersize=size, markerfacecolor=face, label=label
    )


def _band(ax: Axes, across: list[float], shown: list[Interval], colour: str) -> None:
    low = [np.nan if each.value is None or each.low is None else each.low for each in shown]
    high = [np.nan if each.value is None or each.high is None else each.high for each in shown]
    ax.fill_between(across, low, high, color=colour, alpha=0.12, linewidth=0)
    ax.vlines(across, low, high, color=colour, alpha=0.4, linewidth=1.0)


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(_WIDTH, _HEIGHT), layout="constrained")[1]


def _finish(
    ax: Axes, across: str, up: str, title: str, *, ticks: Mapping[float, str] | None = None, legend: bool = False
) -> Axes:
    """Labels and grid; with `ticks` the axis is logarithmic, and these alone are named."""
    if ticks is not None:
        from matplotlib.ticker import NullLocator

        ax.set_xscale("log")
        ax.set_xticks(list(ticks), list(ticks.values()))
        ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(across, fontsize=8)
    ax.set_ylabel(up, fontsize=8)
    ax.set_title(title, fontsize=8, loc="left", color=_INK)
    ax.tick_params(which="both", labelsize=7)
    ax.grid(True, which="major", color=_QUIET, linewidth=0.4, alpha=0.6)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    if legend and ax.get_legend_handles_labels()[1]:
        ax.legend(fontsize=7, frameon=False, loc="best")
    return ax
