"""Training of the scorers' networks with torch: Adam on squared errors until a part held back no longer improves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qnroute.errors import ProblemError
from qnroute.learning.links.lessons import Lesson, parted
from qnroute.learning.training import Adam, alone, require_torch

if TYPE_CHECKING:
    import torch

MOST_SEEN = 4_000_000  # rows in all passes together, the first apart
HEAD = 0.02  # variance of the first weights of the last layer by its inputs: what is said starts near the mean
FEWEST_HELD = 40  # rows of a lesson of which a part is held back


class Course(NamedTuple):
    """How a network is trained; see `mlp.Mlp`."""

    learning_rate: float
    epochs: int
    patience: int
    seed: int


def held_back(lesson: Lesson, share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a lesson to learn from, and those that tell when to stop: none if there are fewer than 40."""
    rows = np.flatnonzero(lesson.weight)
    if share == 0 or rows.size < FEWEST_HELD:
        return rows, rows[:0]
    return parted(rows, lesson.group, share, rng)


def passes(epochs: int, rows: int) -> int:
    """`epochs`, or as many as show 4 million rows in all."""
    return max(1, min(epochs, MOST_SEEN // rows))


def taught(
    begin: dict[str, np.ndarray],
    loss: Callable[[dict[str, torch.Tensor], Any], torch.Tensor],
    batches: Callable[[], Sequence[Any]],
    held: Sequence[Any],
    course: Course,
) -> dict[str, np.ndarray]:
    """The weights of the pass with the least loss on what was held back; those of the last where nothing was.

    Parameters
    ----------
    begin
        float32 weights by name.
    loss
        Of weights and a batch; those of several batches add up.
    batches
        Makes those of a pass.
    held
        Batches to tell by when to stop.
    course
        The rate falls linearly, to nothing after the last pass.

    Raises
    ------
    ProblemError
        The weights grew beyond all bounds.
    """
    require_torch("a scorer's network")
    import torch

    with alone(course.seed):
        weights = {name: torch.tensor(value, requires_grad=True) for name, value in begin.items()}
        adam = Adam(list(weights.values()), course.learning_rate)
        best, least, since = begin, _error(weights, held, loss) if held else np.inf, 0
        for epoch in range(course.epochs):
            adam.rate = course.learning_rate * (1 - epoch / course.epochs)
            for batch in batches():
                loss(weights, batch).backward()
                adam.step()
            error = _error(weights, held, loss) if held else -float(epoch)
            if not np.isfinite(error):
                raise _diverged(course)
            if error < least:
                best, least, since = _plain(weights), error, 0
            else:
                since += 1
                if since >= course.patience:
                    break
    if not all(np.isfinite(value).all() for value in best.values()):
        raise _diverged(course)
    return best


def _diverged(course: Course) -> ProblemError:
    return ProblemError(f"learning_rate: found {course.learning_rate}, with which the training diverges")


def _error(weights: dict[str, torch.Tensor], held: Sequence[Any], loss: Callable[..., torch.Tensor]) -> float:
    import torch

    with torch.no_grad():
        return sum(float(loss(weights, batch)) for batch in held)


def _plain(weights: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy().copy() for name, value in weights.items()}


def first_weights(rng: np.random.Generator, inputs: int, outputs: int, scale: float = 2.0) -> np.ndarray:
    """(inputs, outputs) float32 normal weights of variance scale / inputs (He et al., ICCV 2015, eq. 10)."""
    return (rng.normal(size=(inputs, outputs)) * np.sqrt(scale / max(inputs, 1))).astype(np.float32)


def target_scale(y: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of what is to be said; 1 where all is the same."""
    share = weight / weight.sum()
    mean = float(share @ y)
    spread = float(np.sqrt(share @ (y - mean) ** 2))
    return mean, spread if spread > 1e-12 * (1 + abs(mean)) else 1.0
