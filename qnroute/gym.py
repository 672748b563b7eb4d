"""The environments under Gymnasium's names: importing this makes them known.

>>> gymnasium.make("qnroute.gym:qnroute/Allocation-v0")
>>> gymnasium.make_vec("qnroute.gym:qnroute/Allocation-v0", num_envs=64)
>>> gymnasium.make("qnroute.gym:qnroute/Online-v0")
>>> gymnasium.make_vec("qnroute.gym:qnroute/Network-v0", num_envs=64)
"""

from __future__ import annotations

import importlib.util

from qnroute.errors import SolverError

if importlib.util.find_spec("gymnasium") is None:
    raise SolverError('environments need gymnasium: pip install "qnroute[learn]"')

import gymnasium

ALLOCATION = "qnroute/Allocation-v0"
ONLINE = "qnroute/Online-v0"
NETWORK = "qnroute/Network-v0"

gymnasium.register(
    ALLOCATION,
    entry_point="qnroute.learning.routing.environments:AllocationEnv",
    vector_entry_point="qnroute.learning.routing.environments:AllocationVectorEnv",
)
gymnasium.register(
    ONLINE,
    entry_point="qnroute.learning.routing.online_environments:OnlineEnv",
    vector_entry_point="qnroute.learning.routing.online_environments:OnlineVectorEnv",
)
gymnasium.register(
    NETWORK,
    entry_point="qnroute.simulation.environments:NetworkEnv",
    vector_entry_point="qnroute.simulation.environments:NetworkVectorEnv",
)
