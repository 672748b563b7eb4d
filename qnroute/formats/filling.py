"""What a file does not say of its hardware, said by the contract's defaults or by a preset.

Columns are float arrays that hold NaN for what is not said; they change in place, and every change gives a note.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qnroute import fields
from qnroute.formats.equipment import Equipment
from qnroute.formats.raw import count
from qnroute.network import Link, Node

Columns = dict[str, np.ndarray]


def fill_defaults(nodes: Columns, links: Columns) -> Iterator[str]:
    """For a file that gives p of every link: the fidelity and swap it leaves out mean what the contract says."""
    for columns, figure, kind, thing in ((links, "fidelity", Link, "link"), (nodes, "swap", Node, "node")):
        usual = fields.defaults(kind)[figure]
        missing = _fill(columns, figure, usual)
        if missing.any():
            yield f"imputed: the {figure} of {count(int(missing.sum()), thing)}, {usual:g} by default"


def clear_figures(nodes: Columns, links: Columns) -> Iterator[str]:
    """Forget the figures of a file that is to get other hardware."""
    given = []
    for columns, figures in ((links, ("p", "fidelity", "loss_db")), (nodes, ("swap",))):
        given += [figure for figure in figures if not np.isnan(columns[figure]).all()]
        columns |= {figure: np.full_like(columns[figure], np.nan) for figure in figures}
    if given:
        yield f"dropped: {', '.join(given)} of the file, for the hardware wished"


def fill_figures(nodes: Columns, links: Columns, equipment: Equipment) -> Iterator[str]:
    """p, fidelity, loss and swap from a preset wherever they are missing; all lengths are known."""
    preset, heard = equipment.preset, ~np.isnan(links["loss_db"])
    made = preset.link(links["length_km"], slot_s=equipment.slot_s)
    no_p, no_fidelity, _ = (_fill(links, figure, getattr(made, figure)) for figure in ("p", "fidelity", "loss_db"))
    no_swap = _fill(nodes, "swap", preset.swap)
    slot = preset.slot_s if equipment.slot_s is None else equipment.slot_s
    yield (
        f"p and fidelity from hardware preset {preset.id} ({preset.title}), slot {slot:g} s: "
        f"p of {count(int(no_p.sum()), 'link')}, fidelity of {no_fidelity.sum()}, "
        f"swap of {count(int(no_swap.sum()), 'node')}"
    )
    unused = int((heard & no_p).sum())
    if unused:
        yield f"doubtful: the loss given for {count(unused, 'link')} is kept, but p follows from the length"


def _fill(columns: Columns, figure: str, values: np.ndarray | float) -> np.ndarray:
    """Put `values` where the column has none; which these were."""
    missing = np.isnan(columns[figure])
    columns[figure] = np.where(missing, values, columns[figure])
    return missing
