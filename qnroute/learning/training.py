"""What every training with torch here needs: a word where it is missing, one thread, Adam."""

from __future__ import annotations

import contextlib
import importlib.util
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from qnroute.errors import SolverError

if TYPE_CHECKING:
    import torch

_BETAS = 0.9, 0.999  # of Adam, as usual


def require_torch(what: str) -> None:
    """Say what to install where torch is missing; `what` is to be trained."""
    if importlib.util.find_spec("torch") is None:
        raise SolverError(f'training {what} needs torch: pip install "qnroute[learn]"')


@contextlib.contextmanager
def alone(seed: int) -> Iterator[None]:
    """One thread, and random numbers that leave those of the caller as they were."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


class Adam:
    """Kingma and Ba's Adam (2015). torch's own imports a compiler, which takes longer than the training."""

    def __init__(self, parameters: list[torch.Tensor], rate: float):
        import torch

        self.torch, self.parameters, self.rate, self.count = torch, parameters, rate, 0
        self.first = [torch.zeros_like(x) for x in parameters]
        self.second = [torch.zeros_like(x) for x in parameters]

    def step(self) -> None:
        """Move along the gradients, and forget them; what has none stays."""
        self.count += 1
        one, two = (1 - beta**self.count for beta in _BETAS)
        with self.torch.no_grad():
            for x, first, second in zip(self.parameters, self.first, self.second):
                if x.grad is None:
                    continue
                first.lerp_(x.grad, 1 - _BETAS[0])
                second.mul_(_BETAS[1]).addcmul_(x.grad, x.grad, value=1 - _BETAS[1])
                x.addcdiv_(first, (second / two).sqrt_().add_(1e-8), value=-self.rate / one)
                x.grad = None
