"""Trainings on one slot, on pools as they are."""

from __future__ import annotations

from qnroute.learning.routing import imitation, ppo
from qnroute.learning.routing.one_slot import OneSlot


def imitated_on(learned, held, course, **how):
    """`imitation.imitated` on `learned`; `held` chooses the round."""
    taught = OneSlot(learned, held, course.seed)
    return imitation.imitated(taught.begin, taught.visited, taught.measured, course, **how)


def refined_on(begin, learned, held, course, **how):
    """`ppo.refined` on `learned`; `held` chooses among the weights."""
    taught = OneSlot(learned, held, course.seed, course.instances, course.episodes)
    return ppo.refined(begin, taught.experienced, taught.measured, course, **how)
