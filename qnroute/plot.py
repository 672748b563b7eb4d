"""Maps: a network where its nodes are, and the routes of an answer drawn on it."""

from __future__ import annotations

import importlib.util
import io
import os
import warnings
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from qnroute.errors import ProblemError, SolverError
from qnroute.formats.writing import require_writable, write_bytes
from qnroute.repeaters import stations
from qnroute.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from qnroute.network import Network
    from qnroute.result import Result

ENDINGS = (".png", ".svg", ".pdf")
_NAMED_NODES = 60  # more names than this cannot be read
_NAMED_ROUTES = 14  # more lines than this do not fit a legend
_FARTHEST = 1e12
_QUIET = "#b8bec6"
_INK = "#30363d"


def require_plotting(path: str) -> None:
    """Refuse, before long work, a picture that could not be made after it."""
    if os.path.splitext(path)[1].lower() not in ENDINGS:
        raise ProblemError(f"expected a name ending in {', '.join(ENDINGS)}", source=path)
    if importlib.util.find_spec("matplotlib") is None:
        raise SolverError("plots need matplotlib: pip install 'qnroute[plot]'")


def plot_network(network: Network, ax: Axes | None = None) -> Axes:
    """The network as a map; links drawn thicker where they have more channels."""
    ax = _axes(ax)
    xy, kind = positions(network)
    _draw_links(ax, network, xy)
    _draw_nodes(ax, network, xy, np.zeros(network.n_nodes, bool))
    return _finish(ax, xy, kind, network.name)


def plot_result(result: Result, ax: Axes | None = None) -> Axes:
    """The routes (or selected links) of a result on the map of its network.

    Routes that share a link run side by side; each has the colour of its request.
    """
    ax = _axes(ax)
    network = result.problem.network
    xy, kind = positions(network)
    _draw_links(ax, network, xy)
    touched = np.zeros(network.n_nodes, bool)
    if result.problem.task == "link-selection":
        chosen = [(network.index[u], network.index[v]) for u, v in result.allocation.links]
        for u, v in chosen:
            ax.plot(*xy[[u, v]].T, color="#0b6fb8", linewidth=2.5, zorder=2)
        touched[[end for pair in chosen for end in pair]] = True
    else:
        _draw_routes(ax, result, xy, touched)
    _draw_nodes(ax, network, xy, touched)
    gap = "" if result.gap is None or result.status == "optimal" else f", gap {100 * result.gap:.2g} %"
    count = len(result.allocation.routes) or len(result.allocation.links)
    found = f"{count} chosen, objective {result.objective:.4g} ({result.status}{gap})"
    title = f"{result.problem.name}: {result.method}, {found}"
    return _finish(ax, xy, kind, title)


def save_figure(ax: Axes, path: str) -> None:
    """Write the figure of `ax`, whole or not at all, and close it."""
    import matplotlib.pyplot as plt

    drawn = io.BytesIO()
    try:
        require_writable(path)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # a box in the picture, not a fault of the answer
            kind = os.path.splitext(path)[1][1:]
            ax.figure.savefig(drawn, format=kind, dpi=160, bbox_inches="tight", facecolor="white")
        write_bytes(path, drawn.getvalue())
    except OSError as error:
        raise ProblemError(f"cannot be written: {error.strerror or error}", source=str(path)) from None
    finally:
        plt.close(ax.figure)


def positions(network: Network) -> tuple[np.ndarray, str]:
    """(n, 2) where to draw the nodes, and what that is: ``degrees``, ``km``, or a ``layout`` of our own.

    Coordinates of the network where it has any; nodes without are put at the mean of their neighbours; a
    network without any is laid out by its structure.
    """
    for columns, kind in (((network.lon, network.lat), "degrees"), ((network.x, network.y), "km")):
        xy = np.column_stack(columns)
        if np.nanmax(np.abs(xy), initial=0.0) > _FARTHEST:
            raise ProblemError(f"coordinates: found some beyond {_FARTHEST:g}, too far apart to draw")
        known = ~np.isnan(xy).any(axis=1)
        if known.sum() > max(1, network.n_nodes // 2):
            return _filled(network, xy, known), kind
    import networkx as nx

    graph = nx.Graph()
    graph.add_nodes_from(range(network.n_nodes))
    graph.add_edges_from(zip(network.source.tolist(), network.target.tolist()))
    made = nx.kamada_kawai_layout(graph) if 2 < network.n_nodes <= 150 else nx.spring_layout(graph, seed=0)
    return np.array([made[i] for i in range(network.n_nodes)]).reshape(-1, 2), "layout"


def _filled(network: Network, xy: np.ndarray, known: np.ndarray) -> np.ndarray:
    adjacency, xy, known = network.adjacency, xy.copy(), known.copy()
    reach = 0.02 * np.ptp(xy[known], axis=0).max()
    while not known.all():
        before = known.copy()
        for i in np.flatnonzero(~before):
            near = adjacency.neighbour[adjacency.indptr[i] : adjacency.indptr[i + 1]]
            near = near[before[near]]
            if len(near):
                turn = 2.4 * i  # beside the neighbours, each at an angle of its own
                xy[i] = xy[near].mean(axis=0) + reach * np.array([np.cos(turn), np.sin(turn)])
                known[i] = True
        if (known == before).all():  # a part of the network without any coordinate
            xy[~known], known[:] = np.nanmean(xy[known], axis=0), True
    return xy


def _axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(11, 7.5))[1]


