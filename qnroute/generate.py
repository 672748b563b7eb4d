"""Networks and requests drawn at random, the same for the same seed.

Every topology is a function; `topology` finds them by name. What their links and nodes are worth is set by the
options common to all (`Options`), each a number or a range ``(low, high)`` to draw from, uniformly and independently.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

import numpy as np
from annotated_types import Ge, Le
from pydantic import Strict, WrapValidator

from qnroute import fields
from qnroute.errors import ProblemError
from qnroute.fields import checked, chosen, record
from qnroute.hardware import AnyPreset
from qnroute.joining import components, joining_pairs, lengths
from qnroute.nearby import near_pairs
from qnroute.network import LINK_COLUMNS, NODE_COLUMNS, Network
from qnroute.problem import Request

MOST_NODES = 1_000_000
MOST_LINKS = 10_000_000
MOST_REQUESTS = 1_000_000
MOST_PAIRED = 50_000  # nodes of a topology that looks at every pair


class Range(NamedTuple):
    """What an option is drawn from, uniformly; the ends of a plain number are one."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """(size,) values, integers where the ends are."""
        if isinstance(self.low, int):
            return rng.integers(self.low, self.high, size, endpoint=True)
        return rng.uniform(self.low, self.high, size)


def _range(value: Any, number: Callable[[Any], float]) -> Range:
    ends = [number(end) for end in (value if isinstance(value, (tuple, list)) else (value, value))]
    if len(ends) != 2 or ends[0] > ends[1]:
        raise ValueError(f"found {value!r:.60}, expected a number or a range (low, high)")
    return Range(*ends)


DRAWN = WrapValidator(_range)  # a number for all, or a range ``(low, high)`` to draw from uniformly
_Flag = Annotated[bool, Strict()]
_Nodes = Annotated[fields.PositiveCount, Le(MOST_NODES)]
_Scale = Annotated[fields.Positive, Ge(1e-6), Le(1e6)]  # keeps squares and triangulations within floating point


@record
class Options:
    """Options common to all topologies; those of links and nodes are numbers, or ranges ``(low, high)``."""

    seed: fields.Count = 0
    name: fields.Identifier | None = None  # the kind, the size and the seed
    connected: _Flag = True  # join components: by the shortest links where nodes have places, else at random
    length_km: Annotated[fields.NonNegative, DRAWN] | None = None  # only where nodes have no places
    p: Annotated[fields.PositiveProbability, DRAWN] | None = None  # 0.5
    fidelity: Annotated[fields.LinkFidelity, DRAWN] | None = None  # these four as `Link` and `Node` have them
    channels: Annotated[fields.PositiveCount, DRAWN] | None = None
    memory: Annotated[fields.Count, DRAWN] | None = None
    swap: Annotated[fields.Probability, DRAWN] | None = None
    hardware: AnyPreset | None = None  # a preset: p, fidelity, loss and swap follow from the lengths
    slot_s: fields.Positive | None = None  # of the hardware

    def __post_init__(self) -> None:
        if self.hardware is not None and (self.p is not None or self.fidelity is not None):
            raise ProblemError("hardware: expected either hardware, or p and fidelity, not both")
        if self.hardware is None and self.slot_s is not None:
            raise ProblemError("slot_s: expected only together with hardware")


# --- topologies ---


@checked
def erdos_renyi(n: _Nodes, probability: fields.Probability, **options: Any) -> Network:
    """Every pair of `n` nodes is linked with the same `probability`, independently."""
    _not_too_many(n * (n - 1) / 2 * probability)
    return _network("erdos-renyi", n, options, lambda rng: _Sketch(_binomial_pairs(n, probability, rng)))


@checked
def regular(n: _Nodes, degree: fields.Count, **options: Any) -> Network:
    """A random graph in which each of `n` nodes has `degree` links; their product must be even."""
    _less_than_nodes("degree", degree, n)
    _not_too_many(n * degree / 2)
    if n * degree % 2:
        raise ProblemError(f"degree: found {degree} for {n} nodes, expected an even number since n is odd")
    dense = 2 * degree >= n  # drawn as what is missing from the complete graph, since pairing up stubs needs room
    stubs = n - 1 - degree if dense else degree
    return _network(
        "regular", n, options, lambda rng: _by_networkx("random_regular_graph", rng, stubs, n, complement=dense)
    )


@checked
def watts_strogatz(
    n: _Nodes, neighbours: fields.PositiveCount, rewiring: fields.Probability, **options: Any
) -> Network:
    """A ring where each of `n` nodes is linked to its nearest `neighbours` (even), each link rewired at random.

    Watts and Strogatz, Nature 393, 440 (1998), with probability `rewiring`.
    """
    _less_than_nodes("neighbours", neighbours, n)
    _not_too_many(n * neighbours / 2)
    if neighbours % 2:
        raise ProblemError(f"neighbours: found {neighbours}, expected an even number")
    ring = n, neighbours, rewiring
    return _network("watts-strogatz", n, options, lambda rng: _by_networkx("watts_strogatz_graph", rng, *ring))


@checked
def barabasi_albert(n: _Nodes, links_per_node: fields.PositiveCount, **options: Any) -> Network:
    """Nodes arrive one by one, each with links to `links_per_node` older ones, preferably well linked.

    Barabasi and Albert, Science 286, 509 (1999).
    """
    _less_than_nodes("links_per_node", links_per_node, n)
    _not_too_many(n * links_per_node)
    growth = n, links_per_node
    return _network("barabasi-albert", n, options, lambda rng: _by_networkx("barabasi_albert_graph", rng, *growth))


@checked
def waxman(
    n: Annotated[_Nodes, Le(MOST_PAIRED)],
    alpha: _Scale,
    beta: fields.PositiveProbability,
    *,
    side_km: _Scale = 100.0,
    **options: Any,
) -> Network:
    """Nodes anywhere in a square; two at distance d are linked with probability ``beta * exp(-d / (alpha * L))``.

    Waxman, IEEE J. Sel. Areas Commun. 6, 1617 (1988); L is the diagonal of the square of side `side_km`.
    """

    def draw(rng: np.random.Generator) -> _Sketch:
        xy = rng.uniform(0, side_km, (n, 2))
        return _Sketch(_waxman_pairs(xy, alpha * side_km * math.sqrt(2), beta, rng), xy)

    return _network("waxman", n, options, draw)


@checked
def random_geometric(n: _Nodes, radius: _Scale, *, side_km: _Scale = 100.0, **options: Any) -> Network:
    """Nodes anywhere in a square of side `side_km`; two are linked if at most `radius` km apart."""

    def draw(rng: np.random.Generator) -> _Sketch:
        from scipy.spatial import cKDTree

        xy = rng.uniform(0, side_km, (n, 2))
        tree = cKDTree(xy)
        _not_too_many((tree.count_neighbors(tree, radius) - n) / 2)
        return _Sketch(tree.query_pairs(radius, output_type="ndarray"), xy)

    return _network("random-geometric", n, options, draw)


@checked
def grid(rows: _Nodes, columns: _Nodes, *, spacing_km: _Scale = 10.0, **options: Any) -> Network:
    """A rectangular grid, numbered row by row; neighbours are `spacing_km` apart."""
    n = rows * columns
    if n > MOST_NODES:
        raise ProblemError(f"rows, columns: found {rows} x {columns}, expected {MOST_NODES} nodes at most")
    node = np.arange(n).reshape(rows, columns)
    across = np.column_stack([node[:, :-1].ravel(), node[:, 1:].ravel()])
    down = np.column_stack([node[:-1].ravel(), node[1:].ravel()])
    xy = spacing_km * np.column_stack([node.ravel() % columns, node.ravel() // columns])
    return _network("grid", n, options, lambda rng: _Sketch(np.concatenate([across, down]), xy))


TOPOLOGIES: Mapping[str, Callable[..., Network]] = MappingProxyType(
    {
        make.__name__.replace("_", "-"): make
        for make in (erdos_renyi, regular, watts_strogatz, barabasi_albert, waxman, random_geometric, grid)
    }
)


def topology(kind: str, *, seed: int = 0, **options: Any) -> Network:
    """A network of one of the `TOPOLOGIES`, by name.

    Parameters
    ----------
    seed
        Same seed, same network.
    **options
        Those of the topology itself and those common to all, see `Options`.

    Raises
    ------
    ProblemError
        No such topology, or an option that is missing, unknown or out of range.
    """
    make = chosen("topology", kind, TOPOLOGIES)
    own = [option for option in inspect.signature(make).parameters.values() if option.kind is not option.VAR_KEYWORD]
    known = [option.name for option in (*own, *dataclasses.fields(Options))]
    faults = [
        f"{name}: unknown field of {kind}, expected some of {', '.join(known)}" for name in options if name not in known
    ]
    required = [option.name for option in own if option.default is option.empty]
    faults += [f"{name}: missing, but {kind} needs it" for name in required if name not in options]
    if faults:
        raise ProblemError(faults)
    return make(seed=seed, **options)


@checked
def requests(
    network: Network,
    count: Annotated[fields.Count, Le(MOST_REQUESTS)],
    *,
    seed: fields.Count = 0,
    weight: Annotated[fields.Positive, DRAWN] = 1.0,
    min_fidelity: Annotated[fields.Probability, DRAWN] = 0.0,
    routes: Annotated[fields.PositiveCount, DRAWN] = 1,
    distinct: _Flag = False,
    same_component: _Flag = True,
    among: Sequence[str] | None = None,
    within: fields.PositiveCount | None = None,
) -> list[Request]:
    """`count` requests r1, r2, ... between pairs of nodes drawn uniformly.

    Parameters
    ----------
    weight, min_fidelity, routes
        A number for all, or a range ``(low, high)`` to draw from.
    distinct
        No two requests between the same two nodes.
    same_component
        Only between nodes that some route joins.
    among
        Only between these nodes; all of them if not given.
    within
        Only between nodes at most so many links apart; any distance if not given.

    Raises
    ------
    ProblemError
        An option is out of range, or there are not so many pairs.
    """
    rng = np.random.default_rng(seed)
    links = np.column_stack([network.source, network.target])
    label = components(network.n_nodes, links) if same_component else np.zeros(network.n_nodes, dtype=np.int64)
    if among is not None:
        label = _only(network, among, label)
    if within is None:
        pairs = _node_pairs(label, count, distinct, rng)
    else:
        near = near_pairs(network.n_nodes, links, within)
        near = near[label[near[:, 0]] == label[near[:, 1]]]
        pairs = _either_way(near[_numbers(len(near), count, distinct, rng)], rng)
    columns = [values.draw(rng, count).tolist() for values in (weight, min_fidelity, routes)]
    ids = network.node_ids
    return [
        Request(f"r{k}", ids[source], ids[target], *values)
        for k, ((source, target), *values) in enumerate(zip(pairs.tolist(), *columns), start=1)
    ]


def _only(network: Network, among: Sequence[str], label: np.ndarray) -> np.ndarray:
    """The labels with every node that is not named put in a part of its own, where it finds no partner."""
    unknown = [name for name in among if name not in network.index]
    if unknown:
        raise ProblemError([f"among: no node is called {fields.brief(name)}" for name in unknown])
    apart = np.ones(len(label), dtype=bool)
    apart[[network.index[name] for name in among]] = False
    return np.where(apart, len(label) + np.arange(len(label)), label)


# --- from a sketch to a network ---


class _Sketch(NamedTuple):
    pairs: np.ndarray  # (m, 2) node indices
    xy: np.ndarray | None = None  # (n, 2) km


def _network(kind: str, n: int, options: Mapping[str, Any], draw: Callable[[np.random.Generator], _Sketch]) -> Network:
    try:
        given = Options(**options)
    except ProblemError as error:
        raise ProblemError([f"{kind}{fault.removeprefix('Options')}" for fault in error.faults]) from None
    rng = np.random.default_rng(given.seed)
    pairs, xy = draw(rng)
    if xy is not None and given.length_km is not None:
        raise ProblemError(f"length_km: not an option of {kind}, whose lengths follow from the places of its nodes")
    if xy is None and given.length_km is None and given.hardware:
        raise ProblemError(f"hardware: needs lengths, which {kind} has only where length_km is given")
    added = joining_pairs(n, pairs, xy, rng) if given.connected else pairs[:0]
    pairs = np.sort(np.concatenate([pairs, added]), axis=1)
    pairs = pairs[np.lexsort(pairs.T[::-1])]
    columns: dict[str, Any] = {"p": 0.5}
    for names, size in ((LINK_COLUMNS, len(pairs)), (NODE_COLUMNS, n)):
        drawn = {name: getattr(given, name, None) for name in names}
        columns |= {name: values.draw(rng, size) for name, values in drawn.items() if values is not None}
    if xy is not None:
        columns |= {"x": xy[:, 0], "y": xy[:, 1], "length_km": lengths(xy, pairs)}
    made = Network.from_columns(
        [f"n{i}" for i in range(n)],
        *pairs.T,
        name=given.name or f"{kind}-{n}-seed{given.seed}",
        notes=[f"links added to join {len(added) + 1} components: {len(added)}"] if len(added) else [],
        **columns,
    )
    if given.hardware:
        made = given.hardware.apply(made, slot_s=given.slot_s)
        made = made.replace(swap=columns.get("swap", made.swap))
    return made


def _less_than_nodes(name: str, value: int, n: int) -> None:
    if value >= n:
        raise ProblemError(f"{name}: found {value}, expected less than the number of nodes, {n}")


def _not_too_many(links: float) -> None:
    if links > MOST_LINKS:
        raise ProblemError(f"links: about {links:.3g} would be drawn, expected {MOST_LINKS} at most")


# --- drawing pairs ---


def _binomial_pairs(n: int, probability: float, rng: np.random.Generator) -> np.ndarray:
    """Each pair with `probability`, skipping from hit to hit: Batagelj and Brandes, Phys. Rev. E 71, 036113 (2005)."""
    total = n * (n - 1) // 2
    hits, last = [np.empty(0, dtype=np.int64)], -1
    while probability and last < total - 1:
        expected = (total - last) * probability
        gaps = rng.geometric(probability, int(expected + 4 * math.sqrt(expected)) + 8)
        hits.append(last + np.cumsum(np.minimum(gaps, total + 1)))
        last = hits[-1][-1]
    hit = np.concatenate(hits)
    return _pairs_at(hit[hit < total])


def _waxman_pairs(xy: np.ndarray, scale_km: float, beta: float, rng: np.random.Generator) -> np.ndarray:
    """Pairs closer than a random reach, drawn such that P(reach > d) = beta * exp(-d / scale_km)."""
    found, links = [np.empty((0, 2), dtype=np.int64)], 0
    for u in range(len(xy) - 1):
        reach = scale_km * (rng.standard_exponential(len(xy) - 1 - u) + math.log(beta))
        dx, dy = (xy[u + 1 :] - xy[u]).T
        v = u + 1 + np.flatnonzero((reach > 0) & (dx * dx + dy * dy < reach * reach))
        found.append(np.column_stack([np.full_like(v, u), v]))
        links += len(v)
        _not_too_many(links)
    return np.concatenate(found)


def _by_networkx(generator: str, rng: np.random.Generator, *arguments: Any, complement: bool = False) -> _Sketch:
    import networkx as nx

    graph = getattr(nx, generator)(*arguments, seed=int(rng.integers(2**32)))
    graph = nx.complement(graph) if complement else graph
    return _Sketch(np.array(graph.edges, dtype=np.int64).reshape(-1, 2))


def _node_pairs(label: np.ndarray, count: int, distinct: bool, rng: np.random.Generator) -> np.ndarray:
    """(count, 2) pairs of nodes with equal labels, uniformly, either way round."""
    order, size = np.argsort(label, kind="stable"), np.bincount(label)
    start, ahead = np.cumsum(size) - size, np.cumsum(size * (size - 1) // 2)
    index = _numbers(int(ahead[-1]) if len(ahead) else 0, count, distinct, rng)
    group = np.searchsorted(ahead, index, side="right")
    within = index - (ahead - size * (size - 1) // 2)[group]
    return _either_way(order[_pairs_at(within) + start[group][:, None]], rng)


def _numbers(total: int, count: int, distinct: bool, rng: np.random.Generator) -> np.ndarray:
    """(count,) places in a list of `total` pairs."""
    if count > (total if distinct else count * total):
        raise ProblemError(f"count: found {count}, but the network has {total} pairs of nodes to choose from")
    return rng.choice(total, count, replace=not distinct) if count else np.empty(0, dtype=np.int64)


def _either_way(pairs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random(len(pairs))[:, None] < 0.5, pairs, pairs[:, ::-1])


def _pairs_at(index: np.ndarray) -> np.ndarray:
    """The pairs (i, j), i < j, at these places of the list (0, 1), (0, 2), (1, 2), (0, 3), ..."""
    j = ((1 + np.sqrt(1 + 8 * index)) / 2).astype(np.int64)
    j -= j * (j - 1) // 2 > index  # the square root may be off by one place, either way
    j += j * (j + 1) // 2 <= index
    return np.column_stack([index - j * (j - 1) // 2, j])
