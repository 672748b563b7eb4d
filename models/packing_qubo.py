"""Packings as binary quadratic models: an item for each variable, penalties that provably suffice, and the way back.

    E = -sum_j v_j x_j + sum_pairs P_ij x_i x_j + sum_rows A_r (load_r + slack_r - b_r)^2

`qnroute.models.penalties` says what P and A must exceed and why. A penalty is `strength` times that, plus `margin`
times the largest value: with a strength of 1 or more and some margin the ground state is an optimum of the packing.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import scipy.sparse as sparse

from qnroute.allocation import Allocation
from qnroute.builtin import ENCODINGS
from qnroute.errors import SolverError
from qnroute.models.encodings import UNBALANCED, slack
from qnroute.models.linear import LinearModel
from qnroute.models.link_selection import LinkSelection
from qnroute.models.packing import packing_of
from qnroute.models.path_packing import PathPacking
from qnroute.models.penalties import PAIRS, ROW, sufficient
from qnroute.models.quadratic import Quadratic, linear_of_squares, merged, products
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

    name: ClassVar[str] = "packing-qubo"

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
        self._bit_rows, self._bits = slack(self._limits[self.kind == ROW], encoding, largest)

    def __len__(self) -> int:
        return len(self.packing) + len(self._bits)

    def restated(self, *, strength: float, margin: float | None = None) -> PackingQubo:
        """The same items with other penalties."""
        other = type(self).__new__(type(self))  # whatever a subclass makes its model from
        PackingQubo.__init__(other, self.model, strength=strength, margin=margin, **self._how)
        return other

    @property
    def proven(self) -> bool:
        """Whether the ground state is an optimum for certain."""
        return self.encoding != "unbalanced" and self.strength >= 1.0 and self.strength - 1.0 + self.margin > 0.0

    # --- stating it ---

    def _needs(self, pairs: bool) -> tuple[np.ndarray, np.ndarray]:
        packing, rows, every = self.packing, self._rows, np.arange(len(self.packing))
        kind, bound = np.empty(len(self._limits), np.int64), np.empty(len(self._limits))
        for part, group, most in (
            (slice(0, len(packing.capacity)), packing.group, packing.most),
            (slice(len(packing.capacity), len(kind)), every, np.ones_like(every)),
        ):
            begin = rows.indptr[part.start : part.stop + 1]
            kind[part], bound[part] = sufficient(
                begin, rows.indices, rows.data, self._limits[part], packing.value, group, most, pairs
            )
        return kind, bound

    @property
    def excess(self) -> tuple[Quadratic, sparse.csr_array, np.ndarray, np.ndarray]:
        """Without slack: values and pairs, and rows (R, J) with capacities and penalties (R,) for each unit above."""
        heavy, none = np.flatnonzero(self.kind == ROW), sparse.csr_array((0, len(self.packing)))
        pairs = Quadratic(-self.packing.value, *products(*self._conflicts(), none, np.zeros(0)))
        return pairs, self._rows[heavy], self._limits[heavy], self._strengths()

    def _strengths(self) -> np.ndarray:
        """Penalties of the rows that need one."""
        return self.strength * self.bound[self.kind == ROW] + self.margin * self.packing.value.max(initial=0.0)

    def _conflicts(self) -> tuple[sparse.csr_array, np.ndarray, np.ndarray]:
        """Rows of pairs with their limits, and the penalty of each item where it is the less valuable one."""
        some, value = np.flatnonzero(self.kind == PAIRS), self.packing.value
        return self._rows[some], self._limits[some], self.strength * value + self.margin * value.max(initial=0.0)

    @cached_property
    def quadratic(self) -> Quadratic:
        """The model as arrays."""
        heavy, strength = np.flatnonzero(self.kind == ROW), self._strengths()
        rows, limits, (pairs, most, penalty) = self._with_slack(heavy), self._limits[heavy], self._conflicts()
        of_slack = np.zeros(len(self._bits))
        linear, penalty = np.concatenate([-self.packing.value, of_slack]), np.concatenate([penalty, of_slack])
        first, second = UNBALANCED if self.encoding == "unbalanced" else (0.0, 1.0)
        more, offset = linear_of_squares(rows, limits, second * strength), float(second * strength @ limits**2)
        if first:  # -a h + b h^2 for the room h = limit - load (Montanez-Barrera et al. 2024)
            more, offset = more + rows.T @ (first * strength), offset - first * float(strength @ limits)
        linear, couplers = linear + more, products(pairs, most, penalty, rows, second * strength)
        if self.encoding != "domain-wall":
            return Quadratic(linear, *couplers, offset)
        ends, walls = self._walls(strength)
        linear[ends[0]] += ends[1]
        return merged(linear, [couplers, walls], offset)

    def _with_slack(self, heavy: np.ndarray) -> sparse.csr_array:
        """Rows over items and slack bits, (len(heavy), N)."""
        rows, bits = self._rows[heavy], np.diff(self._bit_rows)
        item = np.arange(rows.nnz) + np.repeat(self._bit_rows[:-1], np.diff(rows.indptr))
        bit = np.arange(len(self._bits)) + np.repeat(rows.indptr[1:], bits)
        indices, data = np.empty(len(item) + len(bit), np.int32), np.empty(len(item) + len(bit))
        indices[item], data[item] = rows.indices, rows.data
        indices[bit], data[bit] = len(self.packing) + np.arange(len(bit)), self._bits
        indptr = (rows.indptr + self._bit_rows).astype(np.int32)
        return sparse.csr_array((data, indices, indptr), shape=(len(heavy), len(self)))

    def _walls(self, strength: np.ndarray) -> tuple[tuple, tuple]:
        """strength t_(i+1) (1 - t_i) for neighbouring bits of a row."""
        inner = np.ones(len(self._bits), dtype=bool)
        inner[self._bit_rows[1:] - 1] = False  # every row has a bit
        before = len(self.packing) + np.flatnonzero(inner)
        weight = np.repeat(strength, np.diff(self._bit_rows))[inner]
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
        bits = np.split(self._bits, self._bit_rows[1:-1])
        slack = [f"slack {worth:g} of {names[r]}" for r, some in zip(heavy, bits) for worth in some.tolist()]
        return {
            "model": self.name,
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

    name = "link-selection-qubo"

    def __init__(self, problem: Problem, **how: Any):
        super().__init__(LinkSelection(problem), **how)


class RouteChoiceQubo(PackingQubo):
    """Which candidate routes to use: as many per request as it may have, none being free.

    Parameters
    ----------
    routes
        The candidates; by default the `candidates` most valuable ones of each request.
    """

    name = "route-choice-qubo"

    def __init__(self, problem: Problem, routes: RouteTable | None = None, *, candidates: int = 5, **how: Any):
        if routes is None:
            routes = enumerate_routes(problem, per_request=candidates)
        super().__init__(PathPacking(problem, routes), "routes", **how)