def _draw_links(ax: Axes, network: Network, xy: np.ndarray) -> None:
    from matplotlib.collections import LineCollection

    lines = xy[np.column_stack([network.source, network.target])]
    widths = np.minimum(0.6 + 0.4 * network.channels, 3.0)
    ax.add_collection(LineCollection(lines, colors=_QUIET, linewidths=widths, zorder=1))


def _draw_nodes(ax: Axes, network: Network, xy: np.ndarray, touched: np.ndarray) -> None:
    station = stations(network)
    size = np.where(station, 2.0, 26.0 if network.n_nodes <= _NAMED_NODES * 3 else 9.0)
    colour = np.where(touched, _INK, "white")
    ax.scatter(*xy.T, s=size, c=colour, edgecolors=np.where(station, _QUIET, _INK), linewidths=0.8, zorder=4)
    named = np.flatnonzero(~station)
    if len(named) > _NAMED_NODES:
        return
    for i in named.tolist():
        place = {"xytext": (4, 4), "textcoords": "offset points", "zorder": 5}
        ax.annotate(printable(network.node_ids[i])[:24], xy[i], fontsize=7, color=_INK, parse_math=False, **place)


def _draw_routes(ax: Axes, result: Result, xy: np.ndarray, touched: np.ndarray) -> None:
    import matplotlib as mpl

    network, routes = result.problem.network, result.allocation.routes
    names = list(dict.fromkeys(route.request for route in routes))
    palette = mpl.colormaps["tab20"] if len(names) <= 20 else mpl.colormaps["hsv"]
    shade = {name: palette(i if len(names) <= 20 else i / len(names)) for i, name in enumerate(names)}
    taken: dict[tuple[int, int], int] = {}
    step = 0.0035 * np.ptp(xy, axis=0).max() if len(xy) > 1 else 0.0
    lines, labels = [], []
    for route in routes:
        nodes = [network.index[v] for v in route.nodes]
        touched[[nodes[0], nodes[-1]]] = True
        for u, v in pairwise(nodes):
            pair = (min(u, v), max(u, v))
            lane = taken[pair] = taken.get(pair, 0) + 1
            along = xy[pair[1]] - xy[pair[0]]
            across = np.array([-along[1], along[0]]) / max(np.hypot(*along), 1e-12)
            shift = across * step * (lane // 2) * (1 if lane % 2 else -1)
            (line,) = ax.plot(*(xy[[u, v]] + shift).T, color=shade[route.request], linewidth=1.8, zorder=3)
        lines.append(line)
        labels.append(f"{route.request}: {route.nodes[0]} - {route.nodes[-1]}")
    _draw_legend(ax, lines, labels)


def _draw_legend(ax: Axes, lines: list[Line2D], labels: list[str]) -> None:
    if not lines:
        return
    if (more := len(lines) - _NAMED_ROUTES) > 0:
        lines = [*lines[:_NAMED_ROUTES], *ax.plot([], [], " ")]
        labels = [*labels[:_NAMED_ROUTES], f"and {more} more"]
    # numbers first: a label that starts with an underscore would be left out
    legend = ax.legend(lines, range(len(lines)), fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    for text, label in zip(legend.get_texts(), labels):
        text.set_parse_math(False)
        text.set_text(printable(label))


def _finish(ax: Axes, xy: np.ndarray, kind: str, title: str) -> Axes:
    ax.set_title(printable(title), fontsize=10, loc="left", parse_math=False)
    if kind == "degrees":  # a degree of longitude is shorter than one of latitude
        ax.set_aspect(1.0 / max(np.cos(np.radians(np.clip(np.mean(xy[:, 1]), -80, 80))), 0.1))
        ax.set_xlabel("longitude", fontsize=8)
        ax.set_ylabel("latitude", fontsize=8)
        ax.tick_params(labelsize=7)
    else:
        ax.set_aspect("equal")
        if kind == "layout":
            ax.set_xticks([])
            ax.set_yticks([])
        else:
            ax.set_xlabel("x, km", fontsize=8)
            ax.set_ylabel("y, km", fontsize=8)
            ax.tick_params(labelsize=7)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.margins(0.05)
    return ax
