"""train: policies that learn."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated

import typer

from qnroute.cli import console

if TYPE_CHECKING:
    from qnroute.learning.routing.checkpoints import Keeper
    from qnroute.learning.routing.policy import RoutePolicy
    from qnroute.learning.routing.recipes import Teachable

_FOR = {
    "slot": ("qnroute.learning.routing.recipes", "load_recipe"),
    "online": ("qnroute.learning.routing.online_recipes", "load_online_recipe"),
    "time": ("qnroute.simulation.school_recipes", "load_school_recipe"),
}

app = typer.Typer(
    name="train",
    help="Train policies by recipes (TOML); docs/policies.md.",
    rich_markup_mode=None,
)


@app.callback()
def _family() -> None:
    """Commands by what is trained."""


@app.command()
def ppo(
    out: Annotated[str, typer.Option(help="Policy file to write: .safetensors", metavar="FILE")],
    what: Annotated[
        str, typer.Option("--for", help="Where it chooses: slot, online (requests come one by one), time (simulation).")
    ] = "slot",
    recipe: Annotated[
        str | None, typer.Option(help="How: .toml; that of the built-in policy if left out.", metavar="FILE")
    ] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="A quick one, to see whether it works.")] = False,
    checkpoint: Annotated[
        str | None, typer.Option(help="Write now and then all that the training can go on from.", metavar="FILE")
    ] = None,
    every: Annotated[int | None, typer.Option(min=1, help="Updates between two checkpoints (10).", metavar="N")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    logs: Annotated[str | None, typer.Option(help="Write event files for TensorBoard.", metavar="FOLDER")] = None,
    device: Annotated[str, typer.Option(help="Where it is updated: cpu, cuda, cuda:1, ...")] = "cpu",
) -> None:
    """Train a policy that chooses routes: imitation of an expert, then PPO.

    Ctrl-C ends the training after the present round or update; the best weights so far are written.
    """
    from qnroute.errors import ProblemError
    from qnroute.formats.writing import require_writable
    from qnroute.interruption import noted
    from qnroute.learning.routing.policy_files import save_policy
    from qnroute.learning.training import require_device, require_torch

    if smoke and recipe is not None:
        raise ProblemError("--smoke is a recipe of its own: leave --recipe out")
    if checkpoint is None and (resume or every is not None):
        raise ProblemError(f"--{'resume' if resume else 'every'}: expected --checkpoint FILE as well")
    if not out.endswith(".safetensors"):
        raise ProblemError("expected a name ending in .safetensors", source=out)
    how = _recipe(what, recipe, smoke)
    require_writable(out)
    require_torch("a routing policy")
    require_device(device)
    keeper = None if checkpoint is None else _keeper(checkpoint, out, how, resume, every or 10)
    stop, troubles = threading.Event(), []
    with noted(stop):
        policy = _trained(how, keeper, logs, device, stop, troubles)
    save_policy(out, policy)
    if troubles:
        console.remark(f"{out} has the best weights by then")
        raise troubles[0]
    served = ", ".join(f"{100 * value:.3f} % {name}" for name, value in policy.told["served"].items())
    console.say(f"held apart, share {how.unit}: {served}")
    if stop.is_set():
        more = f"; --resume goes on from {checkpoint}" if checkpoint else ""
        console.remark(f"interrupted: {out} has the best weights by then{more}")


def _recipe(what: str, recipe: str | None, smoke: bool) -> Teachable:
    """The recipe asked for."""
    import importlib

    from qnroute.fields import chosen

    module, load = chosen("--for", what, _FOR)
    known = importlib.import_module(module)
    return known.SMOKE if smoke else getattr(known, load)(*([] if recipe is None else [recipe]))


def _keeper(checkpoint: str, out: str, how: Teachable, resume: bool, every: int) -> Keeper:
    """What writes checkpoints, and knows the one to go on from."""
    import os

    from qnroute.errors import ProblemError
    from qnroute.formats.writing import require_writable
    from qnroute.learning.routing.checkpoints import Keeper

    if checkpoint == "-":
        raise ProblemError("--checkpoint: found -, expected a file")
    if os.path.isdir(checkpoint):
        raise ProblemError("is a folder, expected a file", source=checkpoint)
    if os.path.realpath(checkpoint) == os.path.realpath(out):
        raise ProblemError("--checkpoint: expected another file than that of --out", source=checkpoint)
    if not resume and os.path.exists(checkpoint):
        raise ProblemError("is there already: --resume goes on from it, or name another file", source=checkpoint)
    require_writable(checkpoint)
    return Keeper(checkpoint, how.to_dict(), resume=resume, every=every)


def _trained(
    how: Teachable,
    keeper: Keeper | None,
    logs: str | None,
    device: str,
    stop: threading.Event,
    troubles: list[Exception],
) -> RoutePolicy:
    """The training itself, shown, logged and kept; it ends where a checkpoint cannot be written, and says so."""
    import contextlib
    from functools import partial

    from qnroute.cli.training_view import TrainingView
    from qnroute.errors import ProblemError
    from qnroute.learning.event_files import EventFile
    from qnroute.learning.routing.recipes import trained
    from qnroute.learning.routing.scalars import scalars

    with contextlib.ExitStack() as open_:
        log = open_.enter_context(EventFile(logs)) if logs is not None else None
        view = open_.enter_context(TrainingView(how))

        def doing(found) -> None:
            nonlocal log
            try:
                view.told(found)
            except BrokenPipeError:  # nobody reads on, but the weights are wanted
                console.abandon_output()
            if log is not None and not isinstance(found, str):
                try:
                    log.write(found.number, scalars(found))
                except OSError as error:
                    log = None
                    view.told(f"{logs}: {error.strerror}; the training goes on without a log")

        def kept(write, *found) -> None:
            try:
                write(*found)
            except (OSError, ProblemError) as error:
                troubles.append(error)
                stop.set()

        given = {} if keeper is None else {"resumed": keeper.begun, "keep": partial(kept, keeper.keep)}
        policy = trained(how, device=device, doing=doing, interrupted=stop, **given)
        if keeper is not None and not troubles:
            kept(keeper.finish)
        return policy


def register(root: typer.Typer) -> None:
    """Add the family to the root command."""
    root.add_typer(app)
