"""What the figures of simulated policies share: axes where none are given, colours, and quiet frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, OTHER, QUIET = "#30363d", "#6b7280", "#b8bec6"
_COLOURS = {"spep": "#d1660a", "lookahead": "#0b6fb8", "exact": "#3d8b40", "hybrid": "#8a4fa3"}
_SEVERAL = ("#0b6fb8", "#d1660a", "#3d8b40", "#8a4fa3", "#6b7280", "#b0892c")
_STYLES = ("-", "--", ":", "-.")


def colour_of(policy: str) -> str:
    """The colour of a policy's kind; simple ones are grey."""
    return _COLOURS.get(policy.partition(":")[0], OTHER)


def line_of(place: int) -> tuple[str, str]:
    """Colour and style of one line of several."""
    return _SEVERAL[place % len(_SEVERAL)], _STYLES[place // len(_SEVERAL) % len(_STYLES)]


def axes_or_new(ax: Axes | None) -> Axes:
    """The axes given, or new ones."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(4.0, 3.5))[1]


def quiet(ax: Axes) -> Axes:
    """Small ticks, faint vertical lines, no frame above and to the right."""
    ax.tick_params(labelsize=7)
    ax.grid(True, axis="x", color=QUIET, linewidth=0.4, alpha=0.6)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    return ax
