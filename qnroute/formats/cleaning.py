"""From what a foreign file says to a network: merged, completed, doubted, and every step of it noted.

Nothing happens silently: each thing merged, dropped, imputed or doubtful is one line of `Network.notes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qnroute.fields import UNLIMITED
from qnroute.formats.checking import require_sound
from qnroute.formats.equipment import Equipment
from qnroute.formats.filling import Columns, clear_figures, fill_defaults, fill_figures
from qnroute.formats.lengths import great_circles, impute_lengths, read_lengths, read_losses
from qnroute.formats.merging import merge_links
from qnroute.formats.naming import name_nodes, tidy
from qnroute.formats.plausibility import connection_doubts, length_doubts, loss_doubts, reach_doubts
from qnroute.formats.positions import settle_positions
from qnroute.formats.raw import LINK_FIELDS, NODE_FIELDS, RawLink, RawNetwork, RawNode
from qnroute.hardware import WORTHLESS
from qnroute.network import Network


def clean(raw: RawNetwork, equipment: Equipment | None = None) -> Network:
    """The network that a foreign file means.

    A file that gives p of every link is taken at its word. Otherwise, or where other hardware is wished, positions and
    lengths are completed and a preset makes the figures that are missing.

    Raises
    ------
    ProblemError
        Repeated keys, ends that are no nodes, contract fields out of range, equipment that cannot be built.
    """
    require_sound(raw)
    equipment = equipment or Equipment()
    told = equipment.hardware is None and all("p" in link.own for link in raw.links)
    draft = _drafted(raw, impute=not told)
    _measure(draft, equipment, told=told)
    return equipment.add_stations(_built(draft, equipment))


@dataclass
class _Draft:
    """A network in the making: columns as floats, NaN for what is not known."""

    name: str
    node_names: list[str]
    ends: np.ndarray  # (m, 2)
    rows: list[RawLink]  # what the file says of each link
    nodes: Columns
    links: Columns
    notes: list[str]

    @property
    def link_names(self) -> list[str]:
        return [f"{self.node_names[u]}-{self.node_names[v]}" for u, v in self.ends.tolist()]


def _drafted(raw: RawNetwork, *, impute: bool) -> _Draft:
    """Nodes with names and positions, and one link between any two."""
    index = {node.key: i for i, node in enumerate(raw.nodes)}
    ends = [(index[link.source], index[link.target]) for link in raw.links]
    names, renamed = name_nodes(raw.nodes)
    rows, ends, merged = merge_links(raw.links, ends, names, directed=raw.directed)
    positions, placed = settle_positions(raw.nodes, ends, names, impute=impute)
    return _Draft(
        name=tidy(raw.name),
        node_names=names,
        ends=np.array(ends, dtype=np.int64).reshape(-1, 2),
        rows=rows,
        nodes={**positions, **_own(raw.nodes, NODE_FIELDS)},
        links=_own(rows, LINK_FIELDS),
        notes=[*raw.notes, *renamed, *merged, *placed, *connection_doubts(len(names), ends)],
    )


def _measure(draft: _Draft, equipment: Equipment, *, told: bool) -> None:
    """Give the links of a draft their lengths and losses, and everything the figures it lacks."""
    straight = great_circles(draft.nodes["lat"], draft.nodes["lon"], draft.ends)
    length, straight, unsure = read_lengths(draft.rows, straight)
    loss, dropped = read_losses(draft.rows)
    draft.links |= {"length_km": length, "loss_db": loss}
    draft.notes += [*unsure, *dropped]
    draft.notes += [*length_doubts(length, straight, draft.link_names), *loss_doubts(loss, length, draft.link_names)]
    if told:
        equipment.require_slot_used()
        draft.notes += fill_defaults(draft.nodes, draft.links)
        return
    if equipment.hardware is not None:
        draft.notes += clear_figures(draft.nodes, draft.links)
    draft.links["length_km"], imputed = impute_lengths(length, straight)
    draft.notes += [*imputed, *fill_figures(draft.nodes, draft.links, equipment)]


def _built(draft: _Draft, equipment: Equipment) -> Network:
    """The network of a complete draft, without the links that cannot give pairs and will not be cut either."""
    links = draft.links
    cut = links["length_km"] > (np.inf if equipment.repeater_km is None else equipment.repeater_km)
    draft.notes += reach_doubts(links, cut, draft.link_names)
    kept = cut | ((links["p"] > 0) & (links["fidelity"] > WORTHLESS))
    for figure in ("p", "fidelity"):  # of no account where a link is cut: its segments get figures of their own
        links[figure] = np.where(cut, 1.0, links[figure])
    columns = {**draft.nodes, **{field: column[kept] for field, column in links.items()}}
    columns |= {field: _limits(columns[field]) for field in ("memory", "degree", "channels")}
    return Network.from_columns(draft.node_names, *draft.ends[kept].T, name=draft.name, notes=draft.notes, **columns)


def _own(rows: Sequence[RawNode] | Sequence[RawLink], names: Sequence[str]) -> Columns:
    """Columns of the contract fields that rows carry; NaN where a row has none."""
    return {name: np.array([row.own.get(name, np.nan) for row in rows], dtype=float) for name in names}


def _limits(column: np.ndarray) -> np.ndarray:
    """Whole numbers, and no limit where nothing is said."""
    return np.where(np.isnan(column), UNLIMITED, column).astype(np.int64)
