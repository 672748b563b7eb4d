"""Recipes of policies that choose within slots: runs that are drawn to learn from, and the courses."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from qnroute.learning.predictors import predictor
from qnroute.learning.routing import imitation, ppo
from qnroute.learning.routing.recipe_files import load_as
from qnroute.learning.routing.recipes import Courses
from qnroute.simulation.scenario import Scenario
from qnroute.simulation.schooling import Lesson, School
from qnroute.simulation.workloads import BusinessHours

BUILT_IN = Path(__file__).with_name("weights") / "network.toml"

SEEN = ("erdos-renyi:probability={dense}", "regular:degree=3", "barabasi-albert:links_per_node=2")
"""Topologies that are trained on; others, small worlds among them, are kept for tests."""


class Runs(NamedTuple):
    """Runs to learn from and runs held apart, and how they count."""

    learned: int = 96
    held: int = 24
    slots: int = 700  # of those to learn from
    discount: float = 0.95  # from slot to slot
    heat: float = 0.004  # gains over it are the log-odds of what the teacher does
    seed: int = 3_000_000  # of the first run


@dataclass(frozen=True)
class SchoolRecipe(Courses):
    """Runs that are trained on, and the courses."""

    unit: ClassVar[str] = "of what is asked"
    runs: Runs = field(default_factory=Runs)

    def __post_init__(self) -> None:
        ppo.require_no_critic(self.ppo)

    def teaching(self, tell: Callable[[str], None]) -> School:
        """The runs, drawn, with what is known of them beforehand."""
        sizes = self.runs
        tell(f"{sizes.learned} runs to learn from, {sizes.held} held apart")
        lessons = [drawn(sizes.seed + i) for i in range(sizes.learned + sizes.held)]
        return School(
            lessons[: sizes.learned], lessons[sizes.learned :], slots=sizes.slots, discount=sizes.discount,
            heat=sizes.heat, seed=self.imitation.seed, instances=self.ppo.instances, episodes=self.ppo.episodes,
            workers=os.cpu_count() or 1,
        )  # fmt: skip


SMOKE = SchoolRecipe(
    Runs(4, 2, 200),
    imitation=imitation.Course(rounds=2, epochs=4),
    ppo=ppo.Course(updates=4, instances=2, episodes=4, every=2),
)
"""For a look at whether everything works."""


def load_school_recipe(path: str | os.PathLike[str] = BUILT_IN) -> SchoolRecipe:
    """Read a recipe; see `recipe_files.load_as`."""
    return load_as(SchoolRecipe(), path)


def drawn(seed: int) -> Lesson:
    """One run to learn from: half of them as paper C has it (C8), in the others sizes, links and rates differ."""
    rng = np.random.default_rng([seed, 7])
    topology, usual = SEEN[rng.integers(len(SEEN))], rng.random() < 0.5
    nodes = 16 if usual else int(rng.choice([16, 20, 24]))
    p, fidelity = (0.12, 0.92) if usual else (rng.uniform(0.08, 0.25), rng.uniform(0.9, 0.96))
    rate = 0.5 if usual else rng.uniform(0.25, 1.0) * nodes / 16
    name = topology.format(dense=round(4.0 / nodes, 3))
    network = f"{name},n={nodes},p={p:.3f},fidelity={fidelity:.3f}"
    scenario = Scenario(network, BusinessHours(rate=round(float(rate), 3)))
    return Lesson.of(scenario.case(seed), scenario, predictor("frequency"))
