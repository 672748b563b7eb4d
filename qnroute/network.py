"""Network: the nodes and links of a quantum network as columns, with the meaning the contract gives them.

`Node` and `Link` are one row each; a `Network` holds read-only numpy columns made from such rows, or
directly from columns. Links are undirected; there is at most one between two nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qnroute import fields
from qnroute.columns import broadcast, column, dicts, pair_faults, read_only, rows_of, structure_faults
from qnroute.errors import ProblemError
from qnroute.fields import (
    Count,
    Identifier,
    Latitude,
    LinkFidelity,
    Longitude,
    NonNegative,
    PositiveCount,
    PositiveProbability,
    Probability,
    Real,
    record,
)

if TYPE_CHECKING:
    import networkx as nx


@record
class Node:
    """One node: `memory` in qubits (None: no limit), `swap` success probability, own `degree` bound."""

    id: Identifier
    memory: Count | None = None
    swap: Probability = 1.0
    degree: Count | None = None
    lat: Latitude | None = None
    lon: Longitude | None = None
    x: Real | None = None
    y: Real | None = None


@record
class Link:
    """One undirected link: `p` per channel and slot, `fidelity` of a fresh pair, `score` instead of p * F."""

    source: Identifier
    target: Identifier
    p: PositiveProbability
    fidelity: LinkFidelity = 1.0
    channels: PositiveCount = 1
    length_km: NonNegative | None = None
    loss_db: NonNegative | None = None
    score: Real | None = None


NODE_COLUMNS = ("memory", "swap", "degree", "lat", "lon", "x", "y")
LINK_COLUMNS = ("p", "fidelity", "channels", "length_km", "loss_db", "score")
_COLUMNS = ", ".join(NODE_COLUMNS + LINK_COLUMNS)


class Adjacency(NamedTuple):
    """Neighbours in compressed rows: those of node i stand at ``indptr[i]:indptr[i + 1]``."""

    indptr: np.ndarray  # (n + 1,) int64
    neighbour: np.ndarray  # (2 m,) int64
    link: np.ndarray  # (2 m,) int64


class Network:
    """A quantum network of n nodes and m links, immutable.

    Parameters
    ----------
    nodes, links
        `Node` and `Link` records, or mappings with the same fields.
    name
        For people; at most 1000 characters.
    notes
        What reading the network merged, dropped, imputed or doubted, one line each.

    Attributes
    ----------
    node_ids : tuple of str
    memory, degree : (n,) int64, `UNLIMITED` where there is no limit
    swap, lat, lon, x, y : (n,) float64, NaN where absent
    source, target : (m,) int64, indices of the end nodes
    p, fidelity, length_km, loss_db, score : (m,) float64, NaN where absent
    channels : (m,) int64

    Raises
    ------
    ProblemError
        With every fault found: duplicate ids, unknown ends, self-loops, second links, values out of range.
    """

    node_ids: tuple[str, ...]
    memory: np.ndarray
    swap: np.ndarray
    degree: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    x: np.ndarray
    y: np.ndarray
    source: np.ndarray
    target: np.ndarray
    p: np.ndarray
    fidelity: np.ndarray
    channels: np.ndarray
    length_km: np.ndarray
    loss_db: np.ndarray
    score: np.ndarray

    def __init__(
        self,
        nodes: Iterable[Node | Mapping[str, Any]],
        links: Iterable[Link | Mapping[str, Any]],
        *,
        name: str = "",
        notes: Sequence[str] = (),
    ):
        node_rows, faults = rows_of(Node, nodes, "nodes")
        link_rows, more = rows_of(Link, links, "links")
        faults += more + _label_faults(name, notes)
        if faults:
            raise ProblemError(faults, source=_called(name))
        ids = [row.id for row in node_rows]
        ends = [(row.source, row.target) for row in link_rows]
        faults = list(structure_faults(ids, ends))
        if faults:
            raise ProblemError(faults, source=_called(name))
        index = {node: i for i, node in enumerate(ids)}
        self._fill(
            ids,
            np.array([index[u] for u, _ in ends], dtype=np.int64),
            np.array([index[v] for _, v in ends], dtype=np.int64),
            {field: column(Node, field, [getattr(row, field) for row in node_rows]) for field in NODE_COLUMNS},
            {field: column(Link, field, [getattr(row, field) for row in link_rows]) for field in LINK_COLUMNS},
            name,
            notes,
        )

    @classmethod
    def from_columns(
        cls,
        node_ids: Sequence[str],
        source: np.ndarray,
        target: np.ndarray,
        *,
        name: str = "",
        notes: Sequence[str] = (),
        **columns: Any,
    ) -> Network:
        """A network from whole columns, for generators and large instances.

        Parameters
        ----------
        node_ids
            n distinct names.
        source, target
            (m,) indices into `node_ids`.
        **columns
            Any of the node columns ``memory swap degree lat lon x y`` and link columns
            ``p fidelity channels length_km loss_db score``: a scalar for all, or one value for each.
            Absent entries: NaN in float columns, `UNLIMITED` in `memory` and `degree`. ``p`` is required.
        """
        unknown = sorted(set(columns) - {*NODE_COLUMNS, *LINK_COLUMNS})
        if unknown or "p" not in columns:
            faults = [f"columns: {fields.brief(field)} is unknown, expected some of {_COLUMNS}" for field in unknown]
            raise ProblemError(faults or "links.p: missing, but required", source=_called(name))
        ids = [str(node) for node in node_ids]
        source, target = np.asarray(source), np.asarray(target)
        if source.size and (source.dtype.kind not in "iu" or target.dtype.kind not in "iu"):
            raise ProblemError("links: expected integer indices of nodes as source and target", source=_called(name))
        source, target = source.astype(np.int64), target.astype(np.int64)
        faults = [f"nodes: {len(ids)} ids, of which {len(set(ids))} distinct"] if len(set(ids)) < len(ids) else []
        faults += [*_label_faults(name, notes), *pair_faults(ids, source, target)]
        sizes = {Node: (NODE_COLUMNS, len(ids), "nodes"), Link: (LINK_COLUMNS, len(source), "links")}
        made: dict[type, dict[str, np.ndarray]] = {}
        for kind, (names, size, where) in sizes.items():
            made[kind] = {field: broadcast(kind, field, columns.get(field), size, where) for field in names}
            for field, values in made[kind].items():
                alone = np.ndim(columns.get(field)) == 0  # one value for all is one fault
                faults += fields.column_faults(kind, field, values[:1] if alone else values, where, alone=alone)
        faults += [f"links[{i}].p: missing, but required" for i in np.flatnonzero(np.isnan(made[Link]["p"]))]
        if faults:
            raise ProblemError(faults, source=_called(name))
        network = cls.__new__(cls)
        network._fill(ids, source, target, made[Node], made[Link], name, notes)
        return network

    def _fill(self, ids, source, target, nodes, links, name, notes) -> None:
        self.name, self.notes, self.node_ids = name, tuple(notes), tuple(ids)
        for field, values in {"source": source, "target": target, **nodes, **links}.items():
            setattr(self, field, read_only(values.copy()))

    # --- what it is ---

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.node_ids)

    @property
    def n_links(self) -> int:
        """Number of links."""
        return len(self.source)

    @cached_property
    def index(self) -> dict[str, int]:
        """Node id -> its index."""
        return {node: i for i, node in enumerate(self.node_ids)}

    @cached_property
    def link_index(self) -> dict[tuple[int, int], int]:
        """(i, j) -> the index of the link between nodes i and j, both ways round."""
        ends = list(zip(self.source.tolist(), self.target.tolist()))
        return {**{(v, u): e for e, (u, v) in enumerate(ends)}, **{pair: e for e, pair in enumerate(ends)}}

    @cached_property
    def adjacency(self) -> Adjacency:
        """Compressed rows over both directions of every link, each row in the order of the links."""
        links = np.arange(self.n_links)
        tail = np.concatenate([self.source, self.target])
        order = np.lexsort((np.concatenate([links, links]), tail))
        indptr = np.zeros(self.n_nodes + 1, dtype=np.int64)
        np.cumsum(np.bincount(tail, minlength=self.n_nodes), out=indptr[1:])
        neighbour = np.concatenate([self.target, self.source])[order]
        return Adjacency(*map(read_only, (indptr, neighbour, np.concatenate([links, links])[order])))

    @property
    def werner(self) -> np.ndarray:
        """(m,) Werner parameter w = (4 F - 1) / 3 of each link."""
        return (4.0 * self.fidelity - 1.0) / 3.0

    @property
    def coefficient(self) -> np.ndarray:
        """(m,) the score where one is given, else p * F (paper A, equation 2)."""
        return np.where(np.isnan(self.score), self.p * self.fidelity, self.score)

    def link_name(self, link: int) -> str:
        """``A-B``, for messages."""
        ends = self.node_ids[self.source[link]], self.node_ids[self.target[link]]
        return "-".join(fields.brief_name(end) for end in ends)

    def link_names(self, links: Sequence[int], most: int = 20) -> str:
        """Several links by name; of many only the first."""
        names = ", ".join(self.link_name(e) for e in links[:most])
        return names + (f" and {len(links) - most} more" if len(links) > most else "")

    def nodes(self) -> Iterator[Node]:
        """The rows of the node table."""
        return (Node(**row) for row in self._nodedicts())

    def links(self) -> Iterator[Link]:
        """The rows of the link table."""
        return (Link(**row) for row in self._linkdicts())

    # --- other forms of it ---

    def replace(self, *, name: str | None = None, notes: Sequence[str] | None = None, **columns: Any) -> Network:
        """A copy with some columns, the name or the notes changed."""
        kept = {field: getattr(self, field) for field in (*NODE_COLUMNS, *LINK_COLUMNS)}
        return Network.from_columns(
            self.node_ids,
            self.source,
            self.target,
            name=self.name if name is None else name,
            notes=self.notes if notes is None else notes,
            **{**kept, **columns},
        )

    def to_dict(self) -> dict[str, Any]:
        """The contract's ``network`` object; fields at their defaults are left out."""
        return {"name": self.name, "nodes": self._nodedicts(), "links": self._linkdicts()}

    def to_networkx(self) -> nx.Graph:
        """An undirected graph with the contract's fields as attributes.

        A graph keeps neither the order of links nor which end is the source. Both count in a network, where they
        number the columns and decide between equal answers: what `from_networkx` makes of the graph means the same
        and yet need not be equal.
        """
        import networkx as nx

        graph = nx.Graph(name=self.name)
        for row in self._nodedicts():
            graph.add_node(row.pop("id"), **row)
        for row in self._linkdicts():
            graph.add_edge(row.pop("source"), row.pop("target"), **row)
        return graph

    @classmethod
    def from_networkx(cls, graph: nx.Graph) -> Network:
        """A network from an undirected simple graph whose attributes carry the contract's names.

        Node names become strings; links stand in the order of ``graph.edges``. Attributes the contract does not know
        are left out and noted.
        Directed graphs and multigraphs are refused: which direction or parallel to keep is yours to say.
        """
        if graph.is_directed() or graph.is_multigraph():
            kind = "directed graph" if graph.is_directed() else "multigraph"
            raise ProblemError(f"expected an undirected simple graph, found a {kind}; convert with networkx.Graph(...)")
        ignored: set[str] = set()

        def known(kind: type, attributes: Mapping[str, Any]) -> dict[str, Any]:
            names = kind.__dataclass_fields__
            ignored.update(str(key) for key in attributes if key not in names)
            return {key: value for key, value in attributes.items() if key in names}

        nodes = [{**known(Node, data), "id": str(node)} for node, data in graph.nodes(data=True)]
        links = [{**known(Link, data), "source": str(u), "target": str(v)} for u, v, data in graph.edges(data=True)]
        notes = [f"attributes not used: {', '.join(sorted(ignored))}"] if ignored else []
        return cls(nodes, links, name=str(graph.graph.get("name", "")), notes=notes)

    def _nodedicts(self) -> list[dict[str, Any]]:
        return dicts(Node, {"id": self.node_ids}, {field: getattr(self, field) for field in NODE_COLUMNS})

    def _linkdicts(self) -> list[dict[str, Any]]:
        ends = {
            "source": [self.node_ids[i] for i in self.source.tolist()],
            "target": [self.node_ids[i] for i in self.target.tolist()],
        }
        return dicts(Link, ends, {field: getattr(self, field) for field in LINK_COLUMNS})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Network):
            return NotImplemented
        return self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copied or unpickled network is as immutable as its original; numpy forgets that on the way."""
        self.__dict__.update(state)
        for field in ("source", "target", *NODE_COLUMNS, *LINK_COLUMNS):
            getattr(self, field).flags.writeable = False

    def __repr__(self) -> str:
        return f"<Network {self.name!r}: {self.n_nodes} nodes, {self.n_links} links>"


def _called(name: str) -> str | None:
    return f"network {fields.brief_name(name)}" if name else None


def _label_faults(name: Any, notes: Any) -> list[str]:
    """What could not be saved: a name or notes of another kind than files have."""
    told = isinstance(notes, Sequence) and not isinstance(notes, str) and all(isinstance(note, str) for note in notes)
    return fields.name_faults(name) + ([] if told else [f"notes: found {fields.brief(notes)}, expected a list of text"])
