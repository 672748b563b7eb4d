"""Losses of predicted coefficients that look at the decision they lead to: SPO+ and perturbed optimizers.

For coefficients c, x*(c) is the best decision and z*(c) what it is worth (`qnroute.learning.links.oracles`). Training
wants small regret z*(c) - (c x*(c_hat) + constant), whose gradient in c_hat is 0 almost everywhere; both losses stand
in for it, are convex in c_hat, and ask an oracle for their gradient.
"""

from __future__ import annotations

import numpy as np

from qnroute.learning.links.oracles import Decision, Oracle


def spo_plus(oracle: Oracle, predicted: np.ndarray, true: np.ndarray, best: Decision) -> tuple[float, np.ndarray]:
    """Loss and a subgradient (m,) in the predicted coefficients.

    The SPO+ loss of Elmachtoub and Grigas, Management Science 68(1), 2022, turned from costs to a maximum:

        z*(2 c_hat - c) - (2 c_hat - c) x*(c) - constant,    2 (x*(2 c_hat - c) - x*(c))

    It is 0 at c_hat = c, never below the regret of c_hat, and convex.

    Parameters
    ----------
    best
        x*(c) of the `true` coefficients.
    """
    led = 2.0 * predicted - true
    found = oracle.best(led)
    return found.worth(led) - best.worth(led), 2.0 * (found.x - best.x)


def perturbed(oracle: Oracle, predicted: np.ndarray, noise: np.ndarray, best: Decision) -> tuple[float, np.ndarray]:
    """Fenchel-Young loss of a perturbed maximum, and its gradient (m,), as means over samples.

    Berthet et al., Learning with Differentiable Perturbed Optimizers, NeurIPS 2020: with F(c) = E z*(c + noise),

        F(c_hat) - c_hat x*(c) - constant,    E x*(c_hat + noise) - x*(c)

    It is convex in c_hat, and smooth in expectation; the mean over samples given is the gradient of the loss over the
    same samples.

    Parameters
    ----------
    noise
        (S, m), normal mostly: the same noise, the same loss.
    best
        x*(c) of the true coefficients.
    """
    value, mean = 0.0, np.zeros(len(predicted))
    for shift in noise:
        found = oracle.best(predicted + shift)
        value += found.worth(predicted + shift)
        mean += found.x
    return value / len(noise) - best.worth(predicted), mean / len(noise) - best.x
