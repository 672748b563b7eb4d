"""ARMA models of many series at once: estimated by regressions, selected by AIC, guarded, compiled.

A model of the deviation z from a mean: z_t = phi_1 z_{t-1} + ... + e_t + theta_1 e_{t-1} + ...; what lies before the
first row has z = e = 0. Parameters of a series are one row: phi (up to `LAGS`), then theta (up to `LAGS`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

LAGS = 5  # most lags of each kind
_LEAST_ROOT = 1.001  # modulus of the roots of both polynomials
_ROUNDS = 2  # of Gauss and Newton after the regressions
_SMALL = 1e-12


@njit(cache=True, nogil=True)
def settled(coefs: np.ndarray) -> bool:
    """Whether all roots of 1 - c_1 x - ... - c_k x^k lie outside the circle of radius 1.001.

    By the step-down recursion: the partial autocorrelations of an autoregression with these coefficients, its time
    scaled by the radius, must all lie within (-1, 1) (Barndorff-Nielsen and Schou, J. Multivariate Anal. 3, 1973).
    """
    k = coefs.size
    now = np.empty(k)
    scale = 1.0
    for i in range(k):
        scale *= _LEAST_ROOT
        now[i] = coefs[i] * scale
    before = np.empty(k)
    for order in range(k, 0, -1):
        last = now[order - 1]
        if not abs(last) < 1.0:
            return False
        for i in range(order - 1):
            before[i] = (now[i] + last * now[order - 2 - i]) / (1.0 - last * last)
        for i in range(order - 1):
            now[i] = before[i]
    return True


@njit(cache=True, nogil=True)
def _solve(a: np.ndarray, b: np.ndarray) -> bool:
    """Solve a x = b in place of b by Cholesky's method; False where a is not positive definite."""
    n = b.size
    for j in range(n):
        for i in range(j, n):
            total = a[i, j]
            for k in range(j):
                total -= a[i, k] * a[j, k]
            if i == j:
                if not total > _SMALL:
                    return False
                a[j, j] = np.sqrt(total)
            else:
                a[i, j] = total / a[j, j]
    for i in range(n):
        for k in range(i):
            b[i] -= a[i, k] * b[k]
        b[i] /= a[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            b[i] -= a[k, i] * b[k]
        b[i] /= a[i, i]
    return True


@njit(cache=True, nogil=True)
def errors_of(z: np.ndarray, phi: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """(T,) one-step errors of a series."""
    e = np.empty(z.size)
    for t in range(z.size):
        said = 0.0
        for i in range(min(phi.size, t)):
            said += phi[i] * z[t - 1 - i]
        for i in range(min(theta.size, t)):
            said += theta[i] * e[t - 1 - i]
        e[t] = z[t] - said
    return e


@njit(cache=True, nogil=True)
def _long_errors(z: np.ndarray, lags: int) -> np.ndarray:
    """Errors of a long autoregression by Yule and Walker's equations (Durbin and Levinson's recursion)."""
    n = z.size
    cov = np.zeros(lags + 1)
    for k in range(lags + 1):
        total = 0.0
        for t in range(k, n):
            total += z[t] * z[t - k]
        cov[k] = total / n
    phi, before = np.zeros(lags), np.zeros(lags)
    left = cov[0]
    for k in range(lags):
        if not left > _SMALL * cov[0]:
            break
        partial = cov[k + 1]
        for i in range(k):
            partial -= phi[i] * cov[k - i]
        partial /= left
        before[:k] = phi[:k]
        for i in range(k):
            phi[i] = before[i] - partial * before[k - 1 - i]
        phi[k] = partial
        left *= 1.0 - partial * partial
    return errors_of(z, phi, np.zeros(0))


@njit(cache=True, nogil=True)
def _gram(z: np.ndarray, e: np.ndarray, p: int, q: int, first: int) -> np.ndarray:
    """Products of the regressors, p lags of z and q of e, and of z itself in the last row and column."""
    size = p + q + 1
    gram = np.zeros((size, size))
    row = np.empty(size)
    for t in range(first, z.size):
        for i in range(p):
            row[i] = z[t - 1 - i]
        for i in range(q):
            row[p + i] = e[t - 1 - i]
        row[size - 1] = z[t]
        for i in range(size):
            for j in range(i, size):
                gram[i, j] += row[i] * row[j]
    for i in range(size):
        for j in range(i):
            gram[i, j] = gram[j, i]
    return gram


@njit(cache=True, nogil=True)
def _regressed(gram: np.ndarray, most_p: int, p: int, q: int) -> tuple[bool, np.ndarray]:
    """Hannan and Rissanen's regression of one order, out of the products for the largest one."""
    size, last = p + q, gram.shape[0] - 1
    at = np.empty(size, np.int64)
    for i in range(p):
        at[i] = i
    for i in range(q):
        at[p + i] = most_p + i
    a, b = np.empty((size, size)), np.empty(size)
    for i in range(size):
        b[i] = gram[at[i], last]
        for j in range(size):
            a[i, j] = gram[at[i], at[j]]
        a[i, i] += 1e-9 * gram[at[i], at[i]]
    return _solve(a, b), b


@njit(cache=True, nogil=True)
def _improved(z: np.ndarray, coefs: np.ndarray, p: int, q: int) -> np.ndarray:
    """One step of Gauss and Newton towards the least sum of squared errors; without errors of its own."""
    n, size = z.size, p + q
    e = errors_of(z, coefs[:p], coefs[p:])
    slope = np.zeros((n, size))  # of what is said, by each coefficient: itself a filtered series
    a, b = np.zeros((size, size)), np.zeros(size)
    for t in range(n):
        for i in range(size):
            lag = (i if i < p else i - p) + 1
            value = 0.0
            if t >= lag:
                value = z[t - lag] if i < p else e[t - lag]
            for k in range(min(q, t)):
                value -= coefs[p + k] * slope[t - 1 - k, i]
            slope[t, i] = value
        for i in range(size):
            b[i] += slope[t, i] * e[t]
            for j in range(i + 1):
                a[i, j] += slope[t, i] * slope[t, j]
    for i in range(size):
        a[i, i] *= 1.0 + 1e-9
    if _solve(a, b):
        return coefs + b
    return coefs


@njit(cache=True, nogil=True)
def _squares(z: np.ndarray, coefs: np.ndarray, p: int, first: int) -> float:
    """Mean squared one-step error from row `first` on; infinite for a model that is not stationary and invertible."""
    if not (settled(coefs[:p]) and settled(-coefs[p:])):
        return np.inf
    e = errors_of(z, coefs[:p], coefs[p:])
    total = 0.0
    for t in range(first, z.size):
        total += e[t] * e[t]
    return total / (z.size - first)


@njit(cache=True, nogil=True)
def estimate(z: np.ndarray, long: int, most_p: int, most_q: int, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Every order up to (most_p, most_q) of one series.

    Hannan and Rissanen (Biometrika 69, 1982): a long autoregression gives errors, a regression on lags of both gives
    the coefficients; two steps of Gauss and Newton then make them efficient. A step that leaves the stationary and
    invertible models, or makes the errors larger, is not taken.

    Returns
    -------
    tuple
        (most_p + 1, most_q + 1) mean squared errors from row `first` on, infinite where there is no such model; and
        (most_p + 1, most_q + 1, most_p + most_q) coefficients, phi then theta.
    """
    squares = np.full((most_p + 1, most_q + 1), np.inf)
    coefs = np.zeros((most_p + 1, most_q + 1, most_p + most_q))
    gram = _gram(z, _long_errors(z, long), most_p, most_q, long + most_q)
    for p in range(most_p + 1):
        for q in range(most_q + 1):
            fit, found = True, np.zeros(0)
            if p + q > 0:
                fit, found = _regressed(gram, most_p, p, q)
            if not fit:
                continue
            best = _squares(z, found, p, first)
            for _ in range(_ROUNDS if q > 0 and best < np.inf else 0):
                better = _improved(z, found, p, q)
                now = _squares(z, better, p, first)
                if not now < best:
                    break
                best, found = now, better
            squares[p, q] = best
            coefs[p, q, : p + q] = found
    return squares, coefs


@njit(cache=True, nogil=True)
def forecasts(z: np.ndarray, coefs: np.ndarray, horizon: int, start: int, out: np.ndarray) -> None:
    """What is to be expected after each row of many series.

    Parameters
    ----------
    z : (P, T) deviations
    coefs : (P, 2 LAGS) phi, then theta
    out : (T - start, P, horizon) filled with deviations
    """
    said = np.empty(horizon)
    for series in range(z.shape[0]):
        phi, theta = coefs[series, :LAGS], coefs[series, LAGS:]
        e = errors_of(z[series], phi, theta)
        for t in range(start, z.shape[1]):
            for h in range(horizon):
                value = 0.0
                for i in range(LAGS):
                    row = t + h - i
                    if row < 0:
                        break
                    value += phi[i] * (said[h - 1 - i] if row > t else z[series, row])
                    if row <= t:
                        value += theta[i] * e[row]
                said[h] = value
                out[t - start, series, h] = value
