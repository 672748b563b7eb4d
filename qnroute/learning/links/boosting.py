"""Gradient-boosted trees: scikit-learn grows them, plain arrays answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval

from qnroute import fields
from qnroute.errors import SolverError
from qnroute.learning.links.adjacency import Neighbours
from qnroute.learning.links.estimator import LinkScorer, Share
from qnroute.learning.links.lessons import Lesson
from qnroute.learning.links.trees import said_by_trees, tree_faults

_BINNED = 200_000  # rows of which scikit-learn makes bins
_KNOWN = 200  # rows that must have a feature where only some rows are binned


class Boosting(LinkScorer):
    """Gradient boosting of squared errors over histograms of the features, missing ones on the side that fits better.

    Parameters
    ----------
    trees, learning_rate
        How many, and the share of each that counts.
    leaves, fewest
        Most leaves of a tree, fewest rows of a leaf.
    penalty
        On squared leaf values.
    bins
        Of a feature's histogram.
    calibration, random_state
        As those of `LinkScorer`.
    """

    def __init__(
        self,
        *,
        trees: Annotated[fields.PositiveCount, Interval(le=10_000)] = 60,
        learning_rate: Annotated[fields.Positive, Interval(le=1)] = 0.1,
        leaves: Annotated[fields.Count, Interval(ge=2, le=10_000)] = 31,
        fewest: fields.PositiveCount = 20,
        penalty: fields.NonNegative = 1.0,
        bins: Annotated[fields.Count, Interval(ge=2, le=255)] = 255,
        calibration: Share = 0.2,
        random_state: Annotated[fields.Count, Interval(le=2**32 - 1)] = 0,
    ):
        self.trees = trees
        self.learning_rate = learning_rate
        self.leaves = leaves
        self.fewest = fewest
        self.penalty = penalty
        self.bins = bins
        self.calibration = calibration
        self.random_state = random_state

    def _learn(self, lesson: Lesson, rng: np.random.Generator) -> dict[str, np.ndarray]:
        from sklearn.ensemble import HistGradientBoostingRegressor

        grown = HistGradientBoostingRegressor(
            max_iter=self.trees,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=self.fewest,
            l2_regularization=self.penalty,
            max_bins=self.bins,
            categorical_features=None,
            early_stopping=False,
            random_state=self.random_state,
        ).fit(_binnable(lesson.x), lesson.y, sample_weight=lesson.weight)
        return trees_of(grown, lesson.x.shape[1])

    def _mean(self, X: np.ndarray, near: Neighbours | None) -> np.ndarray:
        return said_by_trees(self.arrays_, X)

    def _mean_faults(self) -> Iterator[str]:
        faults = list(tree_faults(self.arrays_, self.n_features_in_))
        yield from faults
        if not faults and self.arrays_["roots"].size != self.trees + 1:
            yield f"roots: found {self.arrays_['roots'].size - 1} trees, expected {self.trees}"


def _binnable(x: np.ndarray) -> np.ndarray:
    """The features, but 0 throughout in columns where (almost) all is missing: bins cannot be made of those.

    Bins are made of 200,000 rows drawn at random, none of which might have a feature that few rows have.
    """
    fewest = 1 if len(x) <= _BINNED else _KNOWN
    unknown = len(x) - np.isnan(x).sum(axis=0) < fewest
    return np.where(unknown, 0.0, x) if unknown.any() else x


def trees_of(grown: Any, d: int) -> dict[str, np.ndarray]:
    """The trees of a fitted HistGradientBoostingRegressor of d numeric features, as `said_by_trees` takes them.

    The one place that looks into scikit-learn's private parts.

    Raises
    ------
    SolverError
        They are not what they were in scikit-learn 1.6 to 1.9.
    """
    try:
        trees = [tree.nodes for (tree,) in grown._predictors]
        nodes, sizes = np.concatenate(trees), [len(tree) for tree in trees]
        roots = np.concatenate([[0], np.cumsum(sizes)])
        leaf = nodes["is_leaf"].astype(bool)
        if nodes["is_categorical"].any():
            raise ValueError("a split by categories")
        begin = np.repeat(roots[:-1], sizes)
        found = {
            "base": np.asarray(grown._baseline_prediction, np.float64).reshape(1),
            "roots": roots.astype(np.int64),
            "feature": np.where(leaf, -1, nodes["feature_idx"]).astype(np.int32),
            "threshold": np.where(leaf, 0.0, nodes["num_threshold"]),
            "left": np.where(leaf, 0, nodes["left"] + begin).astype(np.int32),
            "right": np.where(leaf, 0, nodes["right"] + begin).astype(np.int32),
            "blank_left": (~leaf & (nodes["missing_go_to_left"] == 1)).astype(np.int32),
            "value": np.where(leaf, nodes["value"], 0.0),
        }
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise SolverError(f"the trees of this scikit-learn cannot be read ({error}); 1.6 to 1.9 are known") from error
    faults = list(tree_faults(found, d))
    if faults:
        raise SolverError(f"the trees of this scikit-learn cannot be read ({faults[0]}); 1.6 to 1.9 are known")
    return found
