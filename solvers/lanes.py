"""Annealing sweeps over many reads in lock-step (compiled): one block of variables after the other, in all lanes.

    E(x) = sum_i linear_i x_i + sum_{i<j} bias_ij x_i x_j + sum_r penalty_r max(0, load_r - capacity_r),   load = rows x

Of the variables of a block at most one may be 1. A block of one variable is flipped by Metropolis' rule; of a larger
one every choice, none included, is drawn with the weight exp(-b E) (heat bath), so that a route gives way to another of
its request in one step. For exp(-b E) stands (1 - b E / 256)^256: that is 5 % too small at b E = 5 and 18 % at 10, and
takes eight multiplications that fit into vector registers, as does everything else here. Each lane has random numbers
of its own (xorshift plus a Weyl sequence, which repeat together after nearly 2^64 draws), so that what becomes of it
depends neither on other lanes nor on how lanes share threads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse
from numba import njit

from qnroute.models.quadratic import Quadratic

LANES = 32  # two vector registers of float32, and the bits of a word
_LARGE, _DENSE = 20_000, 32  # variables whose fields do not fit into the cache; couplers of one
_ONE, _TWO, _NONE = np.float32(1.0), np.float32(2.0), np.float32(0.0)
_PART, _UNIT = np.float32(1.0 / 256.0), np.float32(2.0**-24)
_A, _B, _C, _LOW = np.uint32(13), np.uint32(17), np.uint32(5), np.uint32(8)
_WEYL, _GOLDEN = np.uint32(0x9E3779B9), np.uint64(0x9E3779B97F4A7C15)


class Charged(NamedTuple):
    """A model of N variables as the sweeps read it: neighbours and rows of each variable in compressed form, float32.

    Block k holds the variables `block[k]` to `block[k + 1]`; no coupler joins two of them.
    """

    block: np.ndarray
    linear: np.ndarray
    nb_ptr: np.ndarray
    nb: np.ndarray
    bias: np.ndarray
    row_ptr: np.ndarray
    row: np.ndarray
    amount: np.ndarray
    capacity: np.ndarray
    penalty: np.ndarray


class Model:
    """A quadratic model with rows (R, N) that are charged `penalty` (R,) for each unit above `capacity` (R,).

    `block` (B + 1,) bounds runs of variables of which at most one may be 1, whatever their couplers; by default there
    are none. Energies in the sweeps are in units of `unit`, whatever the size of the coefficients.
    """

    def __init__(
        self,
        quadratic: Quadratic,
        rows: sparse.csr_array | None = None,
        capacity: np.ndarray | None = None,
        penalty: np.ndarray | None = None,
        block: np.ndarray | None = None,
    ):
        n = len(quadratic)
        self.block = np.arange(n + 1) if block is None else block
        self.quadratic = quadratic
        self.rows = sparse.csr_array((0, n)) if rows is None else rows
        self.capacity = np.zeros(0) if capacity is None else capacity
        self.penalty = np.zeros(0) if penalty is None else penalty
        largest = max(np.abs(part).max(initial=0.0) for part in (quadratic.linear, quadratic.bias, self.penalty))
        self.unit = 2.0 ** np.floor(np.log2(largest)) if largest > 0.0 else 1.0
        number = np.repeat(np.arange(len(self.block) - 1), np.diff(self.block))
        one, other, bias = (part[number[quadratic.row] != number[quadratic.col]] for part in quadratic.couplers)
        ends = np.concatenate([one, other]), np.concatenate([other, one])
        near = sparse.csr_array((np.concatenate([bias, bias]), ends), shape=(n, n))
        by_item = sparse.csr_array(self.rows.T)
        parts = (
            (self.block, np.int64), (quadratic.linear / self.unit, np.float32),
            (near.indptr, np.int64), (near.indices, np.int32), (near.data / self.unit, np.float32),
            (by_item.indptr, np.int64), (by_item.indices, np.int32), (by_item.data, np.float32),
            (self.capacity, np.float32), (self.penalty / self.unit, np.float32),
        )  # fmt: skip
        self.charged = Charged(*(np.ascontiguousarray(array, dtype=kind) for array, kind in parts))

    def __len__(self) -> int:
        return len(self.quadratic)

    @property
    def in_words(self) -> bool:
        """Whether sweeps over words (`qnroute.solvers.bit_lanes`) are faster: plain, large, and not dense."""
        n, plain = len(self), not len(self.capacity) and len(self.block) == len(self) + 1
        return plain and n >= _LARGE and len(self.quadratic.bias) <= _DENSE * n

    def energies(self, samples: np.ndarray) -> np.ndarray:
        """(S,) energies in double precision of samples (S, N) of zeros and ones."""
        over = np.maximum((self.rows @ samples.T.astype(float)).T - self.capacity, 0.0)
        return self.quadratic.energies(samples) + over @ self.penalty


def streams(seed: int, reads: np.ndarray) -> np.ndarray:
    """(2, LANES) where the random numbers of these reads (at most LANES) begin: splitmix64 of seed and number."""
    begin = np.zeros(LANES, np.uint64)
    begin[: len(reads)] = _mixed(_mixed(np.array([seed % 2**64], np.uint64)) + reads.astype(np.uint64) * _GOLDEN)
    high, low = np.divmod(_mixed(begin), np.uint64(2**32))
    return np.stack([np.maximum(low, 1), high]).astype(np.uint32)  # xorshift stays at 0


def _mixed(z: np.ndarray) -> np.ndarray:
    z = z + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def scatter(model, x, random):
    """Begin anywhere: of each block one or none at random in states x (N, LANES) of zeros."""
    draw = np.empty(LANES, np.float32)
    for k in range(model.block.size - 1):
        first, choices = model.block[k], model.block[k + 1] - model.block[k] + 1
        draw_all(random, draw)
        for lane in range(LANES):
            pick = int(draw[lane] * choices)
            if pick < choices - 1:
                x[first + pick, lane] = _ONE


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def sweep(model, x, random, temperatures):
    """One sweep for each inverse temperature over states x (N, LANES), which change, as `random` (2, LANES) does."""
    field, load = _looked_up(model, x)
    shape = (np.diff(model.block).max(), LANES)
    rise, change, own = np.empty(shape, np.float32), np.empty(shape, np.float32), np.zeros(load.shape, np.float32)
    draw, least = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    total, chosen = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    for b in temperatures:
        for k in range(model.block.size - 1):
            first, last = model.block[k], model.block[k + 1]
            draw_all(random, draw)
            if last == first + 1:
                if _flip(model, first, x, field, load, b, draw, rise, change):
                    _apply(model, first, 0, x, field, load, change)
                continue
            _choose(model, first, last, x, field, load, own, b, draw, rise, change, least, total, chosen)
            for i in range(first, last):
                if _moves(i - first, change):
                    _apply(model, i, i - first, x, field, load, change)


# The functions below become part of `sweep`. Loops over lanes end at the size of an array, not at a constant: they
# would be unrolled before they are turned into vector instructions. Views such as x[i] would be counted references.


@njit(nogil=True, fastmath=True, error_model="numpy", forceinline=True)
def _looked_up(model, x):
    """What each variable meets and each row carries; anew each time, so that rounding does not add up."""
    n = x.shape[0]
    field, load = np.zeros((n, LANES), np.float32), np.zeros((model.capacity.size, LANES), np.float32)
    for i in range(n):
        for lane in range(x.shape[1]):
            field[i, lane] += model.linear[i]
        for e in range(model.nb_ptr[i], model.nb_ptr[i + 1]):
            j, bias = model.nb[e], model.bias[e]
            for lane in range(x.shape[1]):
                field[i, lane] += bias * x[j, lane]
        for e in range(model.row_ptr[i], model.row_ptr[i + 1]):
            r, amount = model.row[e], model.amount[e]
            for lane in range(x.shape[1]):
                load[r, lane] += amount * x[i, lane]
    return field, load


@njit(nogil=True, fastmath=True, error_model="numpy", forceinline=True)
def draw_all(random, draw):
    """A number from [0, 1) for each lane."""
    for lane in range(draw.size):
        u = random[0, lane]
        u ^= np.uint32(u << _A)
        u ^= np.uint32(u >> _B)
        u ^= np.uint32(u << _C)
        w = np.uint32(random[1, lane] + _WEYL)
        random[0, lane] = u
        random[1, lane] = w
        draw[lane] = np.float32(np.uint32(u + w) >> _LOW) * _UNIT


@njit(nogil=True, fastmath=True, error_model="numpy", forceinline=True)
def weight(energy):
    """exp(-energy), or nearly; 1 where that is above 1."""
    chance = min(max(_ONE - energy * _PART, _NONE), _ONE)
    chance *= chance
    chance *= chance
    chance *= chance
    chance *= chance
    chance *= chance
    chance *= chance
    chance *= chance
    chance *= chance
    return chance


@njit(nogil=True, fastmath=True, error_model="numpy", forceinline=True)
def _flip(model, i, x, field, load, b, draw, rise, change):
    """What Metropolis' rule makes of one variable; whether it changes in any lane."""
    for lane in range(draw.size):
        rise[0, lane] = (_ONE - _TWO * x[i, lane]) * field[i, lane]
    for e in range(model.row_ptr[i], model.row_ptr[i + 1]):
        r, amount = model.row[e], model.amount[e]
        room, charge = model.capacity[r], model.penalty[r]
        for lane in range(draw.size):
            now = load[r, lane] - room
            then = now + (_ONE - _TWO * x[i, lane]) * amount
            rise[0, lane] += charge * (max(then, _NONE) - max(now, _NONE))
    moved = _NONE
    for lane in range(draw.size):
        step = _ONE - _TWO * x[i, lane] if draw[lane] < weight(b * rise[0, lane]) else _NONE
        change[0, lane] = step
        moved += step * step
    return moved > _NONE


