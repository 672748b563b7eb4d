"""train: policies that learn."""

from __future__ import annotations

from typing import Annotated

import typer

from qnroute.cli import console

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
    recipe: Annotated[
        str | None, typer.Option(help="How: .toml; that of the built-in policy if left out.", metavar="FILE")
    ] = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="A few seconds, to see whether it works.")] = False,
) -> None:
    """Train a policy that chooses routes: imitation of exact answers, then PPO.

    Ctrl-C ends the training after the present round or update; the best weights so far are written.
    """
    import threading

    from qnroute.cli.training_view import in_words
    from qnroute.errors import ProblemError
    from qnroute.formats.writing import require_writable
    from qnroute.interruption import noted
    from qnroute.learning.routing.policy_files import save_policy
    from qnroute.learning.routing.recipes import SMOKE, load_recipe, trained
    from qnroute.learning.training import require_torch

    if smoke and recipe is not None:
        raise ProblemError("--smoke is a recipe of its own: leave --recipe out")
    if not out.endswith(".safetensors"):
        raise ProblemError("expected a name ending in .safetensors", source=out)
    require_writable(out)
    require_torch("a routing policy")
    how = SMOKE if smoke else load_recipe() if recipe is None else load_recipe(recipe)
    stop = threading.Event()
    with noted(stop):
        policy = trained(how, doing=lambda found: console.say(in_words(found)), interrupted=stop)
    save_policy(out, policy)
    served = policy.told["served_of_bound"]
    console.say(
        "held apart, share of the bound: " + ", ".join(f"{100 * value:.3f} % {name}" for name, value in served.items())
    )
    if stop.is_set():
        console.remark(f"interrupted: {out} has the best weights by then")


def register(root: typer.Typer) -> None:
    """Add the family to the root command."""
    root.add_typer(app)
