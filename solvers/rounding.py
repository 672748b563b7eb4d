"""How fractions become an allocation: routes taken in turn while they fit, or packed beside those that are whole."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse

from qnroute.fields import UNLIMITED
from qnroute.filling import take
from qnroute.routes import RouteTable
from qnroute.settings import Settings
from qnroute.solvers.highs import solve_matrix
from qnroute.solvers.master import packing

_WHOLE = 1e-6


def repaired(
    table: RouteTable, used: sparse.csr_array, capacity: np.ndarray, z: np.ndarray, near: np.ndarray, settings: Settings
) -> np.ndarray | None:
    """(J,) how often each route is taken if what is whole in z (J,) stays, and routes `near` are packed into the rest.

    None where time ran out before there was an answer.
    """
    times = np.floor(z + _WHOLE).astype(np.int64)
    left = capacity - used.T @ times
    uses = used[near]
    fits = np.ones(len(near), dtype=bool)
    fits[np.repeat(np.arange(len(near)), np.diff(uses.indptr))[uses.data > left[uses.indices]]] = False
    outcome = solve_matrix(packing(table.taken(near[fits]), uses[fits], left), settings)
    if outcome.values is None:
        return None
    times[near[fits]] += np.rint(outcome.values).astype(np.int64)
    return times


def filled(used: sparse.csr_array, capacity: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(J,) how often each route is taken, each in its turn as often as what is left of capacity (R,) allows.

    Parameters
    ----------
    used
        (J, R) what each route takes.
    order
        Numbers of routes, the first to be taken first.
    """
    times = np.zeros(used.shape[0], np.int64)
    take(used.indptr, used.indices, used.data, capacity.copy(), order, np.full(len(times), UNLIMITED), times)
    return times
