"""What every training with torch here needs: a word where it is missing, one thread, Adam."""

from __future__ import annotations

import contextlib
import importlib.util
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from qnroute.errors import ProblemError, SolverError
from qnroute.fields import brief

if TYPE_CHECKING:
    import torch

_BETAS = 0.9, 0.999  # of Adam, as usual


def require_torch(what: str) -> None:
    """Say what to install where torch is missing; `what` is to be trained."""
    if importlib.util.find_spec("torch") is None:
        raise SolverError(f'training {what} needs torch: pip install "qnroute[learn]"')


def require_device(device: str) -> None:
    """Refuse what is no device to train on, or is not there."""
    import torch

    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = ""
    if kind not in ("cpu", "cuda"):
        raise ProblemError(f"device: found {brief(device)}, expected cpu, cuda or cuda:NUMBER")
    number = torch.device(device).index or 0
    if kind == "cuda" and number >= torch.cuda.device_count():
        there = torch.cuda.device_count()
        raise SolverError(f"device {device}: torch finds {there or 'no'} CUDA device{'s' * (there > 1)} here: use cpu")


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


@contextlib.contextmanager
def flushed() -> Iterator[None]:
    """Numbers too small for their exponent count as 0, in this thread: gradients of what is almost sure are full of
    them, and each costs a hundred others."""
    import torch

    flushing = torch.set_flush_denormal(True)
    try:
        yield
    finally:
        if flushing:
            torch.set_flush_denormal(False)


class Adam:
    """Kingma and Ba's Adam (2015), all parameters moved as one. torch's own imports a compiler, slower than training.

    The tensors given become views of one, and so do their gradients: a step is the same few operations for any number.
    """

    def __init__(self, parameters: list[torch.Tensor], rate: float):
        import torch

        self.torch, self.rate, self.count = torch, rate, 0
        with torch.no_grad():
            self.all = torch.cat([x.flatten() for x in parameters])
        self.slope, self.first, self.second = (torch.zeros_like(self.all) for _ in range(3))
        begin = 0
        for x in parameters:
            end = begin + x.numel()
            x.data, x.grad = self.all[begin:end].view(x.shape), self.slope[begin:end].view(x.shape)
            begin = end

    def step(self) -> None:
        """Move along the gradients, and forget them."""
        self.count += 1
        one, two = (1 - beta**self.count for beta in _BETAS)
        with self.torch.no_grad():
            self.first.lerp_(self.slope, 1 - _BETAS[0])
            self.second.mul_(_BETAS[1]).addcmul_(self.slope, self.slope, value=1 - _BETAS[1])
            self.all.addcdiv_(self.first, (self.second / two).sqrt_().add_(1e-8), value=-self.rate / one)
            self.slope.zero_()
