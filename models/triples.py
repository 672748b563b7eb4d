"""Lines of two numbers of variables and a weight, as text files of models hold them, read at once."""

from __future__ import annotations

import io

import numpy as np

MOST = 50_000_000  # variables; beyond this a file is refused rather than read
_TYPES = [("one", np.int64), ("other", np.int64), ("weight", np.float64)]
Triples = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Both variables and the weight of each line."""


def triples(text: str, columns: int = 3) -> Triples | None:
    """All lines of a text; with two columns every weight is 1.

    None where some line holds anything else: what is wrong, and where, is for a reader of single lines to say.
    """
    if not text.strip():
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    try:
        table = np.loadtxt(io.StringIO(text), _TYPES[:columns], comments=None, ndmin=1)
    except (ValueError, DeprecationWarning):  # the latter where an older numpy is about to cut 1.5 down to 1
        return None
    return table["one"], table["other"], table["weight"] if columns == 3 else np.ones(len(table))