@njit(nogil=True, fastmath=True, error_model="numpy", forceinline=True)
def _choose(model, first, last, x, field, load, own, b, draw, rise, change, least, total, chosen):
    """What the heat bath makes of a block of which at most one is 1."""
    for i in range(first, last):
        for e in range(model.row_ptr[i], model.row_ptr[i + 1]):
            r, amount = model.row[e], model.amount[e]
            for lane in range(draw.size):
                own[r, lane] += amount * x[i, lane]
    least[:] = _NONE
    for i in range(first, last):
        for lane in range(draw.size):
            rise[i - first, lane] = field[i, lane]
        for e in range(model.row_ptr[i], model.row_ptr[i + 1]):
            r, amount = model.row[e], model.amount[e]
            room, charge = model.capacity[r], model.penalty[r]
            for lane in range(draw.size):
                without = load[r, lane] - own[r, lane] - room
                rise[i - first, lane] += charge * (max(without + amount, _NONE) - max(without, _NONE))
        for lane in range(draw.size):
            least[lane] = min(least[lane], rise[i - first, lane])
    for lane in range(draw.size):
        total[lane] = weight(-b * least[lane])  # of choosing none
    for i in range(first, last):
        for lane in range(draw.size):
            odds = weight(b * (rise[i - first, lane] - least[lane]))
            rise[i - first, lane] = odds
            total[lane] += odds
    for lane in range(draw.size):
        draw[lane] *= total[lane]
        chosen[lane] = _NONE
    for i in range(first, last):
        for lane in range(draw.size):
            left = draw[lane] - rise[i - first, lane]
            one = _ONE - chosen[lane] if left < _NONE else _NONE
            draw[lane] = left
            chosen[lane] += one
            change[i - first, lane] = one - x[i, lane]
        for e in range(model.row_ptr[i], model.row_ptr[i + 1]):
            r = model.row[e]
            for lane in range(draw.size):
                own[r, lane] = _NONE


@njit(nogil=True, fastmath=True, error_model="numpy", forceinline=True)
def _moves(k, change):
    moved = _NONE
    for lane in range(change.shape[1]):
        moved += change[k, lane] * change[k, lane]
    return moved > _NONE


@njit(nogil=True, fastmath=True, error_model="numpy", forceinline=True)
def _apply(model, i, k, x, field, load, change):
    for lane in range(x.shape[1]):
        x[i, lane] += change[k, lane]
    for e in range(model.row_ptr[i], model.row_ptr[i + 1]):
        r, amount = model.row[e], model.amount[e]
        for lane in range(x.shape[1]):
            load[r, lane] += amount * change[k, lane]
    for e in range(model.nb_ptr[i], model.nb_ptr[i + 1]):
        j, bias = model.nb[e], model.bias[e]
        for lane in range(x.shape[1]):
            field[j, lane] += bias * change[k, lane]
