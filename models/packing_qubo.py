"""Packings as binary quadratic models: an item for each variable, penalties that provably suffice, and the way back.

    E = -sum_j v_j x_j + sum_pairs P_ij x_i x_j + sum_rows A_r (load_r + slack_r - b_r)^2

`qnroute.models.penalties` says what P and A must exceed and why. A penalty is `strength` times that, plus `margin`
times the largest value: with a strength of 1 or more and some margin the ground state is an optimum of the packing.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sparse

from qnroute.allocation import Allocation
from qnroute.builtin import ENCODINGS
from qnroute.errors import SolverError
from qnroute.models.encodings import UNBALANCED, worths
from qnroute.models.linear import LinearModel
from qnroute.models.link_selection import LinkSelection
from qnroute.models.packing import packing_of
from qnroute.models.path_packing import PathPacking
from qnroute.models.penalties import PAIRS, ROW, sufficient
from qnroute.models.quadratic import Quadratic, merged, pairs_within, squares
from qnroute.models.qubo_files import write_quadratic
from qnroute.problem import Problem
from qnroute.routes import RouteTable, enumerate_routes

if TYPE_CHECKING:
    import dimod

_MARGIN_OF_PAIRS, _MARGIN = 0.05, 0.001  # of the largest value: feasible samples against a small range of energies


class Reading(NamedTuple):
    """What samples (S, N) mean.

    Attributes
    ----------
    feasible : (S,) whether a sample keeps all rules as it is; the slack bits do not matter
    value : (S,) what its items are worth, feasible or not
    mended : (S, J) items chosen once it is repaired
    mended_value : (S,) what these are worth
    """

    feasible: np.ndarray
    value: np.ndarray
    mended: np.ndarray
    mended_value: np.ndarray


class PackingQubo:
    """A packing model as a binary quadratic model. Variables 0 to J - 1 are its items, slack bits follow.

    Parameters
    ----------
    model
        A `LinearModel` of whole columns, rows with whole coefficients >= 0 and upper bounds only.
    groups
        Its block of rows that bound how many columns of a group may be chosen.
    encoding
        Of slack: ``binary``, ``unary``, ``domain-wall``, or ``unbalanced``: no slack bits, and no proof.
    strength, margin
        Of penalties, see above. By default the margin is 0.05 where all rules are pairs, else 0.001.
    pairs
        Whether rows of which pairs say all get pairs, not slack.
    largest
        Bound on the coefficients of ``binary`` slack bits.

    Attributes
    ----------
    packing : `Packing`
    kind, bound : (R + G,) what each row and group needs (`qnroute.models.penalties`)
    """

    def __init__(
        self,
        model: LinearModel,
        groups: str | None = None,
        *,
        encoding: str = "binary",
        strength: float = 1.0,
        margin: float | None = None,
        pairs: bool = True,
        largest: int | None = None,
    ):
        if encoding not in ENCODINGS:
            raise SolverError(f"no encoding is called {encoding!r}; there are {', '.join(ENCODINGS)}")
        if not (np.isfinite(strength) and strength > 0.0):
            raise SolverError(f"strength: found {strength!r}, expected a number above 0")
        self.model, self.problem, self.packing = model, model.problem, packing_of(model, groups)
        self.encoding, self.strength = encoding, float(strength)
        self._rows, self._limits = self.packing.rows, self.packing.limits
        self.kind, self.bound = self._needs(pairs)
        if margin is None:
            margin = _MARGIN if (self.kind == ROW).any() else _MARGIN_OF_PAIRS
        if not (np.isfinite(margin) and margin >= 0.0):
            raise SolverError(f"margin: found {margin!r}, expected a number from 0")
        self.margin = float(margin)
        self._how = {"groups": groups, "encoding": encoding, "pairs": pairs, "largest": largest}
        self._bits = [worths(int(room), encoding, largest) for room in self._limits[self.kind == ROW].tolist()]

    def __len__(self) -> int:
        return len(self.packing) + sum(map(len, self._bits))

    def restated(self, *, strength: float, margin: float | None = None) -> PackingQubo:
        """The same items with other penalties."""
        return PackingQubo(self.model, strength=strength, margin=margin, **self._how)

    @property
    def proven(self) -> bool:
        """Whether the ground state is an optimum for certain."""
        return self.encoding != "unbalanced" and self.strength >= 1.0 and self.strength - 1.0 + self.margin > 0.0

    # --- stating it ---

    def _needs(self, pairs: bool) -> tuple[np.ndarray, np.ndarray]:
        packing, rows, count = self.packing, len(self.packing.capacity), len(self.packing)
        alone, one = np.arange(count), np.ones(count, np.int64)
        kind, bound = np.empty(len(self._limits), np.int64), np.empty(len(self._limits))
        for part, group, most in (
            (slice(0, rows), packing.group, packing.most),
            (slice(rows, None), alone, one),
        ):
            some = self._rows[part]
            found = sufficient(
                some.indptr, some.indices, some.data, self._limits[part], packing.value, group, most, pairs
            )
            kind[part], bound[part] = found
        return kind, bound

    @property
    def excess(self) -> tuple[Quadratic, sparse.csr_array, np.ndarray, np.ndarray]:
        """Without slack: values and pairs, and rows (R, J) with capacities and penalties (R,) for each unit above."""
        heavy = np.flatnonzero(self.kind == ROW)
        pairs = merged(-self.packing.value, [self._pairs()], 0.0)
        return pairs, self._rows[heavy], self._limits[heavy], self._strengths()

    def _strengths(self) -> np.ndarray:
        """Penalties of the rows that need one."""
        return self.strength * self.bound[self.kind == ROW] + self.margin * self.packing.value.max(initial=0.0)

    def _pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pairs that conflict, with their penalties."""
        one, other = self._conflicts()
        value = self.packing.value
        extra = self.margin * value.max(initial=0.0)
        return one, other, self.strength * np.minimum(value[one], value[other]) + extra

    @cached_property
    def quadratic(self) -> Quadratic:
        """The model as arrays."""
        packing, count = self.packing, len(self.packing)
        heavy, strength = np.flatnonzero(self.kind == ROW), self._strengths()
        linear, parts, offset = -packing.value, [self._pairs()], 0.0
        if len(heavy):
            if self.encoding == "unbalanced":
                more, couplers, offset = self._unbalanced(heavy, strength)
            else:
                more, couplers, offset = squares(self._with_slack(heavy), self._limits[heavy], strength)
                linear = np.concatenate([linear, np.zeros(len(more) - count)])
            linear, parts = linear + more, [*parts, couplers]
            if self.encoding == "domain-wall":
                ends, couplers = self._walls(strength, count)
                linear[ends[0]] += ends[1]
                parts.append(couplers)
        return merged(linear, parts, offset)

    def _conflicts(self) -> tuple[np.ndarray, np.ndarray]:
        """Items that may not both be chosen, as rows of pairs have them, each pair once."""
        rows, limits = self._rows[self.kind == PAIRS], self._limits[self.kind == PAIRS]
        one, other = pairs_within(rows.indptr)
        room = np.repeat(limits, np.diff(rows.indptr))
        clash = rows.data[one] + rows.data[other] > room[one]
        one, other = rows.indices[one[clash]].astype(np.int64), rows.indices[other[clash]].astype(np.int64)
        key = np.sort(np.minimum(one, other) * len(self.packing) + np.maximum(one, other))
        key = (
            key[np.concatenate([[True], key[1:] != key[:-1]])] if len(key) else key
        )  # np.unique takes eight times longer
        return np.divmod(key, max(len(self.packing), 1))

    def _with_slack(self, heavy: np.ndarray) -> sparse.csr_array:
        """Rows over items and slack bits, (len(heavy), N)."""
        sizes = np.array([len(bits) for bits in self._bits])
        row, worth = np.repeat(np.arange(len(heavy)), sizes), np.concatenate(self._bits)
        slack = sparse.csr_array((worth, (row, np.arange(len(row)))), shape=(len(heavy), len(row)))
        return sparse.csr_array(sparse.hstack([self._rows[heavy], slack]))

    def _unbalanced(self, heavy: np.ndarray, strength: np.ndarray) -> tuple[np.ndarray, tuple, float]:
        """-a h + b h^2 for the room h = capacity - load that a row leaves (Montanez-Barrera et al. 2024)."""
        first, second = UNBALANCED
        rows, limits = self._rows[heavy], self._limits[heavy]
        linear, couplers, offset = squares(rows, limits, second * strength)
        return linear + rows.T @ (first * strength), couplers, offset - first * float(strength @ limits)

    def _walls(self, strength: np.ndarray, start: int) -> tuple[tuple, tuple]:
        """strength t_(i+1) (1 - t_i) for neighbouring bits of a row."""
        sizes = np.array([len(bits) for bits in self._bits])
        last = np.repeat(start + np.cumsum(sizes) - 1, sizes)
        bit = start + np.arange(sizes.sum())
        weight, inner = np.repeat(strength, sizes), bit < last
        before, weight = bit[inner], weight[inner]
        return (before + 1, weight), (before, before + 1, -weight)

    # --- handing it over ---

    def to_bqm(self) -> dimod.BinaryQuadraticModel:
        """As dimod's model; `legend` tells what its variables are."""
        return self.quadratic.to_bqm()

    def to_cqm(self) -> dimod.ConstrainedQuadraticModel:
        """As dimod's constrained model, for hybrid solvers: variables are the items alone, rules are constraints."""
        import dimod

        cqm = dimod.ConstrainedQuadraticModel()
        cqm.add_variables("BINARY", len(self.packing))
        cqm.set_objective(
            dimod.BinaryQuadraticModel.from_numpy_vectors(-self.packing.value, ([], [], []), 0.0, "BINARY")
        )
        rows, names = self._rows, self._row_names()
        for r in np.flatnonzero(self.kind > 0).tolist():
            part = slice(rows.indptr[r], rows.indptr[r + 1])
            terms = zip(rows.indices[part].tolist(), rows.data[part].tolist())
            cqm.add_constraint_from_iterable(terms, "<=", float(self._limits[r]), label=names[r])
        return cqm

    def _row_names(self) -> list[str]:
        names = self.model.row_names()
        own = sorted(set(range(len(names))) - set(self.packing.row.tolist()))
        return [names[r] for r in [*self.packing.row.tolist(), *own]] + [
            f"group_{g}" for g in range(len(self.packing.most) - len(own))
        ]

    def legend(self) -> dict[str, Any]:
        """What each variable means, and which penalties are at work."""
        meanings = [meaning for block in self.model.columns.values() for meaning in block.meanings()]
        names = self._row_names()
        heavy = np.flatnonzero(self.kind == ROW).tolist()
        slack = [f"slack {worth:g} of {names[r]}" for r, bits in zip(heavy, self._bits) for worth in bits.tolist()]
        return {
            "model": f"{self.model.name}-qubo",
            "problem": {"name": self.problem.name, "sha256": self.problem.sha256},
            "sense": "minimize",
            "encoding": self.encoding,
            "strength": self.strength,
            "margin": self.margin,
            "proven": self.proven,
            "variables": [meanings[j] for j in self.packing.column.tolist()] + slack,
        }

    def write(self, path: str) -> list[str]:
        """Write ``.bqm``, ``.qubo`` or ``.coo`` and beside it ``.legend.json``; returns the paths written."""
        return write_quadratic(self.quadratic, path, self.legend())

    # --- and back ---

    def read(self, samples: np.ndarray) -> Reading:
        """What samples (S, N) of zeros and ones say, as they are and repaired."""
        chosen = np.asarray(samples)[:, : len(self.packing)].astype(np.int64)
        mended = self.packing.mended(chosen)
        value = self.packing.value
        return Reading(self.packing.feasible(chosen), chosen @ value, mended, mended @ value)

    def decode(self, chosen: np.ndarray) -> Allocation:
        """The allocation of chosen items (J,) that keep all rules."""
        return self.model.decode(np.bincount(self.packing.column, chosen, self.model.n_columns))

    def __repr__(self) -> str:
        parts = f"{len(self)} variables, {len(self.quadratic.bias)} couplers"
        return f"<{type(self).__name__} of {self.problem.name!r}: {parts}>"


class LinkSelectionQubo(PackingQubo):
    """Link selection: pairs of links that meet where a node may have one, a penalty on the degree elsewhere."""

    def __init__(self, problem: Problem, **how: Any):
        super().__init__(LinkSelection(problem), **how)


class RouteChoiceQubo(PackingQubo):
    """Which candidate routes to use: as many per request as it may have, none being free.

    Parameters
    ----------
    routes
        The candidates; by default the `candidates` most valuable ones of each request.
    """

    def __init__(self, problem: Problem, routes: RouteTable | None = None, *, candidates: int = 5, **how: Any):
        if routes is None:
            routes = enumerate_routes(problem, per_request=candidates)
        super().__init__(PathPacking(problem, routes), "routes", **how)
